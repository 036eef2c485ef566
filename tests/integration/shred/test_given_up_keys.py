"""A lost key is given up where it is lost, and whatever may know of it ends."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from tests.support.lost_keys import folder, refused
from tests.support.postgres import Database
from tests.support.shredding import Ground, begun, is_untouched, on_ground

from tenantry.adapters.keys.used_keys import ANOTHER, LOST
from tenantry.adapters.postgres.noted_keys import PostgresKeyNotes
from tenantry.adapters.sealed.sealer import TenantSealer
from tenantry.application.giving_up_keys import GivenUp, give_up_key
from tenantry.application.shredding import advance_shred
from tenantry.domain.document import Home
from tenantry.domain.errors import BadRequest, Conflict, Unavailable
from tenantry.domain.tenant import Principal
from tenantry.ports.keys import Purpose


async def given_up(at: Ground, who: Principal, confirmed: str | None = None) -> GivenUp:
    notes = PostgresKeyNotes(at.world.databases.control)
    name = who.tenant.name if confirmed is None else confirmed
    return await give_up_key(at.world.control, at.keys(), notes, who.tenant_id, name)


async def noted(at: Ground, who: Principal) -> frozenset[int]:
    notes = await PostgresKeyNotes(at.world.databases.control).of([who.tenant_id])
    return notes.get(who.tenant_id, frozenset())


async def user(at: Ground, who: Principal) -> bytes:
    return await TenantSealer(at.keys()).digest(at.home(who), Purpose.USER_HMAC, b"ann")


def test_processes_of_before_make_place_and_their_users_budgets_are_told(
    database: Database, tmp_path: Path
) -> None:
    """They know users by the lost key, whose hard budgets would be beside those of the new one."""

    async def body(at: Ground) -> None:
        for who in (at.anna, at.anna, at.bert):
            await at.world.as_superuser(
                "INSERT INTO tenantry.budget (tenant_id, subject, period, basis, amount, hard)"
                " VALUES ($1, 'user:' || md5(random()::text), 'day', 'charge', 1, true),"
                " ($1, 'run:' || md5(random()::text), 'day', 'charge', 1, true)",
                who.tenant_id,
            )
        before = await user(at, at.anna)
        await at.process("here", 11)
        (folder(at, at.anna) / "1.json").unlink()
        with pytest.raises(BadRequest):
            await given_up(at, at.anna, at.bert.tenant.name)
        assert await refused(at, at.anna) == LOST
        assert await at.holders("here").look() == frozenset()
        assert (await given_up(at, at.anna)).budgets == 2
        await at.process("here", 12)
        assert await at.holders("here").look() == {11}, (
            "its successor knows nothing of the lost key"
        )
        assert await refused(at, at.anna) == ""
        assert await user(at, at.anna) != before
        await is_untouched_but_for_budgets(at)

    on_ground(database, tmp_path, body)


async def is_untouched_but_for_budgets(at: Ground) -> None:
    assert await noted(at, at.bert) == {1}
    await at.world.as_superuser(
        "DELETE FROM tenantry.budget WHERE tenant_id = $1", at.bert.tenant_id
    )
    await is_untouched(at)


def test_what_is_not_lost_is_not_given_up(database: Database, tmp_path: Path) -> None:
    async def body(at: Ground) -> None:
        await at.process("here", 11)
        await at.keys().rotate(at.home(at.anna))
        for _ in range(2):
            with pytest.raises(Conflict, match="every key that the tenant used"):
                await given_up(at, at.anna)
        assert await noted(at, at.anna) == {1, 2}
        assert await at.holders("here").look() == frozenset()

    on_ground(database, tmp_path, body)


def test_a_first_version_is_made_where_later_ones_are_left(
    database: Database, tmp_path: Path
) -> None:
    async def body(at: Ground) -> None:
        home, before = at.home(at.anna), await user(at, at.anna)
        await at.keys().rotate(home)
        sealed = await TenantSealer(at.keys()).seal(home, "k", "o", b"text")
        (folder(at, at.anna) / "1.json").unlink()
        assert await refused(at, at.anna) == LOST
        await given_up(at, at.anna)
        assert await user(at, at.anna) == await user(at, at.anna) != before
        assert await TenantSealer(at.keys()).open(home, "k", "o", sealed) == b"text"
        assert await noted(at, at.anna) == {1, 2}
        with pytest.raises(Conflict, match="nothing was changed"):
            await given_up(at, at.anna)

    on_ground(database, tmp_path, body)


class Killed(BaseException):
    """As far as the world can tell, the process ended here."""


@pytest.mark.parametrize("step", ["begin_anew", "give_up"])
def test_cut_off_anywhere_it_is_done_by_the_next_command(
    database: Database, tmp_path: Path, step: str
) -> None:
    async def body(at: Ground) -> None:
        await at.keys().rotate(at.home(at.anna))
        await at.keys().check(at.home(at.anna))
        (folder(at, at.anna) / "1.json").unlink()
        notes, keys = PostgresKeyNotes(at.world.databases.control), at.keys()
        part: Any = keys if step == "begin_anew" else notes
        done = getattr(part, step)

        async def dying(*given: Any) -> None:
            await done(*given)
            raise Killed

        setattr(part, step, dying)
        anna = at.anna.tenant
        with pytest.raises(Killed):
            await give_up_key(at.world.control, keys, notes, anna.id, anna.name)
        if step == "begin_anew":
            assert await refused(at, at.anna) == ANOTHER
            await given_up(at, at.anna)
        assert await refused(at, at.anna) == ""

    on_ground(database, tmp_path, body)


def test_another_key_in_its_place_is_taken(database: Database, tmp_path: Path) -> None:
    async def body(at: Ground) -> None:
        who = await at.another()
        await at.world.as_superuser(
            "UPDATE tenantry.tenant_key SET fingerprint = sha256('another') WHERE tenant_id = $1",
            who.tenant_id,
        )
        assert await refused(at, who) == ANOTHER
        await given_up(at, who)
        assert await refused(at, who) == ""
        assert await refused(at, at.anna) == ""

    on_ground(database, tmp_path, body)


def test_what_does_not_open_is_moved_away_first(database: Database, tmp_path: Path) -> None:
    """It may be whole in the backup: nothing is thrown away for whoever asks."""

    async def body(at: Ground) -> None:
        file = folder(at, at.anna) / "1.json"
        for damaged in (file.read_bytes()[:40], (folder(at, at.bert) / "1.json").read_bytes()):
            file.write_bytes(damaged)
            with pytest.raises(Conflict, match="move its file out of the key store"):
                await given_up(at, at.anna)
        file.unlink()
        await given_up(at, at.anna)
        assert await refused(at, at.anna) == ""

    on_ground(database, tmp_path, body)


def test_a_key_store_that_is_out_of_reach_is_told_as_that(
    database: Database, tmp_path: Path
) -> None:
    """Nobody is to move files out of it meanwhile."""

    async def body(at: Ground) -> None:
        keys: Any = at.keys()

        async def away(_: Home) -> Sequence[int]:
            raise Unavailable("The key store's bucket is out of reach.")

        keys.missing = away
        notes, anna = PostgresKeyNotes(at.world.databases.control), at.anna.tenant
        with pytest.raises(Unavailable, match=r"out of reach\.$"):
            await give_up_key(at.world.control, keys, notes, anna.id, anna.name)

    on_ground(database, tmp_path, body)


def test_of_a_tenant_that_is_being_shredded_no_key_is_made(
    database: Database, tmp_path: Path
) -> None:
    async def body(at: Ground) -> None:
        await at.keys().rotate(at.home(at.anna))
        await at.keys().check(at.home(at.anna))
        (folder(at, at.anna) / "1.json").unlink()
        shredder = await begun(at)
        await given_up(at, at.anna)
        assert [path.name for path in folder(at, at.anna).iterdir()] == ["2.json"]
        assert (await advance_shred(shredder, at.anna.tenant_id)).shred.step == "certified"
        with pytest.raises(Conflict, match="nothing was changed"):
            await given_up(at, at.anna)
        await is_untouched(at)

    on_ground(database, tmp_path, body)
