"""A shred of what lies in accounts of before, and the logs that its certificate names."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path

import pytest
from tests.support.postgres import Database
from tests.support.shredding import Ground, begun, is_untouched, on_ground

from tenantry.application.shredding import advance_shred
from tenantry.domain.errors import NotFound
from tenantry.domain.placement import NO_ACCOUNT
from tenantry.domain.usage import Usage
from tenantry.ports.keys import Purpose
from tenantry.ports.objects import ObjectKind


def test_what_lies_in_an_account_of_before_is_destroyed_too(
    database: Database, tmp_path: Path
) -> None:
    """A placement's account could change once, and left keys and objects where they were."""

    async def body(at: Ground) -> None:
        before = at.home(at.anna)
        elsewhere = dataclasses.replace(at.anna.tenant.placement, id="two", account="2" * 12)
        await at.world.control.apply_placement(elsewhere)
        await at.world.as_superuser(
            "UPDATE tenantry.tenant SET placement_id = 'two' WHERE tenant_id = $1",
            at.anna.tenant_id,
        )
        shredder = await begun(at)
        assert await shredder.keys.versions(before)
        done = await advance_shred(shredder, at.anna.tenant_id)
        assert done.shred.step == "certified"
        with pytest.raises(NotFound):
            await shredder.keys.subkey(before, 1, Purpose.BLOB, b"")
        for kind in ObjectKind:
            assert await shredder.objects.list(before, kind) == []
        told = json.loads(str(done.shred.certificate))
        assert told["erased"]["sealed objects: originals"] == 2
        await is_untouched(at)

    on_ground(database, tmp_path, body)


@pytest.mark.parametrize("known", [False, True])
def test_the_account_of_before_is_known_without_its_placement(
    database: Database, tmp_path: Path, known: bool
) -> None:
    """The account in which a pool begins, and one that only the ledger names: keys and objects go,
    and the log of each account that answered is named."""
    account = "5" * 12 if known else NO_ACCOUNT

    async def body(at: Ground) -> None:
        if known:
            admitted = await at.world.admitted()
            await at.world.as_superuser("UPDATE tenantry.open_request SET account = $1", account)
            await at.world.settle(admitted, at.world.outcome(Usage(out=500)))
        accounts = tmp_path / "accounts"
        here = accounts / at.anna.tenant.placement.account
        for own in list(here.rglob(at.anna.tenant_id)):
            moved = accounts / account / own.relative_to(here)
            moved.parent.mkdir(parents=True, exist_ok=True)
            own.rename(moved)
        shutil.copytree(here / "kms", accounts / account / "kms")
        assert list(accounts.rglob("1.json"))
        done = await advance_shred(await begun(at), at.anna.tenant_id)
        left = [path for path in (accounts / account).rglob("*") if at.anna.tenant_id in str(path)]
        assert not [path for path in left if path.is_file() and path.stat().st_size]
        told = json.loads(str(done.shred.certificate))
        assert told["erased"]["sealed objects: originals"] == 2
        logs = {each for each in told["remains"] if "invocation log" in each}
        assert len(logs) == 1 + known
        assert any(account in each for each in logs) == known
        await is_untouched(at)

    on_ground(database, tmp_path, body)


def test_every_log_of_an_account_is_named(database: Database, tmp_path: Path) -> None:
    """Bedrock logs each region by itself, into a bucket in it; one of another account is nobody's
    matter."""

    async def body(at: Ground) -> None:
        pool = at.anna.tenant.placement
        for name, account, region in (
            (pool.id, pool.account, pool.region),
            ("eu", pool.account, "eu-west-1"),
            ("eu-again", pool.account, "eu-west-1"),
            ("other", "2" * 12, "us-east-1"),
        ):
            await at.world.control.apply_placement(
                dataclasses.replace(
                    pool, id=name, account=account, region=region, regions=frozenset({region}),
                    invocation_log=f"s3://logs-{account}-{region}",
                )
            )  # fmt: skip
        done = await advance_shred(await begun(at), at.anna.tenant_id)
        told = json.loads(str(done.shred.certificate))
        logs = [each.split(";")[0] for each in told["remains"] if "invocation log" in each]
        assert logs == [
            f"outside of Tenantry: the invocation log of Bedrock in account {pool.account}"
            f" (s3://logs-{pool.account}-{region})"
            for region in ("eu-west-1", pool.region)
        ]
        await is_untouched(at)

    on_ground(database, tmp_path, body)
