"""Three months of two tenants under plans whose tokens cost what they do by how many came
before them, or do not; voids, and what is charged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from tests.support.billing import House, months_ago
from tests.support.ledger import World

from tenantry.application.invoicing import void_invoice
from tenantry.domain.tenant import Principal
from tenantry.domain.usage import Usage
from tenantry.ports.billing import Finalised

FIRST, SECOND, THIRD = months_ago(3), months_ago(2), months_ago(1)
GRADUATED = {
    "mode": "graduated",
    "included": 5_000_000,
    "steps": [{"up_to": 1_000_000, "per_million": "10"}, {"per_million": "8"}],
}
VOLUME = {
    "mode": "volume",
    "steps": [{"up_to": 5_000_000, "per_million": "10"}, {"per_million": "5"}],
}
ONE_PRICE = {
    "mode": "graduated",
    "steps": [{"up_to": 9, "per_million": "10"}, {"per_million": "10"}],
}
IN_ORDER: Sequence[Mapping[str, Any]] = (
    {"monthly_fee": "10", "overage": GRADUATED},
    {"monthly_fee": "10", "overage": VOLUME},
    {"monthly_fee": "10", "minimum": "200"},
)
IN_ANY_ORDER: Sequence[Mapping[str, Any]] = ({"monthly_fee": "10"}, {"overage": ONE_PRICE})


async def begun(world: World, plan: Mapping[str, Any]) -> House:
    """Both tenants are under contract since the first month."""
    await world.plan(**plan)
    house = House.of(world)
    await house.plans_long_ago()
    for who in (world.anna, world.bert):
        await house.contract(who)
        await house.since(who, FIRST.replace(day=1))
    return house


async def late(house: House, who: Principal, tokens: int) -> None:
    """Of the first month, and settled now."""
    await house.used(who, Usage(out=tokens), FIRST, posted_at=datetime.now(UTC))


async def void(house: House, who: Principal, done: Finalised) -> None:
    assert await void_invoice(house.billing.book, who.tenant_id, str(done.number), "wrong address")


async def charged(house: House, who: Principal) -> Decimal:
    rows = await house.billing.book.documents(who.tenant_id)
    return sum((row["total"] for row in rows if row["status"] == "final"), Decimal(0))
