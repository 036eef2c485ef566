"""A shred that cannot go on is tried ever later, and at once where the keys it waits for change."""

from __future__ import annotations

import asyncio
import dataclasses
from pathlib import Path
from typing import Any

import pytest
from tests.support.lost_keys import folder
from tests.support.postgres import Database
from tests.support.shredding import Ground, begun, on_ground

from tenantry.adapters.postgres.noted_keys import PostgresKeyNotes
from tenantry.application.shred_turns import AWAITED_MAX, WAIT_MAX_S
from tenantry.application.shredding import Shredder, shred_round
from tenantry.domain.document import Home
from tenantry.domain.errors import Conflict, Unavailable
from tenantry.ports.keys import RestingKeys

ROUND_S = 2.0


class Turns:
    """The worker's round by a clock that stands still between rounds, and how often it tried."""

    def __init__(self, at: Ground, shredder: Shredder, fail: Exception | None = None) -> None:
        self.at, self.now, self.tries, self.fail = at, 0.0, 0, fail
        control: Any = _Counting(shredder.control, self)
        self.round = shred_round(dataclasses.replace(shredder, control=control), lambda: self.now)

    async def rounds(self, count: int) -> int:
        """Tries in so many rounds."""
        before = self.tries
        for _ in range(count):
            await self.round.work()
            self.now += ROUND_S
        return self.tries - before

    async def long(self) -> None:
        """Until it waits as long as it ever does."""
        for _ in range(10):
            await self.round.work()
            self.now += WAIT_MAX_S
        await self.round.work()
        self.now += ROUND_S

    async def step(self) -> str:
        shred = await self.at.shredder().book.get(self.at.anna.tenant_id)
        return "none" if shred is None else shred.step


class _Counting:
    """Each try asks for the tenant once."""

    def __init__(self, control: Any, turns: Turns) -> None:
        self._control, self._turns = control, turns

    async def get_tenant(self, name: str) -> Any:
        self._turns.tries += 1
        if self._turns.fail is not None:
            raise self._turns.fail
        return await self._control.get_tenant(name)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._control, name)


def test_it_is_tried_ever_later_and_never_later_than_its_bound(
    database: Database, tmp_path: Path
) -> None:
    async def body(at: Ground) -> None:
        turns = Turns(at, await begun(at), Unavailable("AWS KMS is out of reach."))
        assert await turns.rounds(31) == 5, "after 2, 4, 8, 16 and 32 seconds"
        await turns.long()
        assert await turns.rounds(9) == 0
        turns.now += WAIT_MAX_S - 10 * ROUND_S
        assert await turns.rounds(2) == 1
        turns.now += WAIT_MAX_S
        turns.fail = None
        await turns.rounds(1)
        assert await turns.step() == "certified"

    on_ground(database, tmp_path, body)


@pytest.mark.parametrize("change", ["brought back", "given up"])
def test_a_key_that_is_back_is_seen_in_the_next_round(
    database: Database, tmp_path: Path, change: str
) -> None:
    async def body(at: Ground) -> None:
        file = folder(at, at.anna) / "1.json"
        kept = file.read_bytes()
        file.unlink()
        turns = Turns(at, await begun(at))
        await turns.long()
        assert await turns.rounds(9) == 0
        assert await turns.step() == "asked"
        if change == "brought back":
            file.write_bytes(kept)
        else:
            await PostgresKeyNotes(at.world.databases.control).give_up(at.anna.tenant_id)
        assert await turns.rounds(1) == 1
        assert await turns.step() == "certified"

    on_ground(database, tmp_path, body)


def test_the_key_of_another_tenant_that_it_waits_for_is_seen_too(
    database: Database, tmp_path: Path
) -> None:
    """It waits long again only where it fails as before."""

    async def body(at: Ground) -> None:
        shredder = await begun(at)
        awaited = [at.home(at.bert)]
        turns = Turns(at, shredder, Conflict("bert's may need it", awaits=awaited))
        await turns.long()
        assert await turns.rounds(9) == 0
        await at.keys().rotate(at.home(at.bert))
        assert await turns.rounds(4) == 3, "at once, and as after a first failure"
        turns.fail = None
        await turns.rounds(4)
        assert await turns.step() == "certified"

    on_ground(database, tmp_path, body)


