"""`ports.ledger.LedgerKeeper` and `ProviderBook`: sweeping, true-ups, write-offs, reconciling."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from tenantry.adapters.postgres import batch_words
from tenantry.adapters.postgres.archived import archived_through
from tenantry.adapters.postgres.connections import ACQUIRE_TIMEOUT_S
from tenantry.adapters.postgres.outages import outages_are_unavailable
from tenantry.adapters.postgres.outbox import enqueue
from tenantry.adapters.postgres.statements import statements
from tenantry.domain import money
from tenantry.domain.billed_later import BATCH_LATE_S
from tenantry.domain.ids import TenantId
from tenantry.domain.plan import plan_from
from tenantry.domain.postings import PREPAID
from tenantry.domain.reconciliation import Booked
from tenantry.ports.admission import AttemptOutcome, Settlement
from tenantry.ports.ledger import (
    AttemptKey,
    LogLocation,
    OpenAttempt,
    ProviderUsage,
    Violation,
)
from tenantry.ports.log_reading import LOGGED_ON
from tenantry.ports.outbox import PLATFORM, Notice

WRITTEN_OFF = "platform.written_off"
FORGOTTEN_MAX = 32  # lost logs of an account and region that an operator's word is remembered of
SWEEP_MAX = 1_000  # requests in one commit
WRITE_OFF_MAX = 1_000
ROUNDS_MAX = 100  # of either in one call; what is left comes with the next
BATCH_RUNS = timedelta(seconds=BATCH_LATE_S)
SWEEP_GRACE_S = 60  # the sweep comes every few seconds
ROLLUP_HOURS = (72, 48)  # the latest, and some of all: what is held against the roll-ups
ARCHIVED_MONTHS = 6  # of all: what is held against what stands for them
BOOK_ROWS = 2_000  # of the provider's book in one batch
BOOK_TIMEOUT_S = 600  # for a batch of it: the first one waits until all is sorted


class PostgresLedgerKeeper:
    """Acts through `control_pool`, reads the invariants through `operator_pool`."""

    def __init__(
        self, control_pool: Any, operator_pool: Any, *, book_rows: int = BOOK_ROWS
    ) -> None:
        self._control = control_pool
        self._operator = operator_pool
        self._book_rows = book_rows
        self._sql = {
            **statements("sql/keeper.sql"),
            **statements("sql/billing_invariants.sql"),
            **statements("sql/rollup_invariants.sql"),
        }

    async def sweep(self) -> int:
        return await self._in_rounds("sweep", SWEEP_MAX, SWEEP_MAX)

    async def open_attempts(self, limit: int) -> list[OpenAttempt]:
        rows = await self._fetch(self._control, "open_attempts", limit)
        return [_to_open_attempt(row) for row in rows]

    async def find_open(self, keys: Sequence[AttemptKey]) -> list[OpenAttempt]:
        rows = await self._fetch(self._control, "find_open", *_columns(keys))
        return [_to_open_attempt(row) for row in rows]

    async def under_way(self, keys: Sequence[AttemptKey]) -> list[AttemptKey]:
        rows = await self._fetch(self._control, "under_way", *_columns(keys))
        return [(row["tenant_id"], row["request_id"], row["call"], row["attempt"]) for row in rows]

    async def true_up(self, attempt: OpenAttempt, outcome: AttemptOutcome) -> bool:
        return await self.post(
            Settlement(attempt.request_id, attempt.tenant_id, (outcome,), final=False)
        )

    async def post(self, settlement: Settlement) -> bool:
        rows = batch_words.placed([batch_words.to_outcome_rows(settlement)])
        posted = (await self._fetch(self._control, "post", rows))[0][0]
        return bool(posted[0])

    async def write_off(self, older_than: datetime) -> int:
        return await self._end_as_waste("write_off", "no log record came", older_than)

    async def give_up(self, older_than: datetime, account: str | None = None) -> int:
        ended = await self._end_as_waste("give_up", "by an operator's word", account, older_than)
        await self._fetch(self._control, "forget_readings", account, FORGOTTEN_MAX)
        return ended

    async def give_up_request(self, tenant_id: TenantId, request_id: UUID) -> int:
        """`ports.batch.BatchLedger`."""
        why = "of a batch job that did not end"
        return await self._end_as_waste("give_up_request", why, tenant_id, request_id)

    async def _end_as_waste(self, name: str, why: str, *values: object) -> int:
        ended = 0
        for _ in range(ROUNDS_MAX):
            with outages_are_unavailable():
                async with (
                    self._control.acquire(timeout=ACQUIRE_TIMEOUT_S) as connection,
                    connection.transaction(),
                ):
                    rows = await connection.fetch(self._sql[name], *values, WRITE_OFF_MAX)
                    if rows:
                        await enqueue(connection, _written_off(rows, why))
            ended += len(rows)
            if len(rows) < WRITE_OFF_MAX:
                break
        return ended

    async def provider_usage(self) -> list[ProviderUsage]:
        rows = await self._fetch(self._operator, "provider_usage")
        return [
            ProviderUsage(
                row["request_id"], row["call"], row["attempt"], json.loads(row["quantities"])
            )
            for row in rows
        ]

    async def booked(self, start: datetime, end: datetime) -> AsyncIterator[Sequence[Booked]]:
        async with self._snapshot() as connection:
            cursor = await connection.cursor(self._sql["booked"], start, end)
            last: Booked | None = None  # its postings may go on in the next batch
            while rows := await cursor.fetch(self._book_rows, timeout=BOOK_TIMEOUT_S):
                batch = _to_booked(last, rows)
                last = batch.pop()
                yield batch
            if last is not None:
                yield [last]

    async def inference_profiles(self) -> Mapping[str, str]:
        rows = await self._fetch(self._operator, "inference_profiles")
        return {row["arn"]: row["model"] for row in rows}

    async def archived_through(self) -> datetime | None:
        return await archived_through(self._operator)

    async def log_locations(self) -> list[LogLocation]:
        """Of the placements that name one, by account and region."""
        rows = await self._fetch(self._operator, "log_locations")
        return [LogLocation(row["account"], row["region"], row["url"]) for row in rows]

    async def note_gone(self, named: Sequence[str]) -> None:
        """Since when a log that was read is not among those that are set up."""
        await self._fetch(self._control, "note_gone", named)
        await self._fetch(self._control, "drop_gone", LOGGED_ON)

    async def name_settings(self, name: str) -> None:
        """The name of the own bucket of all, which an older version noted without address."""
        await self._fetch(self._control, "name_settings", name)

    async def former_logs(self) -> list[str]:
        """Names of logs that are gone, and that open attempts from before may be told of in."""
        rows = await self._fetch(self._control, "former_logs", LOGGED_ON)
        return [row["name"] for row in rows]

    async def violations(self, hold: timedelta) -> list[Violation]:
        asked: Mapping[str, Sequence[object]] = {
            "violations": (hold, SWEEP_GRACE_S, BATCH_RUNS),
            "billing_violations": (PREPAID,),
            "rollup_violations": ROLLUP_HOURS,
            "archive_violations": (ARCHIVED_MONTHS,),
        }
        rows = []
        async with self._snapshot() as connection:
            there = await connection.fetchrow(self._sql["what_there_is"])
            for name, values in asked.items():
                if there[name]:
                    statement = self._sql[name]
                    rows += await connection.fetch(statement, *values, timeout=BOOK_TIMEOUT_S)
        return [Violation(row["invariant"], row["detail"]) for row in rows]

    @asynccontextmanager
    async def _snapshot(self) -> AsyncIterator[Any]:
        """One state of all tables, for as long as the books are large."""
        with outages_are_unavailable():
            async with (
                self._operator.acquire(timeout=ACQUIRE_TIMEOUT_S) as connection,
                connection.transaction(isolation="repeatable_read", readonly=True),
            ):
                await connection.execute(f"SET LOCAL statement_timeout = '{BOOK_TIMEOUT_S}s'")
                yield connection

    async def _in_rounds(self, name: str, full: int, *values: object) -> int:
        moved = 0
        for _ in range(ROUNDS_MAX):
            count: int = (await self._fetch(self._control, name, *values))[0][0]
            moved += count
            if count < full:
                break
        return moved

    async def _fetch(self, pool: Any, name: str, *values: object) -> list[Any]:
        with outages_are_unavailable():
            async with pool.acquire(timeout=ACQUIRE_TIMEOUT_S) as connection:
                rows: list[Any] = await connection.fetch(self._sql[name], *values)
        return rows


def _written_off(rows: Sequence[Any], why: str) -> Notice:
    """Of attempts that were written off in one transaction; each is once, so the first names it."""
    first = rows[0]
    once_key = f"{first['tenant_id']} {first['request_id']}/{first['call']}:{first['attempt']}"
    tenants = Counter(row["tenant_id"] for row in rows)
    summary = f"{len(rows)} attempts were written off: {why}"
    body = {"attempts": len(rows), "tenants": tenants, "summary": summary}
    return Notice(PLATFORM, WRITTEN_OFF, once_key, body)


def _columns(keys: Sequence[AttemptKey]) -> list[list[Any]]:
    return [[key[place] for key in keys] for place in range(4)]


def _to_open_attempt(row: Any) -> OpenAttempt:
    plan = plan_from(row["plan"], json.loads(row["definition"]), version=row["plan_version"])
    return OpenAttempt(
        tenant_id=TenantId(row["tenant_id"]),
        request_id=row["request_id"],
        call=row["call"],
        attempt=row["attempt"],
        operation=row["operation"],
        model=row["model"],
        price_key=row["price_key"],
        price_version=row["price_version"],
        plan=row["plan"],
        plan_version=row["plan_version"],
        markup=plan.markup_of(row["model"]),
        admitted_at=row["admitted_at"],
        pinned=json.loads(row["pinned"]),
        charged=row["charged"],
        account=row["account"],
        region=row["region"],
        quarantined=row["quarantined"],
        estimate=json.loads(row["estimate"]),
    )


def _to_booked(first: Booked | None, rows: Sequence[Any]) -> list[Booked]:
    """Rows of one posting each as attempts with all of theirs; `first` is of the rows before."""
    found = [] if first is None else [first]
    for row in rows:
        booked = Booked(
            tenant_id=row["tenant_id"],
            request_id=row["request_id"],
            call=row["call"],
            attempt=row["attempt"],
            state=row["state"],
            model=row["model"],
            price_key=row["price_key"],
            price_version=row["price_version"],
            service_tier=row["service_tier"],
            admitted_at=row["admitted_at"],
            last_at=row["last_at"],
            cost=row["amount"] or money.ZERO,
            quantities=dict(zip(row["token_classes"] or (), row["quantities"] or (), strict=True)),
            upstream_request_id=row["upstream_request_id"],
            note=row["note"],
        )
        if found and found[-1].key == booked.key:
            found[-1] = _with(found[-1], booked)
        else:
            found.append(booked)
    return found


def _with(booked: Booked, further: Booked) -> Booked:
    """A correction comes last, and with it the edition that holds from then on."""
    quantities = dict(booked.quantities)
    for name, quantity in further.quantities.items():
        quantities[name] = quantities.get(name, 0) + quantity
    cost = money.total((booked.cost, further.cost))
    return replace(booked, cost=cost, quantities=quantities, price_version=further.price_version)
