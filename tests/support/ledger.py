"""Two tenants, a price book and a worker on a real database: what ledger tests stand on.

The prices are those of the metering contract's cases, $ per 1M tokens: in 3, out 15, cache read
.30, writes 3.75 (5 m) and 6 (1 h); batch × .5, priority × 1.75; the plan's markup is 3.
"""

import asyncio
import contextlib
import dataclasses
import secrets
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import asyncpg
from tests.support.postgres import Database

from tenantry.adapters.clock import SystemClock
from tenantry.adapters.postgres.admission import PostgresAdmission
from tenantry.adapters.postgres.batcher import Batcher
from tenantry.adapters.postgres.connections import Databases
from tenantry.adapters.postgres.control import PostgresControl
from tenantry.adapters.postgres.directory import PostgresDirectory
from tenantry.adapters.postgres.keeper import PostgresLedgerKeeper
from tenantry.adapters.postgres.ledger import PostgresTenantLedger
from tenantry.adapters.postgres.unit_of_work import TenantWork
from tenantry.domain.ids import uuid7
from tenantry.domain.markup import Markup
from tenantry.domain.placement import Placement
from tenantry.domain.price import PriceEdition, edition_from_csv
from tenantry.domain.rating import rate
from tenantry.domain.tenant import Principal
from tenantry.domain.usage import Usage
from tenantry.ports.admission import (
    Admitted,
    AttemptOutcome,
    Intent,
    Refused,
    Reservation,
    Settled,
    Settlement,
)
from tenantry.ports.control import NewKey
from tenantry.ports.ledger import Violation

MODEL = "synthetic"
MARKUP = Markup(Decimal(3))
PEPPER = b"p" * 32
EPOCH = datetime(2020, 1, 1, tzinfo=UTC)
HOLD = timedelta(hours=72)  # as `unknown_hold_h` is by default
_CLASSES = {
    "uncached_in": Decimal(3),
    "out": Decimal(15),
    "cache_read": Decimal("0.30"),
    "cache_write_5m": Decimal("3.75"),
    "cache_write_1h": Decimal(6),
}
_TIERS = {"default": Decimal(1), "batch": Decimal("0.5"), "priority": Decimal("1.75")}
POOL = Placement("pool", "pool", "111111111111", "us-east-1", frozenset({"us-east-1"}))


def synthetic_prices(
    factor: Decimal = Decimal(1), effective_from: datetime = EPOCH
) -> PriceEdition:
    lines = ["model,tier,over_tokens,class,usd_per_million"]
    for tier, times in _TIERS.items():
        for name, price in _CLASSES.items():
            lines.append(f"{MODEL},{tier},0,{name},{price * times * factor:f}")
    return edition_from_csv(lines, version=1, effective_from=effective_from, source="synthetic")


def sealed(secret: bytes, aad: bytes) -> bytes:
    """Not sealed at all, but bound: enough for what is tested here."""
    return aad + b"\0" + secret


def opened(ciphertext: bytes, aad: bytes) -> bytes:
    assert ciphertext.startswith(aad + b"\0")
    return ciphertext[len(aad) + 1 :]


def new_request_id() -> uuid.UUID:
    clock = SystemClock()
    return uuid7(int(clock.now().timestamp() * 1000), clock.random(10))


