"""The control plane's idempotency keys on a real database."""

import asyncio
import uuid
from collections.abc import Awaitable, Callable

import pytest
from tests.support.operator_keys import operator_once
from tests.support.postgres import Database

from tenantry.adapters.postgres.connections import Databases
from tenantry.adapters.postgres.operator_keys import PostgresOperatorKeys
from tenantry.application.idempotency import Whole
from tenantry.application.operator_once import OperatorOnce
from tenantry.domain.errors import (
    BadRequest,
    IdempotencyInFlight,
    IdempotencyMismatch,
    ResultNotKept,
    Unavailable,
)

SECRET = b'{"key":"tk_very_secret"}'
BODY, OTHER = b"b" * 32, b"o" * 32


def run(database: Database, body: Callable[[OperatorOnce, Databases], Awaitable[None]]) -> None:
    async def main() -> None:
        databases = await Databases.open(database.dsn)
        try:
            await body(operator_once(PostgresOperatorKeys(databases.control)), databases)
        finally:
            databases.terminate()

    asyncio.run(main())


class Work:
    """Counts its runs; ends as told."""

    def __init__(self, problem: Exception | None = None) -> None:
        self.runs = 0
        self.problem = problem

    async def __call__(self) -> Whole:
        self.runs += 1
        if self.problem is not None:
            raise self.problem
        return Whole(201, {"content-type": "application/json"}, SECRET)


def test_a_repetition_gets_the_first_answer_and_runs_nothing(database: Database) -> None:
    async def body(once: OperatorOnce, databases: Databases) -> None:
        work = Work()
        first = await once.run("a", BODY, uuid.uuid4(), work)
        again = await once.run("a", BODY, uuid.uuid4(), work)
        assert (first[1], again[1], work.runs) == (False, True, 1)
        assert again[0] == first[0]
        with pytest.raises(IdempotencyMismatch):
            await once.run("a", OTHER, uuid.uuid4(), work)
        await once.run("b", BODY, uuid.uuid4(), work)
        assert work.runs == 2
        rows = await databases.control.fetch("SELECT * FROM tenantry.operator_key")
        assert len(rows) == 2
        assert b"tk_very" not in b"".join(row["sealed"] for row in rows)

    run(database, body)


def test_of_many_at_once_one_runs(database: Database) -> None:
    async def body(once: OperatorOnce, _: Databases) -> None:
        begun, go = asyncio.Event(), asyncio.Event()

        async def slow() -> Whole:
            assert not begun.is_set(), "it runs twice"
            begun.set()
            await go.wait()
            return Whole(200, {}, b"done")

        first = asyncio.create_task(once.run("a", BODY, uuid.uuid4(), slow))
        await begun.wait()
        for _each in range(3):
            with pytest.raises(IdempotencyInFlight):
                await once.run("a", BODY, uuid.uuid4(), slow)
        go.set()
        assert (await first)[0].body == b"done"

    run(database, body)


def test_what_was_refused_frees_its_key(database: Database) -> None:
    async def body(once: OperatorOnce, _: Databases) -> None:
        with pytest.raises(BadRequest):
            await once.run("a", BODY, uuid.uuid4(), Work(BadRequest()))
        work = Work()
        _, replayed = await once.run("a", OTHER, uuid.uuid4(), work)
        assert (work.runs, replayed) == (1, False)

    run(database, body)


@pytest.mark.parametrize("problem", [Unavailable(), RuntimeError()])
def test_a_run_that_may_have_written_is_never_run_again(
    database: Database, problem: Exception
) -> None:
    async def body(once: OperatorOnce, databases: Databases) -> None:
        with pytest.raises(type(problem)):
            await once.run("a", BODY, uuid.uuid4(), Work(problem))
        work = Work()
        with pytest.raises(IdempotencyInFlight):
            await once.run("a", BODY, uuid.uuid4(), work)
        await databases.control.execute("UPDATE tenantry.operator_key SET lease_until = now()")
        with pytest.raises(ResultNotKept):
            await once.run("a", BODY, uuid.uuid4(), work)
        assert work.runs == 0
        await databases.control.execute("UPDATE tenantry.operator_key SET expires_at = now()")
        await once.run("a", BODY, uuid.uuid4(), work)
        assert work.runs == 1

    run(database, body)
