"""The batcher when the database is away, slow, or lost in the middle of a call."""

import asyncio
import dataclasses
import os
import signal
from collections.abc import Awaitable, Callable
from decimal import Decimal
from typing import Any

import asyncpg
import pytest
from tests.support.ledger import World, in_world, intent
from tests.support.postgres import Database

from tenantry.adapters.postgres.batcher import Batcher
from tenantry.adapters.postgres.outages import why
from tenantry.domain.errors import Unavailable
from tenantry.domain.usage import Usage
from tenantry.ports.admission import Admitted

USED = Usage(uncached_in=1_000, out=500)
COST, CHARGE = Decimal("0.0105"), Decimal("0.0315")
_THERE = "SELECT FROM pg_catalog.pg_stat_activity WHERE pid = $1 AND backend_start = $2"


async def _end_sessions(world: World) -> None:
    """As a server that restarts: both sessions of the worker end."""
    await world.as_superuser(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE usename = 'tenantry_app' AND datname = current_database()"
    )


async def _eventually(check: Callable[[], Awaitable[bool]]) -> None:
    for _ in range(400):
        if await check():
            return
        await asyncio.sleep(0.025)
    raise AssertionError("it never came to be")


async def _admits_again(world: World) -> bool:
    try:
        return isinstance(await world.admission.admit(world.reservation(world.bert)), Admitted)
    except Unavailable:
        return False


async def _given_back(world: World) -> bool:
    rows = await world.fetch("SELECT ending, tokens FROM attempt")
    return [tuple(row) for row in rows] == [("released", 0)]


async def _nothing_open(world: World) -> bool:
    rows = await world.fetch(
        "SELECT 1 FROM open_request WHERE tenant_id = $1", world.anna.tenant_id
    )
    return rows == []


async def _given_up_unread(world: World) -> None:
    """A reservation that the server reads when the worker's next session has long begun."""
    slow = world.batcher.server_pid
    os.kill(slow, signal.SIGSTOP)
    try:
        with pytest.raises(Unavailable):
            await world.admission.admit(world.reservation())
        await _eventually(lambda: _admits_again(world))
        assert await _nothing_open(world)
    finally:
        os.kill(slow, signal.SIGCONT)


async def _forgotten(world: World) -> bool:
    return not world.batcher._lost


class _Held:
    """Holds a tenant's lock, so that a batch waits inside the database."""

    def __init__(self, world: World) -> None:
        self._world = world

    async def __aenter__(self) -> None:
        self._connection: Any = await asyncpg.connect(self._world.database.dsn("superuser"))
        await self._connection.execute("BEGIN")
        await self._connection.fetch(
            "SELECT 1 FROM tenantry.counter WHERE tenant_id = $1 FOR UPDATE",
            self._world.anna.tenant_id,
        )

    async def __aexit__(self, *_: object) -> None:
        await self._connection.execute("ROLLBACK")
        await self._connection.close()


def test_lost_sessions_are_made_anew(database: Database) -> None:
    async def body(world: World) -> None:
        reservation = await world.admitted()
        await _end_sessions(world)
        await _eventually(lambda: _admits_again(world))
        assert (await world.settle(reservation, world.outcome(USED))).posted
        assert await world.keeper.sweep() == 0, "the lease was taken again"

    in_world(database, body)


def test_a_settlement_outlives_a_lost_session(database: Database) -> None:
    async def body(world: World) -> None:
        reservation = await world.admitted()
        await _end_sessions(world)
        assert (await world.settle(reservation, world.outcome(USED))).posted
        assert await world.sums() == (COST, CHARGE)

    in_world(database, body)


def test_lost_in_the_middle_of_a_call(database: Database) -> None:
    """Commit unknown: a settlement is sent again, a reservation is refused and given back."""

    async def body(world: World) -> None:
        done = await world.admitted()
        async with _Held(world):
            settling = asyncio.create_task(world.settle(done, world.outcome(USED)))
            await _eventually(lambda: _waits_for_a_lock(world))
            admitting = asyncio.create_task(world.admission.admit(world.reservation()))
            await asyncio.sleep(0)
            await _end_sessions(world)
            with pytest.raises(Unavailable):
                await admitting
        assert (await settling).posted
        await _eventually(lambda: _nothing_open(world))
        assert await world.sums() == (COST, CHARGE)
        assert await world.budget() == (CHARGE, 0)

    in_world(database, body)


def test_a_reservation_in_a_lost_call_is_given_back(database: Database) -> None:
    async def body(world: World) -> None:
        async with _Held(world):
            admitting = asyncio.create_task(world.admission.admit(world.reservation()))
            await _eventually(lambda: _waits_for_a_lock(world))
            await _end_sessions(world)
            with pytest.raises(Unavailable):
                await admitting
        await _eventually(lambda: _admits_again(world))
        await _eventually(lambda: _nothing_open(world))
        assert await world.in_flight() == 0

    in_world(database, body)


def test_whoever_leaves_while_we_commit_holds_nothing(database: Database) -> None:
    async def body(world: World) -> None:
        async with _Held(world):
            admitting = asyncio.create_task(world.admission.admit(world.reservation()))
            await _eventually(lambda: _waits_for_a_lock(world))
            admitting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await admitting
        await _eventually(lambda: _given_back(world))
        assert await _nothing_open(world)
        assert await world.budget() == (0, 0)

    in_world(database, body)


