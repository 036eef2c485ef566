"""A refusal names what it is about, in words that can be acted on: the variable, not its inside."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tenantry.entrypoints.cli.main import main

Refused = Callable[..., str]


@pytest.fixture
def refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Refused:
    for name in ("TENANTRY_API_KEY", "TENANTRY_URL", "TENANTRY_DATABASE_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TENANTRY_HOME", str(tmp_path))

    def run(*arguments: str, **variables: object) -> str:
        for name, value in variables.items():
            monkeypatch.setenv(name, str(value))
        monkeypatch.setattr(sys, "argv", ["tenantry", *arguments])
        with pytest.raises(SystemExit) as end:
            main()
        assert end.value.code == 1
        return capsys.readouterr().err

    return run


def test_a_home_that_is_no_folder(refused: Refused, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    for home in (file, file / "below"):
        for command in (("tenants", "list"), ("doctor",)):
            told = refused(*command, TENANTRY_HOME=home)
            assert told == f"tenantry: TENANTRY_HOME: {home} is no folder\n"
    told = refused("doctor", TENANTRY_HOME=tmp_path, TENANTRY_CONFIG=file / "x")
    assert told == f"tenantry: TENANTRY_CONFIG: {file} is no folder\n"


@pytest.mark.parametrize("url", ["ftp://x", "127.0.0.1:8080", "http://", "http:8080"])
def test_an_address_of_a_gateway_that_is_none(refused: Refused, url: str) -> None:
    told = refused("ask", "hi", TENANTRY_URL=url, TENANTRY_API_KEY="tk_abc")
    assert told == "tenantry: TENANTRY_URL must be an http or https URL\n"


def test_invoices_without_an_issuer(refused: Refused) -> None:
    told = refused("invoices", "run")
    assert told == "tenantry: no issuer is set: TENANTRY_INVOICE_ISSUER names its TOML file\n"
