"""What is not in the key store is not taken for destroyed, nor for what nobody needs."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
from tests.support.aws_server import AwsServer
from tests.support.keys_in_aws import InAws, in_aws
from tests.support.lost_keys import folder
from tests.support.postgres import Database
from tests.support.shredding import BY, Ground, Killed, begun, on_ground

from tenantry.adapters.keys.either_kms import EitherKms
from tenantry.adapters.postgres.noted_keys import PostgresKeyNotes, PostgresNotedKeys
from tenantry.application.shredding import Shredder, advance_shred, begin_shred
from tenantry.domain.errors import Conflict, Unavailable
from tenantry.domain.tenant import Principal


def in_wrong_store(at: Ground, shredder: Shredder) -> Shredder:
    """As where the settings of the process that goes on name another store."""
    keys = at.keys(at.root / "wrong")
    return dataclasses.replace(
        shredder, keys=keys, roots=dataclasses.replace(shredder.roots, keys=keys)
    )


def make_absent(at: Ground, who: Principal, absent: str) -> bytes:
    """The wrapped key as it was."""
    file = folder(at, who) / "1.json"
    kept = file.read_bytes()
    file.unlink()
    if absent == "damaged":
        file.write_bytes(kept[:40])
    return kept


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

    async def body(at: InAws) -> None:
        anna, bert = at.anna, at.bert
        arn = await at.both_by_one()
        kept = make_absent(at.ground, bert, absent)
        with pytest.raises(Conflict, match=f"may also wrap keys of {bert.tenant.name}:"):
            await begin_shred(at.shredder(), anna.tenant_id, anna.tenant.name, BY)
        assert aws.state_of(arn) == "Enabled"
        (folder(at.ground, bert) / "1.json").write_bytes(kept)
        assert await at.opens(bert)
        await at.moved(bert, own=False)
        assert (await at.certified(anna))["mode"].startswith("own KMS key disabled")
        assert await at.opens(bert)

    in_aws(database, tmp_path, aws, body)


@pytest.mark.parametrize("absent", ["damaged", "lost"])
@pytest.mark.parametrize("own", [False, True])
def test_an_absent_key_that_cannot_need_a_kms_key_holds_up_no_other_tenants_shred(
    database: Database, tmp_path: Path, aws: AwsServer, absent: str, own: bool
) -> None:
    """Whether it rested under the shared key or under another own one: that is noted."""

    async def body(at: InAws) -> None:
        anna, bert = at.anna, at.bert
        arn = await at.moved(anna)
        other = await at.moved(bert, own=own)
        kept = make_absent(at.ground, bert, absent)
        assert (await at.certified(anna))["mode"].startswith("own KMS key disabled")
        assert (aws.state_of(arn), aws.state_of(other)) == ("PendingDeletion", "Enabled")
        (folder(at.ground, bert) / "1.json").write_bytes(kept)
        assert await at.opens(bert)

    in_aws(database, tmp_path, aws, body)


@pytest.mark.parametrize("why", ["not noted", "alias", "no look at aliases", "once", "unused"])
def test_it_holds_one_up_where_nobody_can_tell(
    database: Database, tmp_path: Path, aws: AwsServer, why: str
) -> None:
    async def body(at: InAws) -> None:
        anna, bert = at.anna, at.bert
        if why == "once":  # and a backup of that time is all there is
            arn = await at.both_by_one()
            aws.client("kms").delete_alias(AliasName=f"alias/tenantry/own-{bert.tenant_id}")
        else:
            arn = await at.moved(anna)
        await at.moved(bert, own=False)
        if why == "not noted":  # as of before these notes
            await at.ground.world.as_superuser("UPDATE tenantry.tenant_key SET kms_arns = NULL")
        if why == "alias":  # the database is older than what the alias has wrapped since
            at.alias(bert, arn)
        if why == "unused":  # a later version than those that this database knows
            (folder(at.ground, bert) / "2.json").write_bytes(b"{}")
        make_absent(at.ground, bert, "lost")
        shredder = at.shredder()
        if why == "no look at aliases":
            kms: Any = Blind(at.kms)
            shredder = dataclasses.replace(
                shredder, roots=dataclasses.replace(shredder.roots, kms=kms)
            )
        with pytest.raises(Conflict, match=f"may also wrap keys of {bert.tenant.name}:") as told:
            await begin_shred(shredder, anna.tenant_id, anna.tenant.name, BY)
        assert ("kms:ListAliases" in told.value.message) is (why == "no look at aliases")
        assert aws.state_of(arn) == "Enabled"

    in_aws(database, tmp_path, aws, body)


class Blind:
    """AWS KMS without `kms:ListAliases`."""

    def __init__(self, kms: EitherKms) -> None:
        self._kms = kms

    async def named_by(self, _: Any) -> Any:
        raise Unavailable("AWS KMS does not let us use the KMS key.")

    def __getattr__(self, name: str) -> Any:
        return getattr(self._kms, name)


def test_what_wraps_a_key_is_noted_before_it_does(
    database: Database, tmp_path: Path, aws: AwsServer
) -> None:
    """A rewrap that dies may leave either file."""

    async def body(at: InAws) -> None:
        anna, bert = at.anna, at.bert
        first, arn = await at.moved(bert, own=False), await at.moved(anna)
        at.alias(bert, arn)
        keys: Any = at.keys()

        async def killed(*_: Any) -> bool:
            raise Killed

        keys._files.replace = killed
        with pytest.raises(Killed):
            await keys.rewrap(at.own(bert))
        notes = PostgresNotedKeys(at.ground.world.work)
        assert await notes.wrapped_by(bert.tenant_id) == {1: {first, arn}}
        assert await notes.wrapped_by(anna.tenant_id) == {1: {arn}}

    in_aws(database, tmp_path, aws, body)


def test_a_rewrap_that_moves_nothing_notes_what_wraps_a_key(
    database: Database, tmp_path: Path, aws: AwsServer
) -> None:
    """So one command does it for all that nobody opened since an upgrade."""

    async def body(at: InAws) -> None:
        bert, notes = at.bert, PostgresNotedKeys(at.ground.world.work)
        arns = {who.tenant_id: await at.moved(who) for who in (at.anna, bert)}
        await at.ground.world.as_superuser("UPDATE tenantry.tenant_key SET kms_arns = NULL")
        assert await at.keys().rewrap(at.own(bert)) == 0
        assert await notes.wrapped_by(bert.tenant_id) == {1: {arns[bert.tenant_id]}}
        assert await notes.wrapped_by(at.anna.tenant_id) == {1: None}

    in_aws(database, tmp_path, aws, body)