def test_a_call_that_hangs_is_an_outage(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def body(world: World) -> None:
        monkeypatch.setattr("tenantry.adapters.postgres.batcher.CALL_TIMEOUT_S", 0.3)
        async with _Held(world):
            with pytest.raises(Unavailable):
                await world.admission.admit(world.reservation())
        await _eventually(lambda: _admits_again(world))
        await _eventually(lambda: _nothing_open(world))

    in_world(database, body)


def test_a_lost_call_that_commits_late_is_given_back_all_the_same(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server reads the call when the worker's next session has long begun."""

    async def body(world: World) -> None:
        monkeypatch.setattr("tenantry.adapters.postgres.batcher.CALL_TIMEOUT_S", 0.3)
        # A server that is told to end a session, and is too busy to hear it for now.
        monkeypatch.setattr("tenantry.adapters.postgres.lost_calls._END", _THERE)
        await _given_up_unread(world)
        await _eventually(lambda: _given_back(world))
        assert await _nothing_open(world)
        assert await world.budget() == (0, 0)

    in_world(database, body)


def test_a_lost_call_that_never_ran_is_ended_and_given_up(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def body(world: World) -> None:
        monkeypatch.setattr("tenantry.adapters.postgres.batcher.CALL_TIMEOUT_S", 0.3)
        await _given_up_unread(world)
        await _eventually(lambda: _forgotten(world))
        assert await world.fetch("SELECT FROM attempt") == []
        assert await _nothing_open(world)
        assert isinstance(await world.admission.admit(world.reservation()), Admitted)

    in_world(database, body)


def test_without_a_database_everybody_is_told_at_once(database: Database) -> None:
    async def body(world: World) -> None:
        async def away() -> Any:
            raise Unavailable("The database is out of reach.")

        reservation = await world.admitted()
        reopen, world.batcher._open = world.batcher._open, away
        waiting = [asyncio.create_task(_admit(world)) for _ in range(20)]
        await _end_sessions(world)
        said = await asyncio.gather(*waiting)
        assert {type(each) for each in said} <= {Admitted, Unavailable}
        await _eventually(lambda: _refused_at_once(world))
        with pytest.raises(Unavailable):
            await world.admission.begin(
                reservation.tenant_id, reservation.request_id, intent(attempt=2)
            )
        with pytest.raises(Unavailable):
            await world.settle(reservation, world.outcome(USED))  # after SETTLE_RETRY_S
        world.batcher._open = reopen
        await _eventually(lambda: _admits_again(world))
        await world.settle(reservation, world.outcome(USED))
        assert (await world.sums())[0] == COST

    in_world(database, body)


def test_a_full_queue_refuses(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    async def body(world: World) -> None:
        monkeypatch.setattr("tenantry.adapters.postgres.batcher.QUEUE_MAX", 5)
        async with _Held(world):
            first = asyncio.create_task(_admit(world))
            await _eventually(lambda: _waits_for_a_lock(world))
            rest = [asyncio.create_task(_admit(world)) for _ in range(8)]
            await asyncio.sleep(0.05)
        said = await asyncio.gather(first, *rest)
        assert [type(each) for each in said] == [Admitted] * 6 + [Unavailable] * 3

    in_world(database, body)


def test_one_request_is_two_commits(database: Database) -> None:
    """Counted in the server's own transaction ids: one to admit, one to settle."""

    async def body(world: World) -> None:
        connection = await asyncpg.connect(world.database.dsn("superuser"))

        async def next_xid() -> int:
            return int(await connection.fetchval("SELECT pg_snapshot_xmax(pg_current_snapshot())"))

        taken = []
        for _ in range(3):
            before = await next_xid()
            for _ in range(10):
                await world.settle(await world.admitted(), world.outcome(USED))
            taken.append(await next_xid() - before)
        assert min(taken) == 20, "autovacuum takes some too, now and then"
        await connection.close()

    in_world(database, body)


async def _waits_for_a_lock(world: World) -> bool:
    rows = await world.fetch(
        "SELECT 1 FROM pg_locks WHERE NOT granted AND locktype IN ('transactionid', 'tuple')"
    )
    return rows != []


async def _admit(world: World) -> object:
    try:
        return await world.admission.admit(world.reservation())
    except Unavailable as outage:
        return outage


async def _refused_at_once(world: World) -> bool:
    if world.batcher.up:
        return False
    with pytest.raises(Unavailable):
        async with asyncio.timeout(0.2):
            await world.admission.admit(dataclasses.replace(world.reservation()))
    return True


def test_closing_sends_what_waits(database: Database) -> None:
    async def body(world: World) -> None:
        other = Batcher(lambda: world.databases.open_pinned("app"), 77)
        await other.start()
        world.admission._batcher = other
        tasks = [asyncio.create_task(_admit(world)) for _ in range(10)]
        await asyncio.sleep(0)
        await other.close()
        assert [type(each) for each in await asyncio.gather(*tasks)] == [Admitted] * 10
        with pytest.raises(Unavailable):
            await world.admission.admit(world.reservation())

    in_world(database, body)


class _FullDisk:
    """A batch on a server without room."""

    async def fetch(self, *_: object, **__: object) -> Any:
        raise asyncpg.DiskFullError("could not extend file: No space left on device")


def test_why_admission_waits_is_logged(
    database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    async def body(world: World) -> None:
        world.batcher._call = _FullDisk()
        for who in (world.anna, world.bert):  # who met it, and who is refused at once for it
            with pytest.raises(Unavailable) as refused:
                await world.admission.admit(world.reservation(who))
            assert why(refused.value) == "could not extend file: No space left on device"
        await _eventually(lambda: _admits_again(world))

    in_world(database, body)
    (said,) = [line for line in caplog.messages if line.startswith("admission waits")]
    assert said.endswith("the database: could not extend file: No space left on device")
