"""`tenantry doctor` tries the KMS key and the key store before a tenant does."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.support.aws_server import AwsServer

from tenantry.adapters.keys.key_folder import KeyFolder
from tenantry.adapters.keys.local_kms import LocalKms
from tenantry.adapters.keys.wrapped_key import pack
from tenantry.adapters.objects.durable_file import DurableFiles
from tenantry.domain.document import Home
from tenantry.domain.ids import TenantId
from tenantry.entrypoints.cli.main import main
from tenantry.ports.keys import SHARED_KMS_KEY, KeyName


@pytest.fixture
def doctor(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Any:
    monkeypatch.setenv("TENANTRY_HOME", str(tmp_path))
    monkeypatch.delenv("TENANTRY_DATABASE_URL", raising=False)

    def run(**settings: str) -> tuple[int, dict[str, Any], str]:
        for name, value in settings.items():
            monkeypatch.setenv(f"TENANTRY_{name.upper()}", value)
        monkeypatch.setattr(sys, "argv", ["tenantry", "doctor", "--json"])
        with pytest.raises(SystemExit) as end:
            main()
        said = capsys.readouterr()
        assert isinstance(end.value.code, int)
        return end.value.code, json.loads(said.out or "{}"), said.err

    return run


def test_what_a_tenant_would_meet_is_told_before(
    aws: AwsServer, doctor: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in aws.environment().items():
        monkeypatch.setenv(name, value)
    arn, client = aws.kms_key(), aws.client("kms")
    client.disable_key(KeyId=arn)
    kept = f"s3://{aws.bucket('keys-doctor-kept', versions=True)}"
    status, said, _ = doctor(kms=arn, kms_endpoint_url=aws.url, key_store_url=kept)
    assert (status, said["facts"]["KMS"], said["facts"]["key store"]) == (1, arn, kept)
    assert said["problems"] == [
        "KMS: The KMS key is disabled.",
        "key store: The key store's bucket keeps versions, in which a shredded key would live on.",
    ]
    client.enable_key(KeyId=arn)
    status, said, _ = doctor(key_store_url=f"s3://{aws.bucket('keys-doctor')}/x")
    assert (status, said["problems"]) == (0, [])


def test_a_key_of_this_machine_that_opens_nothing_is_told(tmp_path: Path, doctor: Any) -> None:
    accounts = tmp_path / "accounts"
    kms = LocalKms(accounts, DurableFiles())
    pool, silo = "111111111111", "222222222222"
    anna, bert, gone = TenantId("tnt_anna"), TenantId("tnt_bert"), TenantId("tnt_gone")

    async def lay(account: str, tenant: TenantId, key_id: str) -> None:
        await kms.create(account, key_id)
        wrapped = await kms.wrap(account, KeyName(tenant, 1, key_id), bytes(32))
        await KeyFolder(accounts, DurableFiles()).create(Home(tenant, account), 1, pack(wrapped))

    async def stage() -> None:
        await lay(pool, anna, SHARED_KMS_KEY)
        await lay(silo, bert, f"own-{bert}")
        await kms.create(silo, f"own-{gone}")
        await kms.retire(silo, f"own-{gone}")  # by a shred: nothing needs it

    asyncio.run(stage())
    assert doctor()[1]["problems"] == []
    asyncio.run(kms.set_enabled(silo, f"own-{bert}", False))
    status, said, _ = doctor()
    told = f"KMS: account {silo}, own-{bert}: The KMS key is disabled."
    assert (status, said["problems"]) == (1, [told])
    (accounts / pool / "kms" / "shared.json").unlink()
    status, said, _ = doctor()
    assert said["problems"] == [
        f"KMS: account {pool}, shared: The KMS key does not exist.",
        told,
    ]


def test_a_vector_engine_that_nobody_answers_for_is_told(doctor: Any) -> None:
    url = "https://admin:hidden@opensearch.invalid:9200"
    status, said, error = doctor(vectors="opensearch", opensearch_url=url)
    assert status == 1
    (problem,) = said["problems"]
    assert problem.startswith("TENANTRY_VECTORS=opensearch: The vector engine opensearch is out")
    assert "hidden" not in problem + error


def test_a_home_without_a_deployment_is_told(tmp_path: Path, doctor: Any) -> None:
    status, said, _ = doctor()
    assert (status, said["problems"]) == (0, [])
    assert said["facts"]["tenants"].startswith(f"There is no deployment in {tmp_path}")


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("kms", "aws", "TENANTRY_KMS is not the ARN"),
        ("kms", "arn:aws:s3:::123456789012", "TENANTRY_KMS is not the ARN"),
        ("kms_endpoint_url", "kms", "TENANTRY_KMS_ENDPOINT_URL must be"),
        ("key_store_url", "/srv/keys", "TENANTRY_KEY_STORE_URL: '/srv/keys' is no S3 location"),
        ("kms_deletion_days", "6", "kms_deletion_days is wrong"),
    ],
)
def test_wrong_settings_are_refused(doctor: Any, name: str, value: str, told: str) -> None:
    status, _, error = doctor(**{name: value})
    assert (status, told in error) == (1, True), error


@pytest.mark.parametrize("arguments", [[], ["acme", "--all"]])
def test_a_rotation_names_one_tenant_or_all(
    monkeypatch: pytest.MonkeyPatch, arguments: list[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["tenantry", "tenants", "rotate-key", *arguments])
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code == 2
