"""Sessions over PostgreSQL, a real keyring and real files: one owner's, one turn at a time, and
gone in time without a trace."""

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import asyncpg
import pytest
from tests.support.ledger import World, in_world
from tests.support.local_keyring import LocalKeyring
from tests.support.postgres import Database

from tenantry.adapters.clock import SystemClock
from tenantry.adapters.keys.labels import TenantLabels
from tenantry.adapters.keys.local_kms import LocalKms
from tenantry.adapters.objects.disk import DiskObjects
from tenantry.adapters.objects.durable_file import DurableFiles
from tenantry.adapters.postgres.sessions import PostgresExpiredSessions, PostgresSessionIndex
from tenantry.adapters.sealed.sealer import TenantSealer
from tenantry.application import sessions as module
from tenantry.application.context import RequestContext
from tenantry.application.sessions import Sessions, sweep_sessions
from tenantry.domain.conversation import TURNS_MAX
from tenantry.domain.document import home_of
from tenantry.domain.errors import BadRequest, Conflict, Corrupt, NotFound, Unavailable
from tenantry.domain.tenant import Principal

HOUR = "interval '1 hour'"


class Shop:
    """One worker's sessions, and the files beneath them."""

    def __init__(self, world: World, home: Path) -> None:
        files, clock = DurableFiles(), SystemClock()
        keyring = LocalKeyring(home, files, LocalKms(home, files), clock.monotonic)
        self.home = home
        self.objects = DiskObjects(home, files)
        self.expired = PostgresExpiredSessions(world.databases.control)
        self.sessions = Sessions(
            PostgresSessionIndex(world.work),
            self.objects,
            keyring,
            TenantSealer(keyring),
            TenantLabels(TenantSealer(keyring), keyring),
            clock,
        )

    def files(self) -> list[Path]:
        return sorted(self.home.glob("*/objects/**/sessions/*"))


def context(who: Principal, **more: Any) -> RequestContext:
    return RequestContext(uuid4(), who, **more)


def test_what_was_said_is_its_owners_alone(database: Database, tmp_path: Path) -> None:
    async def body(world: World) -> None:
        shop = Shop(world, tmp_path)
        mine = context(world.anna, user="ada", groups=frozenset({"b", "a"}))
        first = await shop.sessions.turn(mine, None)
        await first.keep("Who rents?", "A tenant secretly rents.")
        again = await shop.sessions.turn(mine, first.session_id)
        assert [(t.question, t.answer) for t in again.said.turns] == [
            ("Who rents?", "A tenant secretly rents.")
        ]
        await again.release()
        others = {
            "another tenant": replace(mine, principal=world.bert),
            "another user": replace(mine, user="eve"),
            "nobody": replace(mine, user=None),
            "fewer groups": replace(mine, groups=frozenset({"a"})),
            "more groups": replace(mine, groups=frozenset({"a", "b", "c"})),
        }
        for who, ctx in others.items():
            with pytest.raises(NotFound):
                await shop.sessions.turn(ctx, first.session_id)
                raise AssertionError(who)
        [path] = shop.files()
        assert b"secretly" not in path.read_bytes()
        async with world.work.reading(world.bert.tenant_id) as unit:
            assert await unit.fetch("SELECT * FROM session") == []
        async with world.work.writing(world.bert.tenant_id) as unit:
            assert await unit.execute("DELETE FROM session") == "DELETE 0"
        # Control sees what has expired and nothing else; an operator never any of it.
        assert await world.databases.control.fetch("SELECT * FROM session") == []
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await world.databases.operator.fetch("SELECT * FROM session")

    in_world(database, body)


def test_one_turn_holds_a_session_until_it_ends_or_its_lease(
    database: Database, tmp_path: Path
) -> None:
    async def body(world: World) -> None:
        shop, ctx = Shop(world, tmp_path), context(world.anna)
        first = await shop.sessions.turn(ctx, None)
        await first.keep("q1", "a1")
        tries = [shop.sessions.turn(ctx, first.session_id) for _ in range(8)]
        held = await asyncio.gather(*tries, return_exceptions=True)
        [winner] = [one for one in held if not isinstance(one, BaseException)]
        assert sum(isinstance(one, Conflict) for one in held) == 7
        # Its worker dies. Later another turn takes over, and what comes late changes nothing.
        await world.as_superuser("UPDATE tenantry.session SET held_until = now() - interval '1 s'")
        heir = await shop.sessions.turn(ctx, first.session_id)
        await heir.keep("q2", "a2")
        await winner.keep("late", "late")
        last = await shop.sessions.turn(ctx, first.session_id)
        assert [t.question for t in last.said.turns] == ["q1", "q2"]
        await last.keep("q3", "a3")
        assert len(shop.files()) == 2, "what is said, and the turn before it"

    in_world(database, body)


