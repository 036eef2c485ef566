"""`doctor` tells of tenants' keys that are not there, and of KMS keys that open nothing."""

from __future__ import annotations

import json
import secrets
from collections.abc import Sequence
from pathlib import Path

import pytest
from tests.support.aws_server import KEYS, AwsServer
from tests.support.keys_in_aws import POOL, InAws, in_aws
from tests.support.lost_keys import folder
from tests.support.postgres import Database
from tests.support.shredding import Ground, on_ground

from tenantry.bootstrap.doctor.tenant_keys import tenant_key_problems
from tenantry.config import Settings


async def told(at: Ground, config: Settings) -> Sequence[str]:
    tenants = [at.anna.tenant, at.bert.tenant]
    return await tenant_key_problems(config, at.world.databases, tenants)


def settings(at: InAws, **others: str) -> Settings:
    root = at.ground.root
    control = root / "control"
    control.mkdir(exist_ok=True)
    entry = {
        "access_key_id": KEYS["aws_access_key_id"],
        "secret_access_key": KEYS["aws_secret_access_key"],
    }
    (control / "credentials.json").write_text(json.dumps({POOL: entry}))
    return Settings(home=root, kms=at.shared, kms_endpoint_url=at.aws.url, **others)


def test_a_tenants_own_kms_key_that_is_disabled_is_told_with_whose_it_is(
    database: Database, tmp_path: Path, aws: AwsServer
) -> None:
    async def body(at: InAws) -> None:
        arns = [await at.moved(who) for who in (at.anna, at.bert)]
        config = settings(at)
        assert await told(at.ground, config) == []
        aws.client("kms").disable_key(KeyId=arns[0])
        assert await told(at.ground, config) == [
            f"KMS: {arns[0]}, of the keys of {at.anna.tenant.name}: The KMS key is disabled."
        ]

    in_aws(database, tmp_path, aws, body)


def test_a_version_that_is_damaged_hides_no_kms_key_of_another_version(
    database: Database, tmp_path: Path, aws: AwsServer
) -> None:
    async def body(at: InAws) -> None:
        arn = await at.moved(at.anna)
        await at.moved(at.bert, own=False)
        for _ in range(2):
            await at.keys().rotate(at.own(at.anna))
        aws.client("kms").disable_key(KeyId=arn)
        for version in (1, 2):
            file = folder(at.ground, at.anna) / f"{version}.json"
            file.write_bytes(file.read_bytes()[:40])
        name = at.anna.tenant.name
        damaged, refusal = await told(at.ground, settings(at))
        assert damaged.startswith(f"the keys of {name}: A wrapped tenant key is damaged.")
        assert refusal == f"KMS: {arn}, of the keys of {name}: The KMS key is disabled."

    in_aws(database, tmp_path, aws, body)


@pytest.mark.parametrize("wrong", ["damaged", "unreadable"])
def test_a_key_that_cannot_be_read_is_told_and_hides_no_other(
    database: Database, tmp_path: Path, wrong: str
) -> None:
    async def body(at: Ground) -> None:
        anna, bert = (folder(at, who) for who in (at.anna, at.bert))
        kept = (bert / "1.json").read_bytes()
        if wrong == "damaged":
            (bert / "1.json").write_bytes(kept[:40])
        else:
            (bert / "1.json").unlink()
            bert.rmdir()
            bert.write_text("no folder")
        [line] = await told(at, Settings(home=at.root))
        assert line.startswith(f"the keys of {at.bert.tenant.name}: ")
        assert ("damaged" in line, "cannot be read" in line) == (
            wrong == "damaged",
            wrong == "unreadable",
        )
        (anna / "1.json").unlink()
        lost, unread = await told(at, Settings(home=at.root))
        assert f"does not have keys that {at.anna.tenant.name} had" in lost
        assert unread == line

    on_ground(database, tmp_path, body)


def test_a_bucket_that_is_out_of_reach_is_not_taken_for_one_without_trouble(
    database: Database, tmp_path: Path, aws: AwsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in aws.environment().items():
        monkeypatch.setenv(name, value)

    async def body(at: Ground) -> None:
        config = Settings(home=at.root, key_store_url="s3://no-such-bucket/tenantry")
        assert await told(at, config) == [
            "not all tenants' keys could be looked at: The key store's bucket does not exist."
        ]

    on_ground(database, tmp_path, body)


def test_a_bucket_that_has_none_of_the_keys_is_told(
    database: Database, tmp_path: Path, aws: AwsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in aws.environment().items():
        monkeypatch.setenv(name, value)
    url = f"s3://{aws.bucket(f'wrong-{secrets.token_hex(6)}')}/tenantry"

    async def body(at: InAws) -> None:
        [line] = await told(at.ground, settings(at, key_store_url=url))
        assert line.startswith(f"the key store ({url}) does not have keys that ")
        assert at.anna.tenant.name in line and at.bert.tenant.name in line
        assert "TENANTRY_KEY_STORE_URL" in line

    in_aws(database, tmp_path, aws, body)
