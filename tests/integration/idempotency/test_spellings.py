"""What was kept under another spelling of a name, before names were taken in one form."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from pathlib import Path

from tests.support.erasing import USED, Shop
from tests.support.ledger import World, in_world, new_request_id
from tests.support.postgres import Database

from tenantry.application.budgets import budget_subject
from tenantry.application.context import Idempotency
from tenantry.application.exporting import hashes_of
from tenantry.application.idempotency import Made, Whole
from tenantry.domain.budget import Scope
from tenantry.domain.end_user import spellings_from, user_from
from tenantry.domain.tenant import Principal
from tenantry.ports.control import Budget

NFC, NFD = "Jos\u00e9", "Jose\u0301"
BOTH = (NFC, NFD)


async def hash_of_before(shop: Shop, who: Principal, spelling: str) -> str:
    """As the workers of before made it, of whatever they were given."""
    return (await shop.labels.user_hashes(who, spelling, frozenset()))[0]


async def keep_of_before(shop: Shop, who: Principal, spelling: str) -> None:
    """A posting, a conversation and an answer of before."""
    world, user_hash = shop.world, await hash_of_before(shop, who, spelling)
    admitted = await world.admitted(who, user_hash=user_hash)
    await world.settle(admitted, world.outcome(USED))
    claim = await shop.charged(who, f"{spelling} again")
    await shop.kept.keep(claim, b"an answer", user_hash)


def cap(who: Principal, user_hash: str, limit: int = 1) -> Budget:
    return Budget(who.tenant_id, "user", user_hash, "day", "charge", Decimal(limit))


def test_all_of_a_user_is_found_and_erased_in_either_spelling(
    database: Database, tmp_path: Path
) -> None:
    async def body(world: World) -> None:
        shop = Shop(world, tmp_path)
        for who in (world.anna, world.bert):
            for spelling in BOTH:
                await keep_of_before(shop, who, spelling)

        async def found(who: Principal, spelling: str) -> tuple[int, int]:
            hashes = await hashes_of(shop.labels, who, spellings_from(spelling))
            usage = await shop.store.usage(who.tenant_id, None, 100, hashes)
            results = await shop.store.results(who.tenant_id, None, 100, hashes)
            return len(usage), len(results)

        for who in (world.anna, world.bert):
            assert [await found(who, spelling) for spelling in BOTH] == [(2, 2), (2, 2)]
        told = await shop.erase(world.anna, NFD)
        assert (told["results"], told["links"]) == (2, 1)
        assert [await found(world.anna, spelling) for spelling in BOTH] == [(0, 0), (0, 0)]
        assert [await found(world.bert, spelling) for spelling in BOTH] == [(2, 2), (2, 2)]
        erased = await shop.store.erased(world.anna.tenant_id)
        assert erased == {await hash_of_before(shop, world.anna, each) for each in BOTH}
        again = await shop.erase(world.anna, NFC)
        assert set(again.values()) == {0}

    in_world(database, body)


def test_a_budget_of_before_holds_for_the_user_in_either_spelling(
    database: Database, tmp_path: Path
) -> None:
    async def body(world: World) -> None:
        async def subject_of(shop: Shop, who: Principal, spelling: str) -> str:
            scope: Scope = "user"
            return await budget_subject(shop.labels, who.tenant, scope, spelling)

        before = Shop(world, tmp_path)
        old, new = [await hash_of_before(before, world.anna, each) for each in (NFD, NFC)]
        theirs = await hash_of_before(before, world.bert, NFC)
        await world.control.set_budget(cap(world.anna, old))
        shop = Shop(world, tmp_path)
        for spelling in BOTH:
            user = user_from(spelling)
            assert user is not None
            assert await shop.labels.user_hash(world.anna, user) == old, "requests count there"
            assert await shop.labels.user_hash(world.bert, user) == theirs
            # Set again by name it is the same one, whoever sets it.
            assert await subject_of(shop, world.anna, spelling) == f"user:{old}"
            assert await subject_of(shop, world.bert, spelling) == f"user:{theirs}"
        # One under the name's own hash goes before it.
        await world.control.set_budget(cap(world.anna, new, 2))
        later = Shop(world, tmp_path)
        assert await later.labels.user_hash(world.anna, NFC) == new

    in_world(database, body)


def test_a_user_without_a_budget_of_before_is_one_by_the_names_own_hash(
    database: Database, tmp_path: Path
) -> None:
    async def body(world: World) -> None:
        shop = Shop(world, tmp_path)
        await world.control.set_budget(cap(world.bert, "0" * 32))
        for who in (world.anna, world.bert):
            for spelling in BOTH:
                subject = await budget_subject(shop.labels, who.tenant, "user", spelling)
                assert subject == f"user:{await hash_of_before(shop, who, NFC)}"

    in_world(database, body)


def test_who_is_erased_with_the_budget_that_led_to_a_hash_leaves_no_answer_under_the_other(
    database: Database, tmp_path: Path
) -> None:
    """The erasure removes the budget, so that a request that began under one hash ends under the
    other."""

    async def body(world: World) -> None:
        before = Shop(world, tmp_path)
        led_to = {}
        for who in (world.anna, world.bert):
            led_to[who.tenant_id] = await hash_of_before(before, who, NFD)
            async with world.work.writing(who.tenant_id) as unit:
                place = "SELECT tenantry.place_own_budget($1, 'day', 1, true)"
                await unit.fetchval(place, f"user:{led_to[who.tenant_id]}")
        now = [0.0]
        shop = Shop(world, tmp_path, monotonic=lambda: now[0])
        for who in (world.anna, world.bert):
            await shop.known(who, NFC)
        began, may_end = asyncio.Semaphore(0), asyncio.Event()

        async def asked(who: Principal) -> None:
            async def make() -> Made:
                began.release()
                await may_end.wait()
                return Made(Whole(200, {}, b"an answer"), spent=True, user=NFC)

            key = Idempotency("free", b"b" * 32, implied=False)
            await shop.once.run(who, new_request_id(), key, make)

        running = [asyncio.create_task(asked(who)) for who in (world.anna, world.bert)]
        for _ in running:
            await began.acquire()
        assert await shop.labels.user_hash(world.anna, NFC) == led_to[world.anna.tenant_id]
        told = await shop.erase(world.anna, NFC)
        assert (told["budgets"], told["links"]) == (1, 1)
        now[0] += 60  # the worker has heard of the budget's end
        may_end.set()
        await asyncio.gather(*running)
        kept = [
            len(await shop.store.results(who.tenant_id, None, 10, None))
            for who in (world.anna, world.bert)
        ]
        assert kept == [0, 1]

    in_world(database, body)
