"""A tenant's own KMS key in a shred: also one of before, and none where there never was one."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Collection
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from tests.support.postgres import Database
from tests.support.shredding import BY, Fate, Ground, Killed, begun, is_untouched, on_ground

from tenantry.application.shredding import Shredder, advance_shred, begin_shred
from tenantry.domain.document import Home
from tenantry.domain.tenant import Principal
from tenantry.ports.keys import SHARED_KMS_KEY, KeyName, RestingKeys, Retirement, WrappedKey

ARN = "arn:aws:kms:eu-central-1:123456789012:key/1dccb5fd-d2ed-4682-8ff5-f92ff116a384"


def own_home(at: Ground, who: Principal) -> Home:
    return dataclasses.replace(at.home(who), own_kms_key=True)


def root_key(at: Ground, who: Principal) -> Path:
    account = who.tenant.placement.account
    return at.root / "accounts" / account / "kms" / f"own-{who.tenant_id}.json"


def secret_of(path: Path) -> str | None:
    key: str | None = json.loads(path.read_text())["key"]
    return key


async def plan_own(at: Ground) -> None:
    placement = dataclasses.replace(at.anna.tenant.placement, kms_key="own")
    await at.world.control.apply_placement(placement)


async def certificate(shredder: Shredder, who: Principal) -> dict[str, Any]:
    done = await advance_shred(shredder, who.tenant_id)
    told: dict[str, Any] = json.loads(done.shred.certificate or "")
    return told


@pytest.mark.parametrize("moved", [False, True])
def test_it_is_disabled_for_good_also_where_the_tenant_has_moved_from_it(
    database: Database, tmp_path: Path, moved: bool
) -> None:
    async def body(at: Ground) -> None:
        keys = at.shredder().keys
        for who in (at.anna, at.bert):
            await keys.rewrap(own_home(at, who))
            if moved:
                await keys.rewrap(at.home(who))
        if not moved:
            await plan_own(at)
        told = await certificate(await begun(at), at.anna)
        assert told["mode"] == "own KMS key destroyed"
        key_id = f"own-{at.anna.tenant_id}"
        assert told["kms_key"] == {"id": key_id, "disabled": True, "deletion_at": None}
        assert secret_of(root_key(at, at.anna)) is None
        assert secret_of(root_key(at, at.bert)) is not None
        await is_untouched(at)

    on_ground(database, tmp_path, body)


@pytest.mark.parametrize("plan", [SHARED_KMS_KEY, "own"])
def test_none_is_made_nor_certified_where_there_never_was_one(
    database: Database, tmp_path: Path, plan: str
) -> None:
    async def body(at: Ground) -> None:
        if plan == "own":
            await plan_own(at)  # its key was made before, under the shared one
        told = await certificate(await begun(at), at.anna)
        assert (told["mode"], told["kms_key"]) == ("tenant key destroyed", None)
        assert not root_key(at, at.anna).exists()

    on_ground(database, tmp_path, body)


@pytest.mark.parametrize("after", [False, True])
def test_cut_off_at_any_step_it_is_retired_and_named(
    database: Database, tmp_path: Path, after: bool
) -> None:
    """The wrapped keys alone say that there was one, and are gone after the step."""

    async def body(at: Ground) -> None:
        for step in range(1, 9):
            who = await at.another()
            for home in (own_home(at, who), at.home(who)):
                await at.shredder().keys.rewrap(home)
            fate = Fate(step, after=after)
            with pytest.raises((Killed, BaseExceptionGroup)):
                shredder = at.shredder(fate.wrap)
                await begin_shred(shredder, who.tenant_id, who.tenant.name, BY)
                await advance_shred(shredder, who.tenant_id)
            calm = at.shredder()
            await begin_shred(calm, who.tenant_id, who.tenant.name, BY)
            told = await certificate(calm, who)
            assert told["kms_key"]["id"] == f"own-{who.tenant_id}", step
            assert secret_of(root_key(at, who)) is None

    on_ground(database, tmp_path, body)


def test_one_that_a_process_of_before_makes_meanwhile_is_retired_too(
    database: Database, tmp_path: Path
) -> None:
    async def body(at: Ground) -> None:
        at.born[11] = 11
        await at.process("here", 11)
        shredder = await begun(at)
        assert (await advance_shred(shredder, at.anna.tenant_id)).processes
        await shredder.roots.kms.create(at.home(at.anna).account, f"own-{at.anna.tenant_id}")
        at.born.clear()
        await at.holders("here").look()
        told = await certificate(shredder, at.anna)
        assert told["kms_key"]["id"] == f"own-{at.anna.tenant_id}"
        assert secret_of(root_key(at, at.anna)) is None

    on_ground(database, tmp_path, body)


@dataclasses.dataclass
class Aws:
    """A key store whose wrapped keys lie in AWS KMS, and what is retired there."""

    wrapped: dict[str, WrappedKey]
    keys: Any
    asked: list[tuple[str, list[str], bool]] = dataclasses.field(default_factory=list)
    at: datetime = datetime(2027, 1, 1, tzinfo=UTC)

    async def resting(self, home: Home) -> RestingKeys:
        there: RestingKeys = await self.keys.resting(home)
        whole = [self.wrapped[home.tenant_id]] if there.whole else []
        return dataclasses.replace(there, whole=whole)

    async def retirable(self, *_: Any, **__: Any) -> list[str]:
        return []  # what others need is tried in `test_kms_keys_of_others.py`

    async def retire(
        self, account: str, key_id: str, arns: Collection[str] = (), *, sure: bool = True
    ) -> Retirement | None:
        self.asked.append((key_id, list(arns), sure))
        return Retirement(True, self.at) if arns else None

    def __getattr__(self, name: str) -> Any:
        return getattr(self.keys, name)


@pytest.mark.parametrize(
    ("kms_key", "arn", "former", "asked"),
    [
        ("shared", ARN, (), ([], False)),
        ("shared", None, (ARN,), ([ARN], False)),
        ("own", ARN, (), ([ARN], True)),
        ("own", None, (), ([], True)),
    ],
)
def test_in_aws_it_is_asked_for_by_what_the_wrapped_keys_name(
    database: Database,
    tmp_path: Path,
    kms_key: str,
    arn: str | None,
    former: tuple[str, ...],
    asked: tuple[list[str], bool],
) -> None:
    """The shared key by its ARN never: other tenants need it."""

    async def body(at: Ground) -> None:
        key_id = f"own-{at.anna.tenant_id}"
        name = KeyName(at.anna.tenant_id, 1, key_id if kms_key == "own" else kms_key)
        wrapped = {at.anna.tenant_id: WrappedKey(name, arn, b"w", former)}
        aws = Aws(wrapped, at.shredder().keys)
        roots = dataclasses.replace(at.shredder().roots, keys=aws, kms=aws)
        told = await certificate(await begun(at, keys=aws, roots=roots), at.anna)
        assert aws.asked[0] == (key_id, *asked)
        assert (told["kms_key"] is not None) == bool(asked[0])
        if asked[0]:
            assert told["mode"] == "own KMS key disabled, deletion scheduled"
            assert told["kms_key"]["deletion_at"] == "2027-01-01T00:00:00.000Z"

    on_ground(database, tmp_path, body)
