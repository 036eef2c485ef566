"""What is not in the key store is not taken for destroyed, nor for what nobody needs."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest
from tests.support.aws_server import AwsServer
from tests.support.keys_in_aws import InAws
from tests.support.lost_keys import folder
from tests.support.postgres import Database
from tests.support.shredding import BY, Ground, begun, on_ground

from tenantry.adapters.postgres.noted_keys import PostgresKeyNotes
from tenantry.application.shredding import Shredder, advance_shred, begin_shred
from tenantry.domain.errors import Conflict


def in_wrong_store(at: Ground, shredder: Shredder) -> Shredder:
    """As where the settings of the process that goes on name another store."""
    keys = at.keys(at.root / "wrong")
    return dataclasses.replace(
        shredder, keys=keys, roots=dataclasses.replace(shredder.roots, keys=keys)
    )


def test_a_key_that_another_store_has_is_not_certified_as_destroyed(
    database: Database, tmp_path: Path
) -> None:
    async def body(at: Ground) -> None:
        right = await begun(at)
        wrong = in_wrong_store(at, right)
        for _ in range(2):
            with pytest.raises(Conflict, match="cannot be destroyed"):
                await advance_shred(wrong, at.anna.tenant_id)
        shred = await right.book.get(at.anna.tenant_id)
        assert (shred.step, (folder(at, at.anna) / "1.json").exists()) == ("asked", True)
        assert (await advance_shred(right, at.anna.tenant_id)).shred.step == "certified"
        assert not any(folder(at, at.anna).iterdir())

    on_ground(database, tmp_path, body)


def test_a_key_that_is_given_up_does_not_hold_up_its_shred(
    database: Database, tmp_path: Path
) -> None:
    async def body(at: Ground) -> None:
        (folder(at, at.anna) / "1.json").unlink()
        shredder = await begun(at)
        with pytest.raises(Conflict, match="adopt-key"):
            await advance_shred(shredder, at.anna.tenant_id)
        notes = PostgresKeyNotes(at.world.databases.control)
        await notes.give_up(at.anna.tenant_id)
        assert (await advance_shred(shredder, at.anna.tenant_id)).shred.step == "certified"

    on_ground(database, tmp_path, body)


@pytest.mark.parametrize("absent", ["damaged", "lost"])
def test_a_kms_key_stays_that_an_absent_key_may_need(
    database: Database, tmp_path: Path, aws: AwsServer, absent: str
) -> None:
    """The other tenant's wrapped keys come back from the backup, and open."""

    async def body(ground: Ground) -> None:
        at = InAws(ground, aws)
        anna, bert = ground.anna, ground.bert
        arn = await at.moved(anna)
        at.alias(bert, arn)
        assert await at.moved(bert) == arn
        file = folder(ground, bert) / "1.json"
        kept = file.read_bytes()
        file.unlink()
        if absent == "damaged":
            file.write_bytes(kept[:40])
        with pytest.raises(Conflict, match=f"may also wrap keys of {bert.tenant.name}:"):
            await begin_shred(at.shredder(), anna.tenant_id, anna.tenant.name, BY)
        assert aws.state_of(arn) == "Enabled"
        file.write_bytes(kept)
        assert await at.opens(bert)
        await at.moved(bert, own=False)
        await begin_shred(at.shredder(), anna.tenant_id, anna.tenant.name, BY)
        progress = await advance_shred(at.shredder(), anna.tenant_id)
        assert json.loads(progress.shred.certificate or "")["mode"].startswith("own KMS key")
        assert await at.opens(bert)
        at.kms.close()

    on_ground(database, tmp_path, body)
