"""Over the wire: many events of one tenant at once, more than a megabyte of them."""

import asyncio
from decimal import Decimal

from tests.support.metered import NOVA, TITAN, MeteredStack
from tests.support.stack_clients import converse_body

TEXTS = 2_048


def test_a_hundred_at_once(metered: MeteredStack) -> None:
    anna, bert = metered.tenants()
    sdk = metered.boto3(anna, max_pool_connections=32)

    async def all_of_them() -> None:
        call = lambda: sdk.converse(modelId=NOVA, **converse_body(max_tokens=8))  # noqa: E731
        await asyncio.gather(*(asyncio.to_thread(call) for _ in range(100)))

    asyncio.run(all_of_them())
    assert len(metered.posted(anna).attempts) == 100
    _totals_are_a_full_scan(metered, anna.id)
    metered.agree(anna, bert)


def test_more_than_a_megabyte_in_one_settlement(metered: MeteredStack) -> None:
    anna, bert = metered.tenants()
    with metered.openai(anna) as sdk:
        answer = sdk.embeddings.create(model=TITAN, input=["ok"] * TEXTS, dimensions=256)
    assert len(answer.data) == TEXTS
    assert len(metered.posted(anna).attempts) == TEXTS
    size = metered.rows(
        "SELECT sum(pg_column_size(a)) + (SELECT sum(pg_column_size(c)) FROM tenantry.charge_entry"
        " c WHERE tenant_id = $1) FROM tenantry.cost_entry a WHERE tenant_id = $1",
        anna.id,
    )[0][0]
    assert size > 1_000_000
    _totals_are_a_full_scan(metered, anna.id)
    metered.agree(anna, bert)


def _totals_are_a_full_scan(metered: MeteredStack, tenant_id: str) -> None:
    balance = metered.rows(
        "SELECT settled FROM tenantry.budget_use WHERE tenant_id = $1 AND subject = 'plan'"
        " ORDER BY period_end DESC LIMIT 1",
        tenant_id,
    )[0][0]
    lines = metered.rows(
        "SELECT amount FROM tenantry.customer_ledger WHERE tenant_id = $1", tenant_id
    )
    assert balance == sum((row[0] for row in lines), Decimal(0))
    usage = metered.rows(
        "SELECT token_class, sum(quantity)::bigint FROM tenantry.customer_ledger"
        " WHERE tenant_id = $1 GROUP BY token_class",
        tenant_id,
    )
    assert usage