def test_a_key_store_that_is_throttled_has_not_changed(database: Database, tmp_path: Path) -> None:
    """Else the look at all tenants, which throttles it, came every two seconds again."""

    async def body(at: Ground) -> None:
        shredder = await begun(at)
        keys: Any = at.keys()
        resting, asked = keys.resting, 0

        async def throttled(home: Home) -> RestingKeys:
            nonlocal asked
            asked += 1
            if asked % 2:
                raise Unavailable("The key store's bucket is out of reach.")
            found: RestingKeys = await resting(home)
            return found

        keys.resting = throttled
        refusal = Conflict("bert's may need it", awaits=[at.home(at.bert)])
        turns = Turns(at, dataclasses.replace(shredder, keys=keys), refusal)
        await turns.long()
        assert await turns.rounds(9) == 0
        await at.keys().rotate(at.home(at.bert))
        assert await turns.rounds(2) == 1

    on_ground(database, tmp_path, body)


def test_a_key_store_that_does_not_answer_is_waited_for_once(
    database: Database, tmp_path: Path
) -> None:
    """However many tenants' keys a shred waits for: other shreds have their turn after it."""

    async def body(at: Ground) -> None:
        shredder = await begun(at)
        keys: Any = at.keys()
        asked, all_asked = 0, asyncio.Event()

        async def silent(_: Home) -> RestingKeys:
            nonlocal asked
            asked += 1
            if asked % AWAITED_MAX == 0:
                all_asked.set()
            await all_asked.wait()
            raise Unavailable("The key store's bucket is out of reach.")

        keys.resting = silent
        refusal = Conflict("others may need it", awaits=[at.home(at.bert)] * AWAITED_MAX)
        turns = Turns(at, dataclasses.replace(shredder, keys=keys), refusal)
        async with asyncio.timeout(20):  # a look one after another never ends
            await turns.rounds(1)
            all_asked.clear()
            turns.now = 1.0
            await turns.rounds(1)
        assert asked == 2 * AWAITED_MAX

    on_ground(database, tmp_path, body)


def test_a_command_that_moves_it_is_followed_at_once(database: Database, tmp_path: Path) -> None:
    async def body(at: Ground) -> None:
        shredder = await begun(at)
        turns = Turns(at, shredder, Unavailable("AWS KMS is out of reach."))
        await turns.long()
        turns.fail = None
        assert await turns.rounds(9) == 0
        await shredder.keys.destroy(at.home(at.anna))
        await shredder.book.keys_destroyed(at.anna.tenant_id)
        assert await turns.rounds(1) == 1
        assert await turns.step() == "certified"

    on_ground(database, tmp_path, body)


def test_those_that_cannot_go_on_keep_no_later_one_waiting(
    database: Database, tmp_path: Path
) -> None:
    """However many there are, as where a key store with the keys of hundreds is lost."""

    async def body(at: Ground) -> None:
        await at.world.as_superuser(_STUCK)
        shredder = await begun(at)
        turns = Turns(at, shredder)
        await turns.rounds(1)
        assert turns.tries == 121
        assert await turns.step() == "certified"
        assert len(await shredder.book.unfinished()) == 120

    on_ground(database, tmp_path, body)


_STUCK = """
WITH made AS (
  INSERT INTO tenantry.tenant (tenant_id, name, status, plan, placement_id)
  SELECT 'tnt_' || lpad(n::text, 26, '0'), 'stuck ' || n, 'shredded', t.plan, t.placement_id
  FROM generate_series(1, 120) n, (SELECT * FROM tenantry.tenant LIMIT 1) t
  RETURNING tenant_id
), noted AS (
  INSERT INTO tenantry.tenant_key (tenant_id, version) SELECT tenant_id, 1 FROM made
)
INSERT INTO tenantry.shred (tenant_id, asked_by, asked_at)
SELECT tenant_id, 'a test', clock_timestamp() - interval '1 hour' FROM made
"""
