"""A shred retires no KMS key that somebody else needs or has made; over AWS's real wire."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from tests.support.aws_server import AwsServer
from tests.support.keys_in_aws import InAws, in_aws
from tests.support.postgres import Database
from tests.support.shredding import BY, begun

from tenantry.application.shredding import begin_shred, shred_round
from tenantry.bootstrap.doctor.overdue import shred_problems
from tenantry.domain.errors import Conflict
from tenantry.domain.tenant import TenantStatus


@pytest.mark.parametrize("shared", [False, True])
def test_a_key_that_the_customer_made_is_left_and_named(
    database: Database, tmp_path: Path, aws: AwsServer, shared: bool
) -> None:
    """One key for two of a customer's tenants, or by mistake the deployment's own."""

    async def body(at: InAws) -> None:
        arn = at.shared if shared else aws.kms_key()
        for who in (at.anna, at.bert):
            at.alias(who, arn)
            assert await at.moved(who) == arn
        told = await at.certified(at.anna)
        assert (told["mode"], told["kms_key"]) == ("tenant key destroyed", None)
        [line] = [each for each in told["remains"] if arn in each]
        assert "has left as it is" in line
        assert aws.state_of(arn) == "Enabled"
        assert await at.opens(at.bert)

    in_aws(database, tmp_path, aws, body)


def test_a_key_that_another_tenant_needs_is_refused_before_the_shred_begins(
    database: Database, tmp_path: Path, aws: AwsServer
) -> None:
    async def body(at: InAws) -> None:
        anna, bert = at.anna, at.bert
        arn = await at.both_by_one()
        with pytest.raises(Conflict, match=f"also wraps the keys of {bert.tenant.name}:"):
            await begin_shred(at.shredder(), anna.tenant_id, anna.tenant.name, BY)
        assert await at.shredder().book.get(anna.tenant_id) is None
        tenant = await at.ground.world.control.get_tenant(anna.tenant_id)
        assert tenant.status is TenantStatus.ACTIVE
        assert await at.opens(anna)
        # The one it was not made for goes, and takes nothing along.
        assert arn in str((await at.certified(bert))["remains"])
        assert aws.state_of(arn) == "Enabled"
        told = await at.certified(anna)
        assert told["mode"] == "own KMS key disabled, deletion scheduled"
        assert aws.state_of(arn) == "PendingDeletion"

    in_aws(database, tmp_path, aws, body)


def test_a_shred_that_had_begun_waits_says_why_and_goes_on(
    database: Database, tmp_path: Path, aws: AwsServer, caplog: pytest.LogCaptureFixture
) -> None:
    """As one of an older version: it does not know that it must not."""

    async def body(at: InAws) -> None:
        anna, bert = at.anna, at.bert
        arn = await at.moved(anna)
        await begun(at.ground)
        at.alias(bert, arn)
        await at.moved(bert)
        work = shred_round(at.shredder(), time.monotonic).work
        for _ in range(3):
            await work()
        assert caplog.text.count("cannot go on") == 1
        databases = at.ground.world.databases
        [line] = await shred_problems(databases)
        assert f"the shred of {anna.tenant_id} cannot go on" in line and bert.tenant.name in line
        assert aws.state_of(arn) == "Enabled"
        assert await at.opens(bert)
        await at.moved(bert, own=False)
        await work()
        assert aws.state_of(arn) == "PendingDeletion"
        assert await shred_problems(databases) == []
        assert await at.opens(bert)

    in_aws(database, tmp_path, aws, body)
