"""Kept answers and conversations whose rows name one another's objects, as who can write a
tenant's rows might have them: nobody is given what was made for another."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

from tests.support.erasing import REPLY, Shop, everyone
from tests.support.ledger import World, in_world
from tests.support.postgres import Database

from tenantry.application.answer_store import AnswerName
from tenantry.application.exporting import Exports
from tenantry.domain.tenant import Principal


def exports(shop: Shop) -> Exports:
    """As much of it as keeps answers and conversations."""
    knowledge: Any = SimpleNamespace(objects=shop.objects, sealer=shop.sessions.sealer)
    none: Any = None
    return Exports(knowledge, shop.store, shop.answers, none, none, none)


async def told(shop: Shop, who: Principal, section: str) -> list[Any]:
    rows = (await exports(shop).page(who, section, None, 10)).rows
    return [row.body if section == "replies" else row.said for row in rows]


async def exchanged(shop: Shop, who: Principal, statements: list[str], *values: object) -> None:
    """As the data plane's own role, which had the tenant taken up."""
    async with shop.world.work.writing(who.tenant_id) as unit:
        for statement in statements:
            await unit.execute(statement, *values)


def test_an_entry_that_names_another_s_answer_is_a_miss(database: Database, tmp_path: Path) -> None:
    """Both of one tenant: entries are added by the data plane, so one may be added beside."""

    async def body(world: World) -> None:
        shop, names = Shop(world, tmp_path), []
        for who, user in everyone(world):
            name = await shop.asked(who, user)
            await shop.answered(who, user, name)
            names.append((who, name))
        for who, name in names:
            assert await shop.answers.find(who, name) == REPLY
        own, asked = names[0][1], AnswerName(b"n" * 32, None)
        statement = (
            "INSERT INTO answer (tenant_id, name_hmac, object_id, account, expires_at, request_id)"
            " SELECT tenant_id, $2::bytea, object_id, account, expires_at, request_id FROM answer"
            " WHERE name_hmac = $1"
        )
        await exchanged(shop, world.anna, [statement], own.digest, asked.digest)
        assert await shop.answers.index.find(world.anna.tenant_id, asked.digest) is not None
        assert sorted(map(str, await told(shop, world.anna, "replies"))) == sorted(
            map(str, [REPLY, REPLY, None])
        )
        assert await shop.answers.find(world.anna, asked) is None
        for who, name in names:
            assert await shop.answers.find(who, name) == REPLY
        assert await told(shop, world.anna, "replies") == [REPLY, REPLY]
        assert await told(shop, world.bert, "replies") == [REPLY, REPLY]

    in_world(database, body)


def test_an_entry_that_does_not_open_makes_room_for_the_next(
    database: Database, tmp_path: Path
) -> None:
    """As of an answer that an earlier version kept, sealed for its object alone."""

    async def body(world: World) -> None:
        shop = Shop(world, tmp_path)
        for who, user in everyone(world):
            name = await shop.asked(who, user)
            await shop.answered(who, user, name)
            await world.as_superuser("UPDATE tenantry.answer SET object_id = object_id || 'x'")
            assert await shop.answers.find(who, name) is None
            await shop.answered(who, user, name)
            assert await shop.answers.find(who, name) == REPLY

    in_world(database, body)


def test_a_conversation_that_names_another_s_words_does_not_tell_them(
    database: Database, tmp_path: Path
) -> None:
    async def body(world: World) -> None:
        shop = Shop(world, tmp_path)
        for who, user in everyone(world):
            turn = await shop.turn(who, user)
            await turn.tell()
            await turn.keep(f"question of {user}", "answer")
        assert str(await told(shop, world.anna, "sessions")).count("question of") == 2
        names = (
            "UPDATE session SET object_id = (SELECT max(object_id) FROM session) WHERE object_id <"
            " (SELECT max(object_id) FROM session)"
        )
        await exchanged(shop, world.anna, [names])
        said = await told(shop, world.anna, "sessions")
        assert len(said) == 2 and said.count(None) == 1
        assert str(await told(shop, world.bert, "sessions")).count("question of") == 2

    in_world(database, body)
