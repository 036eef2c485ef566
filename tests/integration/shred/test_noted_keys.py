"""Which keys were used is noted in PostgreSQL, and stands for as long as the tenant does."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

import pytest
from tests.support.knowledge_process import Doom, knowledge
from tests.support.lost_keys import folder, refused
from tests.support.postgres import Database
from tests.support.shredding import Ground, begun, is_untouched, on_ground

from tenantry.adapters.keys.used_keys import ANOTHER, LOST
from tenantry.adapters.postgres.noted_keys import PostgresKeyNotes, PostgresNotedKeys
from tenantry.adapters.sealed.sealer import TenantSealer
from tenantry.application import retrieval
from tenantry.application.knowledge import Knowledge
from tenantry.application.shredding import advance_shred
from tenantry.domain.errors import NotFound, Unavailable
from tenantry.ports.keys import Purpose


async def restarted(at: Ground) -> Knowledge:

    return knowledge(at.root, at.world.databases.app, Doom(1_000_000, after=False))


def test_a_key_store_that_lacks_a_key_makes_no_other_and_finds_it_again(
    database: Database, tmp_path: Path
) -> None:
    """The folder of a tenant's keys is moved away, and an upload comes."""

    async def body(at: Ground) -> None:
        kept = at.root / "kept"
        folder(at, at.anna).rename(kept)
        again = await restarted(at)
        for work in (
            at.upload(at.anna, "plums are blue", again),
            retrieval.search(again, at.anna, "apples", top_k=1),
        ):
            with pytest.raises(Unavailable) as told:
                await work
            assert told.value.message == LOST
        assert not folder(at, at.anna).exists() or not any(folder(at, at.anna).iterdir())
        await is_untouched(at)
        shutil.rmtree(folder(at, at.anna), ignore_errors=True)
        kept.rename(folder(at, at.anna))
        found = await retrieval.search(again, at.anna, "apples", top_k=1)
        assert found[0].text == f"apples are red for {at.anna.tenant_id}"
        again.vectors.close()  # type: ignore[attr-defined]

    on_ground(database, tmp_path, body)


def test_a_wrong_key_store_is_refused_for_all_it_does_not_have(
    database: Database, tmp_path: Path
) -> None:
    async def body(at: Ground) -> None:
        wrong = at.root / "wrong"
        for who in (at.anna, at.bert):
            assert await refused(at, who, wrong) == LOST
            assert await refused(at, who) == ""
        assert not list(wrong.rglob("*.json"))

    on_ground(database, tmp_path, body)


def test_a_database_of_before_the_first_use_takes_what_is_there(
    database: Database, tmp_path: Path
) -> None:
    """It was restored: it knows of no key, and of nothing that a key has sealed."""

    async def body(at: Ground) -> None:
        await at.world.as_superuser("DELETE FROM tenantry.tenant_key")
        assert await refused(at, at.anna) == ""
        assert await refused(at, at.anna, at.root / "wrong") == LOST
        # Nobody used the other one's since, so a wrong store is as good as the right one.
        assert await refused(at, at.bert, at.root / "wrong") == ""
        assert await refused(at, at.bert) == ANOTHER

    on_ground(database, tmp_path, body)


def test_of_keys_that_two_stores_made_at_once_one_is_used(
    database: Database, tmp_path: Path
) -> None:
    async def body(at: Ground) -> None:
        who = await at.another()
        await at.world.as_superuser(
            "DELETE FROM tenantry.tenant_key WHERE tenant_id = $1", who.tenant_id
        )
        shutil.rmtree(folder(at, who))
        stores = [at.root / f"store-{number}" for number in range(4)]
        told = await asyncio.gather(*(refused(at, who, store) for store in stores))
        assert told.count("") == 1
        assert set(told) <= {"", ANOTHER, LOST}
        assert await refused(at, at.anna) == ""

    on_ground(database, tmp_path, body)


def test_a_tenant_reads_its_own_notes_and_an_operator_forgets_one_tenants(
    database: Database, tmp_path: Path
) -> None:
    async def body(at: Ground) -> None:
        noted = PostgresNotedKeys(at.world.work)
        notes = PostgresKeyNotes(at.world.databases.control)
        both = [at.anna.tenant_id, at.bert.tenant_id]
        assert await notes.of(both) == {each: frozenset({1}) for each in both}
        await at.keys().rotate(at.home(at.anna))
        await at.keys().check(at.home(at.anna))
        assert await noted.versions(at.anna.tenant_id) == {1, 2}
        assert await noted.versions(at.bert.tenant_id) == {1}
        await notes.give_up(at.anna.tenant_id)
        assert await noted.versions(at.anna.tenant_id) == set()
        assert await noted.versions(at.bert.tenant_id) == {1}

    on_ground(database, tmp_path, body)


def test_notes_go_with_their_tenant(database: Database, tmp_path: Path) -> None:
    async def body(at: Ground) -> None:
        notes = PostgresKeyNotes(at.world.databases.control)
        shredder = await begun(at)
        assert at.anna.tenant_id in await notes.of([at.anna.tenant_id])
        assert (await advance_shred(shredder, at.anna.tenant_id)).shred.step == "certified"
        assert await notes.of([at.anna.tenant_id]) == {}
        for store in (None, at.root / "wrong"):
            with pytest.raises(NotFound):
                keys = at.keys(store)
                await keys.create(at.home(at.anna))
                await TenantSealer(keys).digest(at.home(at.anna), Purpose.USER_HMAC, b"anna")
        await is_untouched(at)

    on_ground(database, tmp_path, body)
