"""Plays a scenario on the real parts and gathers the facts that the auditor judges.

1. tenants, plans, prices, budgets  2. traffic and trouble, at their instants  3. workers drain
4. the log comes, and settles what is unknown  5. what no log speaks of is written off
6. what was held back of the log comes late.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any, TypeVar

import asyncpg
from tests.support.idempotency import MemoryKeys
from tests.support.ledger import PEPPER, new_request_id, opened, sealed
from tests.support.postgres import Database
from tests.support.simulated.facts import EditionFacts, Facts, Peak, PlanFacts, Sending, TenantFacts
from tests.support.simulated.hands import Hand, hands
from tests.support.simulated.scenario import (
    ACCOUNTS,
    RATES,
    Call,
    Event,
    Prices,
    Scenario,
    TenantPlan,
)
from tests.support.simulated.theatre import Theatre
from tests.support.simulated.worker import JumpingClock
from tests.support.stack_processes import kill

from tenantry.adapters import shipped
from tenantry.adapters.clock import SystemClock
from tenantry.adapters.invocation_log.folder import OF_EACH_ACCOUNT, FolderLog
from tenantry.adapters.keys.labels import TenantLabels
from tenantry.adapters.postgres.connections import Databases
from tenantry.adapters.postgres.contracts import PostgresContracts
from tenantry.adapters.postgres.control import PostgresControl
from tenantry.adapters.postgres.directory import PostgresDirectory
from tenantry.adapters.postgres.keeper import PostgresLedgerKeeper
from tenantry.adapters.sealed.sealer import TenantSealer
from tenantry.application.true_up import TrueUp
from tenantry.domain.contract import ExchangeRate
from tenantry.domain.errors import Unavailable
from tenantry.domain.placement import Placement
from tenantry.domain.price import edition_from_csv
from tenantry.ports.control import Budget

Result = TypeVar("Result")
HOLD = timedelta(hours=72)
POLL_S = 0.05
# A connection that breaks while it is read from may say that it is in use.
OUTAGES = (
    Unavailable,
    OSError,
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
)
OUTAGE_S = 30.0  # the longest that PostgreSQL may take to come back
SETTLE_S = 30.0
LATEST_ANSWER_S = 0.4  # no answer of the emulator comes later, whoever has left
_BUDGETS = """
SELECT u.tenant_id, u.subject, u.period, u.basis, u.period_start, u.settled + u.reserved AS amount,
       CASE u.subject WHEN 'plan' THEN p.monthly_budget ELSE u.amount END AS limit
