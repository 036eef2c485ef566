"""An operator's token that is none opens nothing; a file that is wrong is one line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tenantry.adapters.bedrock.credentials import Credentials
from tenantry.bootstrap.control_files import control_problems, open_secrets
from tenantry.bootstrap.deployment import (
    credentials_of,
    examined_settings,
    make_operator_token,
    operator_token,
)
from tenantry.config import Settings, SettingsError

TOKEN = "op_" + "o" * 13


@pytest.fixture
def control(tmp_path: Path) -> Path:
    folder = tmp_path / "control"
    folder.mkdir(mode=0o700)
    return folder


def config(control: Path, token: str | None = None) -> Settings:
    return Settings(home=control.parent, operator_token=token)


def laid(path: Path, content: bytes, mode: int = 0o600) -> Path:
    path.touch(mode=0o600)
    path.write_bytes(content)
    path.chmod(mode)
    return path


def test_a_token_is_made_once(control: Path) -> None:
    with pytest.raises(SettingsError, match="There is no deployment in"):
        operator_token(config(control))
    make_operator_token(config(control, TOKEN))
    assert list(control.iterdir()) == []
    make_operator_token(config(control))
    made = operator_token(config(control))
    assert len(made) == 64
    make_operator_token(config(control))
    assert operator_token(config(control)) == made
    assert control_problems(config(control)) == []


@pytest.mark.parametrize("around", ["{}\n", " {} \r\n", "\t{}"])
def test_white_space_around_a_token_is_none_of_it(control: Path, around: str) -> None:
    laid(control / "operator-token", around.format(TOKEN).encode())
    assert operator_token(config(control)) == TOKEN
    assert operator_token(config(control, around.format(TOKEN))) == TOKEN


@pytest.mark.parametrize("content", [b"", b"\n", b" " * 40, b"short", b"\xff" * 40, b"a\nb" * 20])
def test_a_file_that_holds_no_token_is_one_line_that_names_it(
    control: Path, content: bytes
) -> None:
    path = laid(control / "operator-token", content)
    with pytest.raises(SettingsError) as refused:
        operator_token(config(control))
    said = f"{path} must hold at least 16 printable ASCII characters"
    assert str(refused.value) == said
    assert control_problems(config(control)) == [said]
    assert control_problems(config(control, TOKEN)) == [], "it is not read"


@pytest.mark.parametrize("token", [" ", "hidden", "hidden" + "ü" * 20])
def test_a_setting_that_is_no_token_is_one_line_that_names_it(
    control: Path, monkeypatch: pytest.MonkeyPatch, token: str
) -> None:
    said = "TENANTRY_OPERATOR_TOKEN must hold at least 16 printable ASCII characters"
    with pytest.raises(SettingsError) as refused:
        operator_token(config(control, token))
    assert str(refused.value) == said
    monkeypatch.setenv("TENANTRY_HOME", str(control.parent))
    monkeypatch.setenv("TENANTRY_OPERATOR_TOKEN", token)
    assert examined_settings()[1] == [said]


def test_access_keys_of_accounts(control: Path) -> None:
    assert credentials_of(config(control)) == {}
    key = {"access_key_id": "AKIA", "secret_access_key": "hidden"}
    table = {"1" * 12: key, "2" * 12: {**key, "session_token": "t"}}
    laid(control / "credentials.json", json.dumps(table).encode())
    assert credentials_of(config(control)) == {
        "1" * 12: Credentials("AKIA", "hidden"),
        "2" * 12: Credentials("AKIA", "hidden", "t"),
    }


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b'{"bad',
        b"[]",
        b'{"1": []}',
        b'{"1": {"access_key_id": "a"}}',
        b'{"1": {"access_key_id": "a", "secret_access_key": 7}}',
        b'{"1": {"access_key_id": "", "secret_access_key": "hidden"}}',
        b'{"1": {"access_key_id": "a", "secret_access_key": "hidden", "more": 1}}',
        b'{"1": {"access_key_id": "a", "secret_access_key": "hidden\xff"}}',
    ],
)
def test_access_keys_that_are_malformed_are_one_line_that_names_the_file(
    control: Path, content: bytes
) -> None:
    path = laid(control / "credentials.json", content)
    with pytest.raises(SettingsError) as refused:
        credentials_of(config(control))
    (problem,) = control_problems(config(control))
    assert problem == str(refused.value)
    assert problem.startswith(f"{path} must map accounts to access keys: ")
    assert "\n" not in problem
    assert "hidden" not in problem


def test_secrets_that_others_may_read_are_a_line_each(control: Path) -> None:
    names = ("operator-token", "credentials.json", "database-secret", "../postgres.secrets")
    for name in names:
        laid(control / name, b"{}")
    assert open_secrets(config(control)) == []
    for name, mode in zip(names, (0o644, 0o640, 0o604, 0o666), strict=True):
        (control / name).chmod(mode)
    found = open_secrets(config(control))
    assert len(found) == len(names)
    for line, name, mode in zip(found, names, ("0644", "0640", "0604", "0666"), strict=True):
        assert line.startswith(str((control / name).resolve()))
        assert line.endswith(f"is open to others: its mode is {mode} and must be 0600")
