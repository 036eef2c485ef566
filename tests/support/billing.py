"""Invoices on a real database: tenants whose past lies in the ledger, with contracts and an issuer.

The database's clock decides in the product; so a test makes the past, not the clock: what was
admitted and settled in earnest is moved to the instants that the test names, by a superuser, which
no part of Tenantry is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import asyncpg
from tests.support.ledger import World
from tests.support.postgres import Database

from tenantry.adapters.clock import SystemClock
from tenantry.application.billing import Billing
from tenantry.application.invoice_run import RunTally, run_due
from tenantry.application.invoicing import finalise_invoice
from tenantry.bootstrap.billing import billing_of
from tenantry.domain.agreement import Agreement
from tenantry.domain.ids import TenantId
from tenantry.domain.party import Issuer, Party
from tenantry.domain.period import Span, billing_period
from tenantry.domain.tenant import Principal
from tenantry.domain.usage import Usage
from tenantry.ports.billing import Finalised

ISSUER = Issuer(
    Party("Lumen Notes, Inc.", ("500 Howard St", "San Francisco, CA 94105", "USA")),
    ("Wire to First Bank, account 1234567890",),
)
ADDRESS = ("1 Main Street", "New York, NY 10001", "USA")
SETTLES = timedelta(seconds=2)  # after its admission


def home_of(database: Database) -> Path:
    """A data folder of its own for each database, gone with its cluster."""
    return database.cluster.home / "homes" / database.name


@dataclass
class House:
    """A world with its invoicing."""

    world: World
    billing: Billing

    @classmethod
    def of(cls, world: World) -> House:
        return cls(world, billing_of(world.databases, ISSUER, home_of(world.database)))

    async def contract(self, who: Principal, **fields: Any) -> Agreement:
        return await self.agree(
            who, Agreement(Party(f"{who.tenant.name} Corp.", ADDRESS), **fields)
        )

    async def agree(self, who: Principal, agreement: Agreement) -> Agreement:
        """The whole of it, in the place of whatever was agreed before."""
        contracts = self.billing.contracts
        versions = await contracts.contracts(who.tenant_id, 1)
        made_from = versions[0]["version"] if versions else 0
        made = await contracts.set_contract(who.tenant_id, agreement, made_from=made_from)
        assert made is not None
        return made

    async def since(self, who: Principal, at: datetime) -> None:
        """The tenant, its plan and its contract have been there since an instant."""
        tenant = who.tenant
        period = billing_period(at, tenant.zone, tenant.anchor_day)
        await self.as_the_past(
            f"UPDATE tenantry.tenant SET created_at = '{at}' WHERE tenant_id = '{tenant.id}';"
            f"UPDATE tenantry.plan_change SET effective_at = '{at}', entered_at = '{at}',"
            f" applied_at = '{at}' WHERE tenant_id = '{tenant.id}';"
            f"UPDATE tenantry.contract SET entered_at = '{at}' WHERE tenant_id = '{tenant.id}';"
            f"UPDATE tenantry.billing_account SET period_start = '{period.start}',"
            f" period_end = '{period.end}' WHERE tenant_id = '{tenant.id}'"
        )

    async def plans_long_ago(self) -> None:
        """The versions of all plans followed each other before anybody's past began."""
        await self.as_the_past(
            "UPDATE tenantry.plan SET applied_at = timestamptz '2019-01-01' + version * interval"
            " '1 day', superseded_at = CASE WHEN superseded_at IS NOT NULL THEN"
            " timestamptz '2019-01-01' + (version + 1) * interval '1 day' END"
        )

    async def used(
        self,
        who: Principal,
        usage: Usage,
        at: datetime,
        *,
        posted_at: datetime | None = None,
        **changes: Any,
    ) -> Any:
        """A request of a past instant, as if it had been made then. Returns its id."""
        reservation = await self.world.admitted(who)
        await self.world.settle(reservation, self.world.outcome(usage, **changes))
        await self.move(reservation.request_id, at, posted_at)
        return reservation.request_id

    async def move(self, request_id: Any, at: datetime, posted_at: datetime | None = None) -> None:
        """What a request has posted, and itself where it is open, to another instant."""
        posted = posted_at or at + SETTLES
        moved = "".join(
            f"UPDATE tenantry.{table} SET admitted_at = '{at}', posted_at = '{posted}',"
            f" day = '{at.date()}' WHERE request_id = '{request_id}';"
            for table in ("charge_entry", "cost_entry")
        )
        await self.as_the_past(
            f"{moved} UPDATE tenantry.open_request SET admitted_at = '{at}'"
            f" WHERE request_id = '{request_id}';"
            "UPDATE tenantry.budget_use u SET settled = r.settled, reserved = r.reserved"
            " FROM tenantry.budget_use x CROSS JOIN LATERAL tenantry.budget_replay("
            " x.tenant_id, x.subject, x.basis, x.period_start, x.period_end) r"
            " WHERE u.ctid = x.ctid"
        )

    async def finalise(self, who: Principal, period: Span, **options: Any) -> Finalised:
        book = self.billing.book
        return await finalise_invoice(book, SystemClock(), ISSUER, who.tenant_id, period, **options)

    async def run(self, **options: Any) -> RunTally:
        given: dict[str, Any] = {"mode": "automatic", "again_s": 0, **options}
        return await run_due(self.billing.book, SystemClock(), ISSUER, **given)

    async def as_the_past(self, script: str) -> None:
        """Statements without triggers: what no role of Tenantry's can do."""
        connection = await asyncpg.connect(self.world.database.dsn("superuser"))
        try:
            await connection.execute(f"SET session_replication_role = replica; {script}")
        finally:
            await connection.close()

    async def entries(self, tenant_id: TenantId) -> dict[tuple[str, str], Decimal]:
        """Balances of the billing book: by account and currency."""
        rows = await self.world.fetch(
            "SELECT account, currency, sum(amount) AS amount FROM tenantry.billing_ledger"
            " WHERE tenant_id = $1 GROUP BY 1, 2 HAVING sum(amount) <> 0",
            tenant_id,
        )
        return {(row["account"], row["currency"]): row["amount"] for row in rows}

    async def numbers(self) -> Sequence[str]:
        rows = await self.world.fetch("SELECT number FROM invoice ORDER BY series, series_number")
        return [row["number"] for row in rows]


async def both_invoiced(world: World) -> tuple[Finalised, Finalised]:
    """Both tenants used something last month, and have the invoice of it."""
    house, at = House.of(world), months_ago(1)
    made = []
    for who in (world.anna, world.bert):
        await house.contract(who)
        await house.since(who, at.replace(day=1))
        await house.used(who, Usage(uncached_in=1_000_000, out=500_000), at)
        made.append(await house.finalise(who, period_of(who, at)))
    return made[0], made[1]


def period_of(who: Principal, instant: datetime) -> Span:
    return billing_period(instant, who.tenant.zone, who.tenant.anchor_day)


def months_ago(months: int, *, day: int = 15, now: datetime | None = None) -> datetime:
    """Noon of a day of an earlier month, in UTC."""
    at = (now or datetime.now(UTC)).replace(day=day, hour=12, minute=0, second=0, microsecond=0)
    for _ in range(months):
        at = (at.replace(day=1) - timedelta(days=1)).replace(day=day)
    return at
