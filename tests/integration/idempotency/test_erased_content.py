"""Conversations and cached answers of who is erased while they are made; and erased once more."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.support.erasing import Shop, everyone
from tests.support.ledger import World, in_world
from tests.support.postgres import Database

from tenantry.adapters.postgres.sessions import PostgresExpiredSessions
from tenantry.adapters.postgres.statements import statements
from tenantry.application.sessions import sweep_sessions
from tenantry.ports.idempotency import Lost
from tenantry.ports.objects import ObjectKind

OTHERS = {"anna answer": 1, "anna session": 1, "bert answer": 2, "bert session": 2}


def stopped() -> float:
    """The clock of a worker that goes by its first list of who was erased."""
    return 0.0


async def waits(world: World, erasing: asyncio.Task[Any]) -> None:
    """Until it waits for the lock of another session; fails where it ends before."""
    waiting = (
        "SELECT FROM pg_locks WHERE NOT granted AND locktype = 'advisory'"
        " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
    )
    while not await world.fetch(waiting):
        assert not erasing.done(), "it waits for nobody"
        await asyncio.sleep(0.01)


@pytest.mark.parametrize("told", [False, True])
def test_what_is_under_way_when_its_user_is_erased_is_kept_nowhere(
    database: Database, tmp_path: Path, told: bool
) -> None:
    """Of four who ask, one is erased before the answers are there. `told`: in a stream, whose
    caller has the session's id from its beginning on."""

    async def body(world: World) -> None:
        shop = Shop(world, tmp_path)
        under_way = []
        for one in everyone(world):
            await shop.known(*one)
            under_way.append((one, await shop.turn(*one), await shop.asked(*one)))
        if told:
            for _, turn, _ in under_way:
                await turn.tell()
        erased = await shop.erase(world.anna, "ann")
        assert (erased["links"], erased["sessions"]) == (1, int(told))
        for one, turn, name in under_way:
            await turn.tell()
            await turn.keep("what is mine?", f"all of {one[1]}")
            await shop.answered(*one, name)
        assert await shop.rows() == OTHERS
        expired = PostgresExpiredSessions(world.databases.control)
        assert await sweep_sessions(expired, shop.objects) == int(told)
        assert len(shop.files()) == 3 + 3, "a session and an answer of each of the others"
        again = await shop.erase(world.anna, "ann")
        assert set(again.values()) == {0}
        assert await shop.rows() == OTHERS

    in_world(database, body)


def test_a_worker_that_has_not_heard_of_an_erasure_keeps_nothing_either(
    database: Database, tmp_path: Path
) -> None:
    async def body(world: World) -> None:
        shop, other = Shop(world, tmp_path), Shop(world, tmp_path, monotonic=stopped)
        for one in everyone(world):
            await shop.known(*one)
            await other.labels.user_hash(*one)
        before = await shop.labels.user_hash(world.anna, "ann")
        await shop.erase(world.anna, "ann")
        assert await other.labels.user_hash(world.anna, "ann") == before, "it has not heard of it"
        for one in everyone(world):
            turn, name = await other.turn(*one), await other.asked(*one)
            await turn.keep("what is mine?", "this")
            await other.answered(*one, name)
        assert await shop.rows() == OTHERS
        assert len(shop.files()) == 3 + 3

    in_world(database, body)


def test_what_is_being_committed_when_its_user_is_erased_is_waited_for(
    database: Database, tmp_path: Path
) -> None:
    """Its transaction was told that the user is there, and goes on when the name is parted."""

    async def body(world: World) -> None:
        shop = Shop(world, tmp_path)
        sql, tasks = statements("sql/sessions.sql")["begin"], {}
        for who in (world.anna, world.bert):
            await shop.known(who, "ann")
        async with world.work.writing(world.anna.tenant_id) as unit:
            user_hash = await shop.labels.user_hash(world.anna, "ann")
            values = ("ses_late", user_hash, bytes(32), "111111111111", "object", 60, 3_600)
            assert await unit.fetchval(sql, world.anna.tenant_id, *values)
            for who in (world.bert, world.anna):
                tasks[who.tenant_id] = asyncio.create_task(shop.erase(who, "ann"))
            await tasks[world.bert.tenant_id]  # another tenant's waits for nobody
            await waits(world, tasks[world.anna.tenant_id])
        assert (await tasks[world.anna.tenant_id])["sessions"] == 1
        assert (await shop.rows())["anna session"] == 0

    in_world(database, body)


def test_a_result_that_is_being_committed_is_waited_for_too(
    database: Database, tmp_path: Path
) -> None:
    async def body(world: World) -> None:
        shop = Shop(world, tmp_path)
        sql = statements("sql/idempotency.sql")["note"]
        claim = await shop.charged(world.anna, "ann")
        free = await shop.charged(world.anna, "a request that cost nothing")
        user_hash, key = await shop.labels.user_hash(world.anna, "ann"), free.key
        async with world.databases.app.acquire() as connection, connection.transaction():
            row = [key.tenant_id], [key.api_key_id], [key.key_hmac], [free.body_hmac]
            more = [free.request_id], ["kept"], [b"an answer"], [user_hash]
            ends = timedelta(minutes=1), timedelta(hours=1)
            await connection.fetch(sql, key.kind, *row, *more, *ends)
            erasing = asyncio.create_task(shop.erase(world.anna, "ann"))
            await waits(world, erasing)
        assert (await erasing)["links"] == 1
        for one in (claim, free):
            assert await shop.kept.claim(one) == Lost(bytes(32))

    in_world(database, body)


