"""What an amount with a minus is, and what is an option that there is none of."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tenantry.entrypoints.cli.contracts import credit
from tenantry.entrypoints.cli.main import main


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("TENANTRY_DATABASE_URL", raising=False)
    monkeypatch.setenv("TENANTRY_HOME", str(tmp_path))
    return tmp_path


def status_of(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["tenantry", *arguments])
    with pytest.raises(SystemExit) as end:
        main()
    assert isinstance(end.value.code, int)
    return end.value.code


@pytest.mark.parametrize(
    "words", [("--bogus",), ("acme", "--bogus"), ("acme", "--bogus=3"), ("acme", "--bogus", "5")]
)
def test_an_option_that_there_is_none_of_is_no_amount(
    words: tuple[str, ...],
    home: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert status_of(monkeypatch, "tenants", "credit", *words) == 2
    assert "No such option '--bogus'" in capsys.readouterr().err


@pytest.mark.parametrize("amount", ["-5", "-.5", "-5.25"])
def test_an_amount_with_a_minus_is_one(amount: str) -> None:
    context = credit.make_context("credit", ["acme", amount, "--note", "taken back"])
    assert context.params["amount"] == amount
