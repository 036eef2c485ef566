"""Several workers over one ledger, and what becomes of those that die."""

import asyncio
import contextlib
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from tests.support.ledger import World, in_world, intent, new_boot_id
from tests.support.ledger_process import spec_of
from tests.support.postgres import Database

from tenantry.adapters.postgres.admission import PostgresAdmission
from tenantry.adapters.postgres.batcher import Batcher
from tenantry.domain.usage import Usage
from tenantry.ports.admission import Admitted, Refused
from tenantry.ports.control import Budget

ROOT = Path(__file__).parents[3]
USED = Usage(uncached_in=1_000, out=500)
COST, CHARGE = Decimal("0.0105"), Decimal("0.0315")


@contextlib.asynccontextmanager
async def worker(spec: str) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.support.ledger_process",
        spec,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])},
        limit=2**20,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def admitted_by(process: asyncio.subprocess.Process) -> list[str]:
    assert process.stdout is not None
    said: list[str] = json.loads(await process.stdout.readline())
    return said


async def settle(process: asyncio.subprocess.Process) -> None:
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(b"settle\n")
    assert await process.stdout.readline() == b"settled\n"


def test_what_another_worker_is_writing_is_waited_for_and_counted(database: Database) -> None:
    async def body(world: World) -> None:
        await world.plan(requests_per_day=2)
        admin = await asyncpg.connect(database.dsn("superuser"))
        async with admin.transaction():
            await admin.execute(
                "UPDATE tenantry.counter SET day_requests = 2 WHERE tenant_id = $1",
                world.anna.tenant_id,
            )
            deciding = asyncio.create_task(world.admission.admit(world.reservation()))
            async with asyncio.timeout(30):
                while not await admin.fetchval(
                    "SELECT EXISTS (SELECT FROM pg_locks WHERE pid = $1 AND NOT granted)",
                    world.batcher.server_pid,
                ):
                    assert not deciding.done(), deciding.result()
                    await asyncio.sleep(0.01)
        await admin.close()
        verdict = await deciding
        assert isinstance(verdict, Refused), verdict
        assert verdict.code == "requests_per_day"
        await world.admitted(world.bert)

    in_world(database, body)


CAPPED = {
    "tenant": ("tenant", {}),
    "run": ("run:r-1", {"run_id": "r-1"}),
    "user": ("user:0f", {"user_hash": "0f"}),
}


@pytest.mark.parametrize("scope", CAPPED)
def test_a_cap_holds_over_four_processes(database: Database, scope: Any) -> None:
    subject, whose = CAPPED[scope]

    async def body(world: World) -> None:
        scope_id = subject.partition(":")[2]
        await world.control.set_budget(
            Budget(world.anna.tenant_id, scope, scope_id, "month", "cost", Decimal(5))
        )
        spec = spec_of(
            world,
            250,
            worst_cost="0.10",
            worst_charge="0.30",
            quantity=10_000,
            unit_cost="4",
            **whose,
        )
        async with contextlib.AsyncExitStack() as stack:
            workers = [await stack.enter_async_context(worker(spec)) for _ in range(4)]
            admitted = [await admitted_by(process) for process in workers]
            assert sum(map(len, admitted)) == 50
            assert await world.budget(subject) == (0, Decimal("5.00"))
            if whose:  # nobody else's cap
                await world.settle(await world.admitted(run_id="r-2", user_hash="1f"))
            for process in workers:
                await settle(process)
            assert await world.budget(subject) == (Decimal("2.00"), 0)
            assert await world.sums() == (Decimal("2.00"), Decimal("6.00"))
            more = spec_of(world, 40, worst_cost="0.10", worst_charge="0.30", **whose)
            later = await stack.enter_async_context(worker(more))
            assert len(await admitted_by(later)) == 30, "3.00 are free"
            await settle(later)

    in_world(database, body)


def test_cold_workers_agree_with_the_ledger(database: Database) -> None:
    """There is no cache of limits to flush: eight new workers decide as one that never left."""

    async def body(world: World) -> None:
        await world.plan(monthly_budget=str(10 * CHARGE), requests_per_day=100)
        for _ in range(4):
            await world.settle(await world.admitted(), world.outcome(USED))
        workers = [
            Batcher(lambda: world.databases.open_pinned("app"), new_boot_id()) for _ in "8" * 8
        ]
        try:
            for batcher in workers:
                await batcher.start()
            verdicts = await asyncio.gather(
                *(
                    PostgresAdmission(batcher).admit(world.reservation())
                    for batcher in workers
                    for _ in range(3)
                )
            )
        finally:
            await asyncio.gather(*(batcher.close() for batcher in workers))
        assert sum(isinstance(verdict, Admitted) for verdict in verdicts) == 6
        assert await world.budget() == (4 * CHARGE, 6 * CHARGE)

    in_world(database, body)


