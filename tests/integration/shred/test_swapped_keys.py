"""A wrapped key in the place of another tenant's: told, and neither destroyed nor certified."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.support.lost_keys import folder, refused
from tests.support.postgres import Database
from tests.support.shredding import Ground, begun, is_untouched, on_ground

from tenantry.application.shredding import advance_shred
from tenantry.bootstrap.doctor.tenant_keys import tenant_key_problems
from tenantry.config import Settings
from tenantry.domain.errors import Conflict


def exchange(at: Ground) -> None:
    """As somebody does who brings keys back into the wrong folders."""
    mine, other = (folder(at, who) / "1.json" for who in (at.anna, at.bert))
    aside = at.root / "aside.json"
    mine.rename(aside)
    other.rename(mine)
    aside.rename(other)


def test_a_key_in_another_tenants_place_is_told_as_that(database: Database, tmp_path: Path) -> None:
    async def body(at: Ground) -> None:
        exchange(at)
        for who in (at.anna, at.bert):
            assert "of another tenant" in await refused(at, who)
        tenants = [at.anna.tenant, at.bert.tenant]
        config = Settings(home=at.root)
        [line] = await tenant_key_problems(config, at.world.databases, tenants)
        assert "of another tenant" in line
        assert all(each.name in line for each in tenants)
        exchange(at)
        assert await tenant_key_problems(config, at.world.databases, tenants) == []
        assert await refused(at, at.anna) == ""

    on_ground(database, tmp_path, body)


def test_a_shred_takes_no_other_tenants_key_along(database: Database, tmp_path: Path) -> None:
    """Nor does it certify that one is destroyed that lies elsewhere, and would open from there."""

    async def body(at: Ground) -> None:
        shredder = await begun(at)
        exchange(at)
        kept = [(folder(at, who) / "1.json").read_bytes() for who in (at.anna, at.bert)]
        for _ in range(2):
            with pytest.raises(Conflict, match="of another tenant"):
                await advance_shred(shredder, at.anna.tenant_id)
        found = [(folder(at, who) / "1.json").read_bytes() for who in (at.anna, at.bert)]
        assert found == kept
        exchange(at)
        done = await advance_shred(shredder, at.anna.tenant_id)
        assert done.shred.step == "certified"
        await is_untouched(at)

    on_ground(database, tmp_path, body)


def test_what_is_put_there_while_it_waits_for_processes_is_not_destroyed_either(
    database: Database, tmp_path: Path
) -> None:
    """As by a backup that is brought back then; it may be all that the other tenant has."""

    async def body(at: Ground) -> None:
        at.born[11] = 11
        await at.process("here", 11)
        shredder = await begun(at)
        assert (await advance_shred(shredder, at.anna.tenant_id)).processes
        mine, others = (folder(at, who) / "1.json" for who in (at.anna, at.bert))
        others.rename(mine)
        at.born.clear()
        await at.holders("here").look()
        for _ in range(2):
            with pytest.raises(Conflict, match="of another tenant"):
                await advance_shred(shredder, at.anna.tenant_id)
        mine.rename(others)
        assert (await advance_shred(shredder, at.anna.tenant_id)).shred.step == "certified"
        await is_untouched(at)

    on_ground(database, tmp_path, body)
