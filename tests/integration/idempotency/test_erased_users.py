"""Kept answers of an end user who is erased: of before 0039, and of what ran meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from tests.support.erasing import Shop, everyone
from tests.support.ledger import World, in_world, new_request_id
from tests.support.postgres import Database

from tenantry.adapters.postgres.sessions import PostgresSessionIndex
from tenantry.application.context import Idempotency
from tenantry.application.idempotency import Made, Whole
from tenantry.domain.document import Home
from tenantry.domain.tenant import Principal
from tenantry.ports.idempotency import Claim, Claimed, KeptAnswer, Lost


def test_what_a_worker_of_before_kept_is_given_and_erased_by_the_books(
    database: Database, tmp_path: Path
) -> None:
    async def body(world: World) -> None:
        shop = Shop(world, tmp_path)
        claims = [await shop.charged(*one) for one in everyone(world)]
        for claim in claims:
            await shop.keep_as_before(claim, b"an answer")
        assert [await shop.results(*one) for one in everyone(world)] == [1, 1, 1, 1]
        assert (await shop.erase(world.anna, "ann"))["results"] == 1
        assert [await shop.results(*one) for one in everyone(world)] == [0, 1, 1, 1]
        found = [await shop.kept.claim(claim) for claim in claims]
        assert found[0] == Lost(bytes(32)), "the key stays used"
        kept = [KeptAnswer(bytes(32), claim.request_id, b"an answer") for claim in claims]
        assert found[1:] == kept[1:]

    in_world(database, body)


def test_what_is_kept_between_the_steps_of_an_erasure_is_erased_too(
    database: Database, tmp_path: Path
) -> None:
    class Meanwhile(PostgresSessionIndex):
        """Between the first step and the parting a request ends in each tenant."""

        async def end_of_user(self, home: Home, user_hashes: Sequence[str]) -> int:
            for claim, whose in running:
                await shop.kept.keep(claim, b"an answer", whose)
            return await super().end_of_user(home, user_hashes)

    async def body(world: World) -> None:
        nonlocal shop
        shop = Shop(world, tmp_path, Meanwhile(world.work))
        for one in everyone(world):
            claim = await shop.charged(*one)
            if one[1] == "ann":  # another of theirs, which costs nothing
                key = replace(claim.key, key_hmac=bytes(32))
                free = Claim(key, bytes(32), new_request_id())
                assert await shop.kept.claim(free) == Claimed()
                running.append((free, await shop.labels.user_hash(*one)))
        assert (await shop.erase(world.anna, "ann"))["links"] == 1
        (mine, _), (theirs, _) = running
        assert await shop.kept.claim(mine) == Lost(bytes(32))
        assert isinstance(await shop.kept.claim(theirs), KeptAnswer)

    shop: Shop
    running: list[tuple[Claim, str]] = []
    in_world(database, body)


def test_what_is_charged_and_not_ended_is_not_kept_of_who_was_erased(
    database: Database, tmp_path: Path
) -> None:
    async def body(world: World) -> None:
        shop = Shop(world, tmp_path)
        claims = [await shop.charged(*one) for one in everyone(world)]
        await shop.erase(world.anna, "ann")
        for claim in claims:
            await shop.keep_as_before(claim, b"an answer")
        found = [await shop.kept.claim(claim) for claim in claims]
        assert found[0] == Lost(bytes(32))
        assert all(isinstance(one, KeptAnswer) for one in found[1:])
        assert [await shop.results(*one) for one in everyone(world)] == [0, 1, 1, 1]

    in_world(database, body)


def test_an_answer_of_who_is_erased_while_it_is_made_goes_to_nobody_of_the_name(
    database: Database, tmp_path: Path
) -> None:
    async def body(world: World) -> None:
        shop = Shop(world, tmp_path)
        for one in everyone(world):  # the books know each of them, by an earlier request
            await shop.charged(*one)
        began, may_end = asyncio.Semaphore(0), asyncio.Event()

        async def asked(who: Principal, user: str) -> bool:
            async def make() -> Made:
                began.release()
                await may_end.wait()
                return Made(Whole(200, {}, f"of {user}".encode()), spent=True, user=user)

            key = Idempotency(f"free-{user}", b"b" * 32, implied=False)
            done: Any = await shop.once.run(who, new_request_id(), key, make)
            assert done.answer.body == f"of {user}".encode(), "who asked is answered"
            return bool(done.replayed)

        running = [asyncio.create_task(asked(*one)) for one in everyone(world)]
        for _ in running:
            await began.acquire()
        before = await shop.labels.user_hash(world.anna, "ann")
        assert (await shop.erase(world.anna, "ann"))["links"] == 1
        may_end.set()
        await asyncio.gather(*running)
        assert await shop.labels.user_hash(world.anna, "ann") != before
        assert [await shop.results(*one) for one in everyone(world)] == [0, 1, 1, 1]
        assert await shop.store.results(world.anna.tenant_id, None, 10, [before]) == []
        # Under no other hash either: of the two that ended, bob's is kept.
        assert len(await shop.store.results(world.anna.tenant_id, None, 10, None)) == 1

    in_world(database, body)