def test_an_object_whose_entry_was_erased_before_it_was_written_is_deleted(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def body(world: World) -> None:
        shop = Shop(world, tmp_path)
        put: Callable[..., Any] = shop.objects.put
        erased = []

        async def late(home: Any, kind: Any, object_id: str, data: bytes) -> None:
            if kind is ObjectKind.ANSWER and not erased:
                erased.append(await shop.erase(world.anna, "ann"))
            await put(home, kind, object_id, data)

        monkeypatch.setattr(shop.objects, "put", late, raising=False)
        for one in everyone(world):
            await shop.known(*one)
        for one in everyone(world):
            await shop.answered(*one, await shop.asked(*one))
        assert erased[0]["replies"] == 1
        assert (await shop.rows())["anna answer"] == 1
        assert len(shop.files()) == 3

    in_world(database, body)


PLANTED = (
    "INSERT INTO tenantry.session (tenant_id, session_id, user_hash, owner_hmac, account,"
    " expires_at) VALUES ($1, $2, $2, $3, '1', now() + interval '1 hour')",
    "INSERT INTO tenantry.answer (tenant_id, object_id, user_hash, name_hmac, account, expires_at)"
    " VALUES ($1, $2, $2, $3, '1', now() + interval '1 hour')",
    "INSERT INTO tenantry.idempotency (tenant_id, kind, user_hash, api_key_id, key_hmac, body_hmac,"
    " request_id, state, lease_until, expires_at, sealed) VALUES ($1, 'given', $2, 'key', $3, $3,"
    " gen_random_uuid(), 'kept', now(), now() + interval '1 hour', 'sealed')",
    "INSERT INTO tenantry.budget (tenant_id, subject, period, basis, amount, hard, set_by)"
    " VALUES ($1, 'user:' || $2, 'day', 'charge', octet_length($3::bytea), true, 'tenant')",
)


def test_a_repeated_erasure_finds_what_was_kept_under_hashes_of_before(
    database: Database, tmp_path: Path
) -> None:
    """By workers of before, which ask nobody; or since an erasure that was cut off."""

    async def body(world: World) -> None:
        shop = Shop(world, tmp_path)
        hashes = []
        for _ in range(2):  # they came back, and were erased again
            hashes.append(await shop.labels.user_hash(world.anna, "ann"))
            await shop.known(world.anna, "ann")
            assert (await shop.erase(world.anna, "ann"))["links"] == 1
        assert len({*hashes, await shop.labels.user_hash(world.anna, "ann")}) == 3
        for who in (world.anna, world.bert):
            for number, user_hash in enumerate(hashes):
                for statement in PLANTED:
                    row = (who.tenant_id, user_hash, bytes([number] * 32))
                    await world.as_superuser(statement, *row)
        found = await shop.erase(world.anna, "ann")
        assert found == {"results": 2, "replies": 2, "sessions": 2, "budgets": 2, "links": 0}
        assert set((await shop.erase(world.anna, "ann")).values()) == {0}
        left = {"anna answer": 0, "anna session": 0, "bert answer": 2, "bert session": 2}
        assert await shop.rows() == left, "another tenant's are not theirs, whatever their hash"

    in_world(database, body)


def test_an_erasure_knows_of_one_on_another_worker(database: Database, tmp_path: Path) -> None:
    async def body(world: World) -> None:
        shop, other = Shop(world, tmp_path), Shop(world, tmp_path, monotonic=stopped)
        for who in (world.anna, world.bert):
            await shop.known(who, "ann")
            await other.labels.user_hash(who, "ann")
        await shop.erase(world.anna, "ann")
        for who in (world.anna, world.bert):  # came back, on the worker that knows
            await shop.known(who, "ann")
            await (await shop.turn(who, "ann")).keep("q", "a")
        erased = await other.erase(world.anna, "ann")
        assert (erased["sessions"], erased["links"]) == (1, 1)
        rows = await shop.rows()
        assert (rows["anna session"], rows["bert session"]) == (0, 1)

    in_world(database, body)


def test_replies_of_before_are_given_and_erased_by_the_books(
    database: Database, tmp_path: Path
) -> None:
    async def body(world: World) -> None:
        shop = Shop(world, tmp_path)
        hashes = [await shop.labels.user_hash(*one) for one in everyone(world)]
        for number, one in enumerate(everyone(world)):
            claim = await shop.charged(*one)
            await world.as_superuser(
                "INSERT INTO tenantry.answer (tenant_id, name_hmac, object_id, account, expires_at,"
                " request_id) VALUES ($1, $2, $3, '111111111111', now() + interval '1 h', $4)",
                one[0].tenant_id,
                bytes([number] * 32),
                f"object{number}",
                claim.request_id,
            )

        async def given() -> list[int]:
            return [
                len(await shop.store.replies(one[0].tenant_id, None, 10, [hashes[number]]))
                for number, one in enumerate(everyone(world))
            ]

        assert await given() == [1, 1, 1, 1]
        assert (await shop.erase(world.anna, "ann"))["replies"] == 1
        assert await given() == [0, 1, 1, 1]

    in_world(database, body)