def test_the_holder_dies_and_its_slots_fall_free(database: Database) -> None:
    """Admitted directly as dispatched: what was sent is unknowable, so it is unknown and held."""

    async def body(world: World) -> None:
        await world.plan(concurrent_requests=5)
        async with worker(spec_of(world, 5)) as process:
            admitted = await admitted_by(process)
            assert len(admitted) == 5
            assert (await world.refused()).code == "concurrent_requests"
            assert await world.keeper.sweep() == 0, "it lives"
            process.send_signal(signal.SIGKILL)
            await process.wait()
        assert await _swept(world) == 5
        assert await world.keeper.sweep() == 0
        assert await world.in_flight() == 0
        assert await world.budget() == (0, 5 * CHARGE), "the hold is kept"
        unknown = await world.keeper.open_attempts(10)
        assert {str(each.request_id) for each in unknown} == set(admitted)
        for each in unknown[:2]:
            assert each.charged
            assert await world.keeper.true_up(each, world.outcome(USED))
        later = datetime.now(UTC) + timedelta(hours=1)
        assert await world.keeper.give_up(later) == 3
        assert await world.sums() == (2 * COST, 2 * CHARGE)
        assert await world.budget() == (2 * CHARGE, 0)

    in_world(database, body)


def test_slots_are_leases_of_each_worker_alone(database: Database) -> None:
    """Of two workers at the limit one dies: its slots are had again, the other's stay taken."""

    async def body(world: World) -> None:
        await world.plan(concurrent_requests=4)
        async with worker(spec_of(world, 2)) as living, worker(spec_of(world, 2)) as dying:
            assert len(await admitted_by(living)) == len(await admitted_by(dying)) == 2
            assert (await world.refused()).code == "concurrent_requests"
            assert await world.keeper.sweep() == 0, "both live"
            dying.send_signal(signal.SIGKILL)
            await dying.wait()
            moved = 0
            for _ in range(200):
                moved += await world.keeper.sweep()
                if moved == 2:
                    break
                await asyncio.sleep(0.05)
            assert moved == 2
            assert await world.in_flight() == 2
            mine = [await world.admitted() for _ in range(2)]
            assert (await world.refused()).code == "concurrent_requests"
            await settle(living)
            assert await world.in_flight() == 2
            assert await world.keeper.sweep() == 0
            for reservation in mine:
                await world.settle(reservation, world.outcome(USED))
        assert await world.in_flight() == 0
        assert await world.keeper.give_up(datetime.now(UTC) + timedelta(hours=1)) == 2

    in_world(database, body)


def test_killed_in_the_middle_of_settling(database: Database) -> None:
    """Whatever the moment, each attempt ends once, with totals as without the crash."""

    async def body(world: World) -> None:
        for _ in range(3):
            async with worker(spec_of(world, 200)) as process:
                await admitted_by(process)
                assert process.stdin is not None
                process.stdin.write(b"settle\n")
                await process.stdin.drain()
                await _until_some_settled(world)
                process.send_signal(signal.SIGKILL)
                await process.wait()
            await _swept(world)
            for each in await world.keeper.open_attempts(1_000):
                used = world.outcome(Usage(out=700))
                assert await world.keeper.true_up(each, used)
            assert await world.fetch("SELECT 1 FROM open_request") == []
        assert await world.sums() == (600 * COST, 600 * CHARGE)
        assert await world.budget() == (600 * CHARGE, 0)

    in_world(database, body)


def test_an_overdue_attempt_is_unknown_though_its_worker_lives(database: Database) -> None:
    async def body(world: World) -> None:
        late = await world.admitted(first=intent(deadline_ms=0))
        await world.admitted(world.bert)
        assert await world.keeper.sweep() == 1
        assert await world.in_flight() == 0
        assert await world.in_flight(world.bert) == 1
        settled = await world.settle(late, world.outcome(USED))
        assert settled.posted, "late is not lost"
        [row] = await world.fetch("SELECT flags FROM charge_entry")
        assert "late" in row["flags"]
        assert await world.budget() == (CHARGE, 0)

    in_world(database, body)


async def _swept(world: World) -> int:
    """Sweeps until the server has noticed that the worker's sessions are gone."""
    moved = 0
    for _ in range(200):
        moved += await world.keeper.sweep()
        open_ones = await world.fetch(
            "SELECT 1 FROM open_request WHERE NOT final AND boot_id <> $1", world.batcher.boot_id
        )
        if not open_ones:
            return moved
        await asyncio.sleep(0.05)
    raise AssertionError("a dead worker's requests are still open")


async def _until_some_settled(world: World) -> None:
    before: Any = None
    for _ in range(2_000):
        [row] = await world.fetch("SELECT count(*) FROM attempt")
        if before is not None and row[0] > before:
            return
        before = row[0] if before is None else before
        await asyncio.sleep(0.001)