FROM tenantry.budget_use u JOIN tenantry.tenant t USING (tenant_id)
JOIN tenantry.plan p ON p.name = t.plan AND p.superseded_at IS NULL
"""
_LAPSE = """
UPDATE tenantry.idempotency SET lease_until = now() - interval '1 s'
WHERE state = 'running' AND request_id = ANY ($1::text[]::uuid[])
"""
_OPEN = """
SELECT request_id::text, call, attempt, state, quarantined IS NOT NULL AS quarantined
FROM tenantry.intent
"""


class Stage:
    """One run of one scenario over one fresh database."""

    def __init__(
        self, theatre: Theatre, database: Database, databases: Databases, scenario: Scenario
    ) -> None:
        self.facts = Facts(scenario.seed)
        self.keeper = PostgresLedgerKeeper(databases.control, databases.operator)
        self._theatre, self._database, self._databases = theatre, database, databases
        self._scenario = scenario
        self._clock = JumpingClock()  # of the background worker
        clock = SystemClock()
        self._control = PostgresControl(databases.control, pepper=PEPPER, seal=sealed, clock=clock)
        self._directory = PostgresDirectory(
            databases.app, pepper=PEPPER, open_sealed=opened, clock=self._clock
        )
        log = FolderLog(theatre.accounts, each=OF_EACH_ACCOUNT)
        self._true_up = TrueUp(self.keeper, self._directory, {"accounts": log})
        keys = MemoryKeys()
        self._labels = TenantLabels(TenantSealer(keys), keys)
        self._bearers: dict[str, str] = {}  # by key id
        self._hands: list[Hand] = []

    async def play(self) -> None:
        """Everything up to the end, when nothing is open any more."""
        await self._set()
        self._hands = hands(
            self._theatre,
            self.facts,
            self._database.dsn,  # type: ignore[arg-type]
            self._leases_lapse,
        )
        for hand in self._hands:
            await hand.start()
        try:
            async with self._polled():
                await self._perform()
                for hand in self._hands:
                    await hand.drain()
        finally:
            for hand in self._hands:
                await hand.close()
        await self._settle_all()
        self.facts.billed = self._theatre.bill()
        self.facts.logged = self._theatre.records(withheld=False)
        self.facts.ended_at = await self._now()

    # -- 1. the stage -----------------------------------------------------------------------

    async def _set(self) -> None:
        for kind, account in ACCOUNTS.items():
            await self._control.apply_placement(
                Placement(kind, kind, account, "us-east-1", frozenset({"us-east-1"}))  # type: ignore[arg-type]
            )
        await self._control.apply_models(shipped.bedrock_models())
        await self._import(self._scenario.prices, timedelta(days=-1))
        for name, table in self._scenario.plans.items():
            await self._apply(name, dict(table))
        contracts = PostgresContracts(self._databases.control)
        for currency, rate in RATES.items():
            day, exact = date(2020, 1, 1), Decimal(rate.numerator) / rate.denominator
            await contracts.add_rate(ExchangeRate(day, "USD", currency, exact, "simulated"))
        for plan in self._scenario.tenants:
            self.facts.tenants.append(await self._tenant(plan))

    async def _tenant(self, given: TenantPlan) -> TenantFacts:
        tenant = await self._control.create_tenant(
            given.name,
            plan=given.plan,
            placement=given.placement,
            zone=given.zone,
            anchor_day=given.anchor_day,
            currency=given.currency,
        )
        keys = []
        for _ in range(given.keys):
            key = await self._control.create_key(tenant.id)
            self._bearers[key.id] = key.bearer
            keys.append(key.id)
        principal = await self._directory.by_bearer(self._bearers[keys[0]], fresh=True)
        users = {name: await self._labels.user_hash(principal, name) for name in ("ada", "bob")}
        for scope, ident, period, basis, limit in given.budgets:
            named = {"tenant": tenant.id, "api_key": keys[0], "user": users["ada"]}
            await self._control.set_budget(
                Budget(
                    tenant.id,
                    scope,  # type: ignore[arg-type]
                    named.get(scope, ident),
                    period,  # type: ignore[arg-type]
                    basis,  # type: ignore[arg-type]
                    Decimal(limit),
                )
            )
        return TenantFacts(
            tenant.id, given.name, given.zone, given.anchor_day, given.currency,
            ACCOUNTS[given.placement], given.plan, tuple(keys), users,
        )  # fmt: skip

    async def _import(self, prices: Prices, effective_in: timedelta) -> None:
        lines = ["model,tier,over_tokens,class,usd_per_million"]
        lines += [
            f"{model},{tier},{over},{name},{usd}"
            for (model, tier, over, name), usd in prices.items()
        ]
        after = await self._now()
        effective = after + effective_in
        edition = edition_from_csv(lines, version=1, effective_from=effective, source="simulated")
        stored = await self._control.import_prices(edition)
        self.facts.editions.append(
            EditionFacts(stored.version, effective, after, await self._now(), prices)
        )

    async def _apply(self, name: str, table: dict[str, Any]) -> None:
        after = await self._now()
        [plan] = await self._control.apply_plans({name: table})
        self.facts.plans.append(PlanFacts(name, plan.version, table, after, await self._now()))

    # -- 2. traffic and trouble ---------------------------------------------------------------

    async def _perform(self) -> None:
        rules: list[dict[str, Any]] = []
        acts: list[tuple[int, Callable[[], Awaitable[None]]]] = []
        for call in self._scenario.calls:
            for number, (at_ms, slot) in enumerate(_sendings(call)):
                acts.append((at_ms, self._call(call, number, slot, rules)))
        for event in self._scenario.events:
            acts.append((event.at_ms, lambda event=event: self._happen(event)))
        if rules:
            await asyncio.to_thread(self._theatre.emulator.rules, *rules)
        begin = time.monotonic()
        async with asyncio.TaskGroup() as group:
            for at_ms, act in sorted(acts, key=lambda known: known[0]):
                await asyncio.sleep(max(0.0, begin + at_ms / 1_000 - time.monotonic()))
                group.create_task(act())  # type: ignore[arg-type]

    def _call(
        self, call: Call, number: int, slot: int, rules: list[dict[str, Any]]
    ) -> Callable[[], Awaitable[None]]:
        request_id, tenant = new_request_id(), self.facts.tenants[call.tenant]
        key = tenant.keys[call.key]
        if call.fault is not None:
            match = {"request_metadata": {"rid": str(request_id)}}
            rules.append({"match": match, "action": call.fault, "times": call.times})
        order = {
            "number": call.number, "request_id": str(request_id), "bearer": self._bearers[key],
            "kind": call.kind, "model": call.model, "body": call.body, "texts": call.texts,
            "tier": call.tier, "user": call.user, "run": call.run, "tags": dict(call.tags),
            "leaves": call.leaves, "death": call.death if number == 0 else None,
            "implied": call.number % 2 == 0, "idempotency_key": None,
        }  # fmt: skip
        if call.repeats:
            order["idempotency_key"] = str(uuid.UUID(int=call.number))

        async def send() -> None:
            sending = Sending(
                call.number, str(request_id), tenant, key, call.model, call.kind == "embed",
                call.tier or "default", call.writes, call.fault_name, call.user,
                call.run, call.tags, bool(call.repeats), datetime.now(UTC),
            )  # fmt: skip
            self.facts.sendings.append(sending)
            order["sending"] = len(self.facts.sendings)
            await self._hands[slot].send(order, sending)

        return send

    async def _happen(self, event: Event) -> None:
        values = event.values
        match event.kind:
            case "price":
                effective_in = timedelta(milliseconds=values["in_ms"])
                await self._patiently(lambda: self._import(values["prices"], effective_in))
            case "plan":
                await self._patiently(lambda: self._apply(values["name"], values["table"]))
            case "clock" if values["worker"] < len(self._hands):
                await self._hands[values["worker"]].jump(values["offset_s"])
            case "clock":
                self._clock.offset_s = values["offset_s"]
            case "log":
                await asyncio.to_thread(self._theatre.flush, withheld=values["withheld"])
                await self._patiently(self._read_logs)
            case "sweep":
                await self._patiently(self.keeper.sweep)
            case "kill":
                self._hands[values["worker"]].kill()
            case "restart-postgres":
                self.facts.outages = True
                status = self._database.cluster.status()
                assert status is not None
                await asyncio.to_thread(kill, [status.postmaster_pid])
            case _:
                raise AssertionError(event)

    @contextlib.asynccontextmanager
    async def _polled(self) -> AsyncIterator[None]:
        """While the block runs, the most that each hard budget holds is noted."""
        poll = asyncio.create_task(self._poll())
        try:
            yield
        finally:
            poll.cancel()
            await asyncio.wait([poll])
            if not poll.cancelled():
                poll.result()

    async def _poll(self) -> None:
        while True:
            for row in await self._fetch(_BUDGETS):
                if row["limit"] is None:
                    continue
                key = tuple(row.values())[:5]
                limit = Fraction(row["limit"]) / self._rate(row["tenant_id"], row["basis"])
                peak = Peak(*key[:4], Fraction(row["amount"]), limit)
                known = self.facts.peaks.get(key)
                if known is None or known.amount < peak.amount:
                    self.facts.peaks[key] = peak
            await asyncio.sleep(POLL_S)

    def _rate(self, tenant_id: str, basis: str) -> Fraction:
        """What turns a limit into USD: guards in cost are in it already."""
        currencies = {tenant.id: tenant.currency for tenant in self.facts.tenants}
        return RATES.get(currencies[tenant_id], Fraction(1)) if basis == "charge" else Fraction(1)

    async def _leases_lapse(self, request_ids: list[str]) -> None:
        """Time passes for the idempotency keys of a worker that died: their lease is over."""

        async def lapse() -> None:
            connection = await asyncpg.connect(self._database.dsn("superuser"))
            try:
                await connection.execute(_LAPSE, request_ids)
            finally:
                await connection.close()

        await self._patiently(lapse)

    # -- 4. to 6. the end ---------------------------------------------------------------------

    async def _settle_all(self) -> None:
        await asyncio.sleep(LATEST_ANSWER_S)
        await asyncio.to_thread(self._theatre.flush)
        delivered = _attempts(self._theatre.records(withheld=False))

        def waits(row: Any) -> bool:
            """Whether it may still end without a write-off and without what is held back."""
            attempt = (row["request_id"], row["call"], row["attempt"])
            return row["state"] != "unknown" or attempt in delivered

        await self._until(lambda rows: not any(map(waits, rows)))
        for row in await self._fetch(_OPEN):
            self.facts.late.add((row["request_id"], row["call"], row["attempt"]))
        await self.keeper.give_up(datetime.now(UTC) + timedelta(hours=1))
        self._theatre.release()
        billed = -1
        while billed < (billed := len(self._theatre.bill())):  # a slow machine still answers
            await asyncio.to_thread(self._theatre.flush)
            await self._until(lambda rows: not rows)
            await self._read_logs()
            await asyncio.sleep(0.1)

    async def _until(self, done: Callable[[list[Any]], bool]) -> None:
        deadline = time.monotonic() + SETTLE_S
        while True:
            await self._patiently(self.keeper.sweep)
            await self._patiently(self._read_logs)
            rows = await self._fetch(_OPEN)
            if done(rows):
                return
            assert time.monotonic() < deadline, f"still open: {[tuple(row) for row in rows]}"
            await asyncio.sleep(0.1)

    async def _read_logs(self) -> object:
        return await self._true_up.read_logs(self._clock.now(), HOLD)

    async def _now(self) -> datetime:
        """By the database's clock."""
        rows = await self._fetch("SELECT clock_timestamp()")
        now: datetime = rows[0][0]
        return now

    async def _fetch(self, query: str) -> list[Any]:
        async def fetch() -> list[Any]:
            rows: list[Any] = await self._databases.operator.fetch(query)
            return rows

        return await self._patiently(fetch)

    async def _patiently(self, work: Callable[[], Awaitable[Result]]) -> Result:
        """Once PostgreSQL is back, where it is away."""
        deadline = time.monotonic() + OUTAGE_S
        while True:
            try:
                return await work()
            except OUTAGES:
                if not self.facts.outages or time.monotonic() > deadline:
                    raise
                await asyncio.sleep(0.05)


def _sendings(call: Call) -> list[tuple[int, int]]:
    """When each sending of a call begins, and through which worker."""
    return [(call.at_ms, call.worker), *((call.at_ms + ms, slot) for ms, slot in call.repeats)]


def _attempts(records: list[dict[str, Any]]) -> set[tuple[str, int, int]]:
    found = set()
    for record in records:
        metadata = record.get("requestMetadata")
        if metadata is not None:
            call, _, attempt = metadata["att"].partition(":")
            found.add((metadata["rid"], int(call), int(attempt)))
    return found