def test_a_long_turn_keeps_its_session_by_beats(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "BEAT_S", 0.01)

    async def held_for(world: World) -> float:
        async with world.work.reading(world.anna.tenant_id) as unit:
            left = await unit.fetchval(
                "SELECT extract(epoch FROM held_until - now())::float8 FROM session"
            )
        return float(left or 0)

    async def body(world: World) -> None:
        shop, ctx = Shop(world, tmp_path), context(world.anna)
        turn = await shop.sessions.turn(ctx, None)
        await turn.tell()
        await world.as_superuser("UPDATE tenantry.session SET held_until = now() + interval '1 s'")
        for _ in range(1_000):
            if await held_for(world) > 2:
                break
            await asyncio.sleep(0.01)
        with pytest.raises(Conflict):
            await shop.sessions.turn(ctx, turn.session_id)
        await turn.keep("q", "a")
        await asyncio.sleep(0.05)
        assert await held_for(world) == 0, "nobody beats for a turn that has ended"

    in_world(database, body)


def test_a_session_has_so_many_turns(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert TURNS_MAX == 50
    monkeypatch.setattr(module, "TURNS_MAX", 2)

    async def body(world: World) -> None:
        shop, ctx = Shop(world, tmp_path), context(world.anna)
        turn = await shop.sessions.turn(ctx, None)
        await turn.keep("q", "a")
        turn = await shop.sessions.turn(ctx, turn.session_id)
        await turn.release()  # one that came to nothing is not counted
        turn = await shop.sessions.turn(ctx, turn.session_id)
        await turn.keep("q", "a")
        with pytest.raises(BadRequest, match="2 turns"):
            await shop.sessions.turn(ctx, turn.session_id)

    in_world(database, body)


def test_the_sweep_leaves_nothing(database: Database, tmp_path: Path) -> None:
    async def body(world: World) -> None:
        shop = Shop(world, tmp_path)
        ids = []
        for who in (world.anna, world.bert):
            turn = await shop.sessions.turn(context(who), None)
            await turn.keep("q1", "a1")
            turn = await shop.sessions.turn(context(who), turn.session_id)
            await turn.keep("q2", "a2")
            ids.append(turn.session_id)
        # A worker that died between its object and its commit.
        dead = await shop.sessions.turn(context(world.anna), ids[0])
        await shop.sessions.write(dead._name, dead._holder, dead.said)
        assert await sweep_sessions(shop.expired, shop.objects) == 0
        assert len(shop.files()) == 5
        await world.as_superuser(
            f"UPDATE tenantry.session SET expires_at = now() - {HOUR} WHERE session_id = $1", ids[0]
        )
        assert await sweep_sessions(shop.expired, shop.objects) == 0, "it is still held"
        await world.as_superuser("UPDATE tenantry.session SET held_until = now() - interval '1 s'")
        with pytest.raises(NotFound):
            await shop.sessions.turn(context(world.anna), ids[0])
        assert await sweep_sessions(shop.expired, shop.objects) == 1
        assert len(shop.files()) == 2, "those of the other tenant"
        other = await shop.sessions.turn(context(world.bert), ids[1])
        assert len(other.said.turns) == 2

    in_world(database, body)


def test_a_new_session_is_there_once_its_caller_is_told(database: Database, tmp_path: Path) -> None:
    async def body(world: World) -> None:
        shop, ctx = Shop(world, tmp_path), context(world.anna)
        turn = await shop.sessions.turn(ctx, None)
        await turn.release()
        with pytest.raises(NotFound):
            await shop.sessions.turn(ctx, turn.session_id)
        async with world.work.reading(world.anna.tenant_id) as unit:
            assert await unit.fetch("SELECT * FROM session") == [], "a refused turn left something"
        late = await shop.sessions.turn(ctx, None)
        await late.release()  # it broke before its caller was told
        await late.tell()
        await (await shop.sessions.turn(ctx, late.session_id)).release()
        told = await shop.sessions.turn(ctx, None)
        await asyncio.gather(told.tell(), told.tell())
        with pytest.raises(Conflict):
            await shop.sessions.turn(ctx, told.session_id)
        await told.release()
        again = await shop.sessions.turn(ctx, told.session_id)
        await again.release()
        await again.release()
        await (await shop.sessions.turn(ctx, told.session_id)).release()

    in_world(database, body)


def test_a_users_sessions_end_together(database: Database, tmp_path: Path) -> None:
    async def body(world: World) -> None:
        shop = Shop(world, tmp_path)
        whose: list[tuple[RequestContext, str]] = []
        for who in (world.anna, world.bert):
            for more in ({"user": "ada"}, {"user": "ada", "groups": frozenset({"g"})}, {}):
                ctx = context(who, **more)
                turn = await shop.sessions.turn(ctx, None)
                await turn.keep("q", "a")
                whose.append((ctx, turn.session_id))
        home = home_of(world.anna.tenant)
        user_hash = await shop.sessions.labels.user_hash(world.anna, "ada")
        assert await shop.sessions.index.end_of_user(home, [user_hash]) == 2
        assert await shop.sessions.index.end_of_user(home, [user_hash]) == 0
        for number, (ctx, session_id) in enumerate(whose):
            if number < 2:
                with pytest.raises(NotFound):
                    await shop.sessions.turn(ctx, session_id)
            else:
                await shop.sessions.turn(ctx, session_id)
        assert await sweep_sessions(shop.expired, shop.objects) == 2
        assert len(shop.files()) == 4

    in_world(database, body)


def test_the_oldest_make_room(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SESSIONS_MAX", 2)

    async def body(world: World) -> None:
        shop = Shop(world, tmp_path)
        bert = await shop.sessions.turn(context(world.bert), None)
        await bert.keep("q", "a")
        turns = [await shop.sessions.turn(context(world.anna), None) for _ in range(3)]
        for turn in turns:
            await turn.keep("q", "a")
        with pytest.raises(NotFound):
            await shop.sessions.turn(context(world.anna), turns[0].session_id)
        for who, turn in ((world.anna, turns[1]), (world.anna, turns[2]), (world.bert, bert)):
            await shop.sessions.turn(context(who), turn.session_id)

    in_world(database, body)


def test_rows_and_objects_that_were_swapped_do_not_open(database: Database, tmp_path: Path) -> None:
    async def body(world: World) -> None:
        shop, ctx = Shop(world, tmp_path), context(world.anna)
        eve = context(world.anna, user="eve")
        mine, hers = [await shop.sessions.turn(one, None) for one in (ctx, eve)]
        await mine.keep("q", "mine")
        await hers.keep("q", "hers")
        await world.as_superuser(
            "UPDATE tenantry.session SET object_id = (SELECT object_id FROM tenantry.session"
            " WHERE session_id = $1) WHERE session_id = $2",
            mine.session_id,
            hers.session_id,
        )
        with pytest.raises(Corrupt):
            await shop.sessions.turn(eve, hers.session_id)
        turn = await shop.sessions.turn(ctx, mine.session_id)  # and a failure holds nothing
        await turn.release()
        for path in shop.files():
            path.unlink()
        for _ in range(2):
            with pytest.raises(Corrupt):
                await shop.sessions.turn(ctx, mine.session_id)

    in_world(database, body)


def test_a_turn_that_cannot_be_kept_leaves_the_session_as_it_was(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def body(world: World) -> None:
        shop, ctx = Shop(world, tmp_path), context(world.anna)
        turn = await shop.sessions.turn(ctx, None)
        await turn.keep("q1", "a1")
        turn = await shop.sessions.turn(ctx, turn.session_id)

        async def full(*_: object) -> None:
            raise Unavailable("the disk is full")

        with monkeypatch.context() as patched:
            patched.setattr(DiskObjects, "put", full)
            await turn.keep("q2", "a2")
        turn = await shop.sessions.turn(ctx, turn.session_id)
        assert [t.question for t in turn.said.turns] == ["q1"]

    in_world(database, body)
