"""A tenant whose invoices go to the stand-in for Stripe."""

from datetime import UTC, datetime, timedelta
from typing import Any

from tests.support.ledger import World, in_world
from tests.support.outbox import StillClock, deliverer, enqueue, outside, states
from tests.support.postgres import Database
from tests.support.stripe_stand_in import API_KEY, StandIn, stripe_stand_in

from tenantry.adapters.postgres.deliveries import PostgresDeliveries
from tenantry.adapters.stripe.account import StripeAccount
from tenantry.adapters.stripe.sink import StripeSink
from tenantry.application.delivery import FOR_STRIPE, Deliverer
from tenantry.ports.delivery import Route

ROUTE = Route("stripe", FOR_STRIPE, linked=True)
LINES = 3  # of the invoice below, with tax and credit: five items
POSTS = 1 + LINES + 2 + 1  # draft, items, finalise


def invoice(number: str = "INV-2027-0001", **changes: Any) -> dict[str, Any]:
    """Fee 99, overage 36, true-up 15, tax 8.25 %, 20 prepaid."""
    lines = [
        {"kind": "fee", "description": "Pro, January 2027", "amount": "99.00"},
        {"kind": "overage", "description": "6,000,000 tokens over", "amount": "36.00"},
        {"kind": "true_up", "description": "Minimum of 150", "amount": "15.00"},
    ]
    return {
        "number": number,
        "kind": "invoice",
        "status": "finalised",
        "currency": "USD",
        "customer": {"tenant_id": "tnt_x", "name": "acme"},
        "period": {"start": "2027-01-01T00:00:00Z", "end": "2027-02-01T00:00:00Z"},
        "lines": lines,
        "subtotal": "135.00",
        "true_up": "15.00",
        "tax": {"rate": "0.0825", "label": "Sales tax 8.25 %", "amount": "12.38"},
        "total": "162.38",
        "credit": "20.00",
        "due": "142.38",
        **changes,
    }


class Shop:
    """A world with Stripe beside it: anna is its customer, bert is not."""

    def __init__(self, world: World, stand_in: StandIn, api_key: str = API_KEY) -> None:
        self.world, self.stand_in = world, stand_in
        self.clock = StillClock(datetime.fromtimestamp(stand_in.now_s, UTC))
        self.desk = PostgresDeliveries(world.databases.control)
        self.sink = StripeSink(
            StripeAccount(api_key, stand_in.url), collection="send_invoice", days_due=14
        )

    def worker(self) -> Deliverer:
        return deliverer(self.world, outside(ROUTE, stripe=self.sink), self.clock)

    async def finalise(self, body: dict[str, Any], who: Any = None) -> None:
        await self.say("invoice.finalised", body, who)

    async def say(self, kind: str, body: dict[str, Any], who: Any = None) -> None:
        tenant = who or self.world.anna.tenant_id
        await enqueue(self.world, kind, body, tenant_id=tenant)
        await self.world.as_superuser("UPDATE tenantry.notice SET created_at = $1", self.clock.at)

    def pass_by(self, **time: float) -> None:
        self.clock.pass_by(**time)
        self.stand_in.now_s += int(timedelta(**time).total_seconds())

    async def state(self) -> tuple[str, str | None]:
        [(_, state, _, error)] = await states(self.world)
        return state, error


def in_shop(database: Database, body: Any, **options: Any) -> None:
    async def run(world: World) -> None:
        async with stripe_stand_in("cus_anna", "cus_other") as stand_in:
            shop = Shop(world, stand_in, **options)
            await shop.desk.link_stripe(world.anna.tenant_id, "cus_anna")
            try:
                await body(shop)
            finally:
                shop.sink.close()

    in_world(database, run)


async def forget_customers(shop: Shop) -> None:
    await shop.world.as_superuser("UPDATE tenantry.stripe_invoice SET customers = '{}'")


async def pending(shop: Shop) -> list[str | None]:
    return [error for _, state, _, error in await states(shop.world) if state == "pending"]
