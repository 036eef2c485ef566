"""Settings that would open an account, or that only the environment's JSON can give."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from bedrock_emulator.config import ACCOUNTS_VARIABLE, Config, ConfigError, parse, with_environment


def account(**credential):
    return {"id": "555555555555", "credentials": [credential]}


@pytest.mark.parametrize(
    ("name", "credential"),
    [
        ("bearer_key", {"bearer_key": ""}),
        ("access_key_id", {"access_key_id": "", "secret_access_key": "s"}),
        ("secret_access_key", {"access_key_id": "A", "secret_access_key": ""}),
        ("session_token", {"bearer_key": "b", "session_token": ""}),
    ],
)
def test_an_empty_secret_is_refused(name, credential):
    with pytest.raises(ConfigError, match=rf"^credentials\.{name} must not be empty$"):
        parse({"accounts": [account(**credential)]}, base_dir=Path())


@pytest.mark.parametrize(
    ("region", "partition"), [("eusc-de-east-1", "aws-eusc"), ("us-gov-west-1", "aws-us-gov")]
)
def test_an_account_may_be_in_any_partition(region, partition):
    bought = {"id": "abcdefghij12", "model": "amazon.nova-lite-v1:0", "region": region}
    given = {**account(bearer_key="b"), "regions": [region], "provisioned": [bought]}
    [made] = parse({"accounts": [given]}, base_dir=Path()).accounts
    owner = f"arn:{partition}:bedrock:{region}:555555555555"
    assert made.provisioned[0].arn(made.id) == f"{owner}:provisioned-model/abcdefghij12"


@pytest.mark.parametrize("region", ["eu", "eu-central", "EU-CENTRAL-1", "eu-central-1\n", 1])
def test_what_is_no_region_is_refused(region):
    with pytest.raises(ConfigError, match="is not a region"):
        parse({"accounts": [{**account(bearer_key="b"), "regions": [region]}]}, base_dir=Path())


def from_environment(monkeypatch, expires_at):
    accounts = [account(bearer_key="b", expires_at=expires_at)]
    monkeypatch.setenv(ACCOUNTS_VARIABLE, json.dumps(accounts))
    [made] = with_environment(Config()).accounts
    return made.credentials[0].expires_at


@pytest.mark.parametrize("text", ["2026-11-23T12:00:00Z", "2026-11-23T13:00:00+01:00"])
def test_json_gives_a_time_as_text(monkeypatch, text):
    assert from_environment(monkeypatch, text) == datetime(2026, 11, 23, 12, tzinfo=UTC)


@pytest.mark.parametrize("text", ["soon", "2026-11-23T12:00:00", "", 12])
def test_what_is_no_time_with_a_zone_is_refused(monkeypatch, text):
    with pytest.raises(ConfigError, match="expires_at"):
        from_environment(monkeypatch, text)