@dataclasses.dataclass
class World:
    """One worker's parts over one database, and the two tenants in it."""

    database: Database
    databases: Databases
    control: PostgresControl
    directory: PostgresDirectory
    batcher: Batcher
    admission: PostgresAdmission
    keeper: PostgresLedgerKeeper
    ledger: PostgresTenantLedger
    work: TenantWork
    prices: PriceEdition
    anna: Principal
    bert: Principal
    keys: dict[str, NewKey]

    def reservation(self, who: Principal | None = None, **changes: Any) -> Reservation:
        """A request that may use 1,000 in and 500 out: cost .0105, charge .0315."""
        who = who or self.anna
        values: dict[str, Any] = {
            "request_id": new_request_id(),
            "tenant_id": who.tenant_id,
            "api_key_id": who.api_key_id,
            "plan": who.tenant.plan.name,
            "plan_version": who.tenant.plan.version,
            "price_version": self.prices.version,
            "worst_tokens": 1_500,
            "worst_cost": Decimal("0.0105"),
            "worst_charge": Decimal("0.0315"),
            "first": intent(),
        }
        return Reservation(**{**values, **changes})

    async def admitted(self, who: Principal | None = None, **changes: Any) -> Reservation:
        reservation = self.reservation(who, **changes)
        verdict = await self.admission.admit(reservation)
        assert isinstance(verdict, Admitted), verdict
        return reservation

    async def refused(self, who: Principal | None = None, **changes: Any) -> Refused:
        verdict = await self.admission.admit(self.reservation(who, **changes))
        assert isinstance(verdict, Refused), verdict
        return verdict

    def outcome(self, usage: Usage, **changes: Any) -> AttemptOutcome:
        tier = changes.get("service_tier", "default")
        rated = rate(usage, self.prices.of(MODEL), tier=tier, markup=MARKUP)
        values = {"call": 0, "attempt": 1, "end": "settled", "usage": usage, "rated": rated}
        return AttemptOutcome(**{**values, **changes})  # type: ignore[arg-type]

    async def settle(
        self, reservation: Reservation, *outcomes: AttemptOutcome, final: bool = True
    ) -> Settled:
        return await self.admission.settle(
            Settlement(reservation.request_id, reservation.tenant_id, outcomes, final)
        )

    async def violations(self) -> list[Violation]:
        """What `reconcile --invariants` says by default."""
        return await self.keeper.violations(HOLD)

    async def fetch(self, query: str, *values: object) -> list[Any]:
        """As the operator, who reads accounting across tenants."""
        rows: list[Any] = await self.databases.operator.fetch(query, *values)
        return rows

    async def sums(self, who: Principal | None = None) -> tuple[Decimal, Decimal]:
        """Cost and charge of a tenant by its ledger."""
        who = who or self.anna
        rows = await self.fetch(
            "SELECT (SELECT coalesce(sum(amount), 0) FROM cost_entry WHERE tenant_id = $1) AS cost,"
            " (SELECT coalesce(sum(amount), 0) FROM charge_entry WHERE tenant_id = $1) AS charge",
            who.tenant_id,
        )
        return rows[0]["cost"], rows[0]["charge"]

    async def budget(self, subject: str = "plan", who: Principal | None = None) -> Any:
        rows = await self.fetch(
            "SELECT settled, reserved FROM budget_use WHERE tenant_id = $1 AND subject = $2"
            " ORDER BY period_end DESC LIMIT 1",
            (who or self.anna).tenant_id,
            subject,
        )
        return tuple(rows[0])

    async def in_flight(self, who: Principal | None = None) -> int:
        rows = await self.fetch(
            "SELECT in_flight FROM counter WHERE tenant_id = $1", (who or self.anna).tenant_id
        )
        count: int = rows[0]["in_flight"]
        return count

    async def as_superuser(self, statement: str, *values: object) -> None:
        """Does what no role of ours can, such as letting time pass."""
        connection = await asyncpg.connect(self.database.dsn("superuser"))
        try:
            await connection.execute(statement, *values)
        finally:
            await connection.close()

    async def plan(self, **limits: Any) -> None:
        """Gives both tenants' plan other limits, and both principals the new version."""
        await self.control.apply_plans({"standard": plan_table(**limits)})
        self.anna = await self.directory.refresh(self.anna)
        self.bert = await self.directory.refresh(self.bert)


def intent(call: int = 0, attempt: int = 1, **changes: Any) -> Intent:
    values: dict[str, Any] = {
        "call": call,
        "attempt": attempt,
        "operation": "Converse",
        "model": MODEL,
        "price_key": MODEL,
        "account": POOL.account,
        "region": POOL.region,
        "deadline_ms": 60_000,
        "pinned": {"tier": "default"},
    }
    return Intent(**{**values, **changes})


def plan_table(**limits: Any) -> Mapping[str, Any]:
    return {"markup": str(MARKUP.default), **limits}


def new_boot_id() -> int:
    return secrets.randbits(62)


@contextlib.asynccontextmanager
async def open_world(
    database: Database, *, zone: str = "UTC", anchor_day: int = 1, **limits: Any
) -> AsyncIterator[World]:
    """A world on a fresh database."""
    databases = await Databases.open(database.dsn)
    clock = SystemClock()
    control = PostgresControl(databases.control, pepper=PEPPER, seal=sealed, clock=clock)
    directory = PostgresDirectory(databases.app, pepper=PEPPER, open_sealed=opened, clock=clock)
    batcher = Batcher(lambda: databases.open_pinned("app"), new_boot_id())
    try:
        await control.apply_placement(POOL)
        await control.apply_plans({"standard": plan_table(**limits)})
        prices = await control.import_prices(synthetic_prices())
        keys, principals = {}, {}
        for name in ("anna", "bert"):
            tenant = await control.create_tenant(
                name, plan="standard", zone=zone, anchor_day=anchor_day
            )
            keys[name] = await control.create_key(tenant.id)
            principals[name] = await directory.by_bearer(keys[name].bearer, fresh=True)
        await batcher.start()
        work = TenantWork(databases.app)
        yield World(
            database,
            databases,
            control,
            directory,
            batcher,
            PostgresAdmission(batcher),
            PostgresLedgerKeeper(databases.control, databases.operator),
            PostgresTenantLedger(work),
            work,
            prices,
            principals["anna"],
            principals["bert"],
            keys,
        )
    finally:
        await batcher.close()
        databases.terminate()


def in_world(database: Database, body: Callable[[World], Awaitable[None]], **options: Any) -> None:
    """Runs a test's body in a world of its own, and holds every invariant at its end."""

    async def run() -> None:
        async with open_world(database, **options) as world:
            await body(world)
            assert await world.violations() == []

    asyncio.run(run())
