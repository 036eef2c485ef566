"""An answer from our own cache, with a guardrail that costs .0001: the model 0, the
guardrail .0001, the plan's price for a hit."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from tests.support.metered import NOVA, MeteredStack
from tests.support.stack import PRIVATE, Tenant, wait_until

PRICE = Decimal("0.002")
CACHING = {"answer_cache_ttl_s": 3_600, "cache_hit_price": str(PRICE)}
CONVERSE = f"/model/{NOVA}/converse"
UNIT = Decimal("0.0001")  # of personal data
_LINES = """
SELECT token_class, sum(quantity)::bigint, sum(amount) FROM tenantry.{book}
WHERE tenant_id = $1 GROUP BY token_class
"""


def lines(metered: MeteredStack, tenant: Tenant, book: str) -> Mapping[str, tuple[int, Decimal]]:
    return {r[0]: (r[1], r[2]) for r in metered.rows(_LINES.format(book=book), tenant.id)}


def told(answer: Mapping[str, Any]) -> tuple[str, str | None]:
    headers = answer["ResponseMetadata"]["HTTPHeaders"]
    return headers["x-tenantry-charge"], headers.get("x-tenantry-cache")


def test_a_hit_pays_the_guardrail_and_the_plans_price(metered: MeteredStack) -> None:
    anna, bert = metered.tenants({**CACHING, "guardrail": f"{PRIVATE}:1"})
    client = metered.boto3(anna)
    ask = metered.ask(NOVA, 45, 11)
    first = client.converse(**ask)
    before = metered.posted(anna)
    model = Decimal("0.000135") + Decimal("0.000165")
    assert before.cost == model + 2 * UNIT  # prompt and answer, a unit each
    assert told(first) == ("0.0015 USD", None)

    second = client.converse(**ask)
    assert second["output"] == first["output"]
    assert told(second) == ("0.0023 USD", "hit")
    posted = metered.posted(anna)
    assert posted.cost - before.cost == UNIT
    assert posted.charge - before.charge == 3 * UNIT + PRICE
    provider = lines(metered, anna, "provider_ledger")
    assert provider["cache_hit"] == (1, 0)
    assert provider["uncached_in"] == (45, Decimal("0.000135"))  # of the first alone
    assert provider["guardrail_pii"] == (3, 3 * UNIT)
    assert lines(metered, anna, "customer_ledger")["cache_hit"] == (1, PRICE)
    assert posted.held_charge == 0 and posted.flags == frozenset()
    assert len([r for r in metered.bill(anna).values() if r["output"]]) == 1
    metered.agree(anna, bert)


def test_a_hit_without_a_guardrail_asks_nobody(metered: MeteredStack) -> None:
    anna, bert = metered.tenants(CACHING)
    ask = metered.ask(NOVA, 46, 11)
    client = metered.boto3(anna)
    assert told(client.converse(**ask))[1] is None
    assert told(client.converse(**ask)) == ("0.002 USD", "hit")
    assert told(metered.boto3(bert).converse(**ask))[1] is None  # another tenant's is no hit
    for other in (metered.ask(NOVA, 47, 11), metered.ask(NOVA, 46, 12)):
        assert told(client.converse(**other))[1] is None
    assert metered.dispatched(anna) == 3
    streamed = list(client.converse_stream(**ask)["stream"])
    assert "metadata" in streamed[-1]  # streams are always the model's
    assert metered.dispatched(anna) == 4
    message = {"role": "user", "content": "Hello."}
    chat = {"model": NOVA, "messages": [message], "max_tokens": 11}
    openai = metered.openai(anna).chat.completions
    texts = {}
    for user in ("eve", "ida"):
        raw = [openai.with_raw_response.create(**chat, user=user) for _ in range(2)]
        assert [each.headers.get("x-tenantry-cache") for each in raw] == [None, "hit"]
        texts[user] = [each.parse().choices[0].message.content for each in raw]
    assert metered.dispatched(anna) == 6  # once for each end user
    assert texts["eve"] == texts["ida"]
    metered.agree(anna, bert)


def test_a_hit_is_admitted_like_any_request(metered: MeteredStack) -> None:
    anna = metered.tenant({**CACHING, "requests_per_day": 2})
    ask = metered.ask(NOVA, 45, 11)
    client = metered.boto3(anna)
    client.converse(**ask)
    assert told(client.converse(**ask))[1] == "hit"
    status, _, said = metered.http("POST", CONVERSE, _body(ask), tenant=anna)
    assert status == 400 and b"requests_per_day" in said
    poor = metered.tenant({**CACHING, "cache_hit_price": "7", "monthly_budget": "5"})
    metered.boto3(poor).converse(**ask)
    assert metered.http("POST", CONVERSE, _body(ask), tenant=poor)[0] == 402
    assert metered.posted(poor).charge < 1
    metered.agree(anna, poor)


def test_what_has_expired_is_asked_again_and_swept(metered: MeteredStack) -> None:
    anna = metered.tenant(CACHING)
    ask = metered.ask(NOVA, 45, 11)
    client = metered.boto3(anna)
    client.converse(**ask)
    (kept,) = metered.rows("SELECT object_id FROM tenantry.answer WHERE tenant_id = $1", anna.id)
    (file,) = metered.home.glob(f"accounts/*/objects/*/answers/{kept[0]}")
    assert b"ok ok" not in file.read_bytes()  # sealed
    _expire(metered, anna)
    assert told(client.converse(**ask))[1] is None

    def swept() -> bool:
        _expire(metered, anna)
        return not file.exists()

    wait_until(swept, "the sweep", 60)
    metered.agree(anna)


def _expire(metered: MeteredStack, tenant: Tenant) -> None:
    import asyncpg

    async def run() -> None:
        connection = await asyncpg.connect(metered.cluster().dsn("superuser"))
        try:
            await connection.execute(
                "UPDATE tenantry.answer SET expires_at = now() - interval '1 s'"
                " WHERE tenant_id = $1",
                tenant.id,
            )
        finally:
            await connection.close()

    asyncio.run(run())


def _body(ask: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in ask.items() if name != "modelId"}
