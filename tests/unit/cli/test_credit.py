"""What an amount with a minus is, and what is an option that there is none of."""

from __future__ import annotations

import pytest
from tests.support.command_line import StatusOf

from tenantry.entrypoints.cli.contracts import credit


@pytest.mark.parametrize(
    "words", [("--bogus",), ("acme", "--bogus"), ("acme", "--bogus=3"), ("acme", "--bogus", "5")]
)
def test_an_option_that_there_is_none_of_is_no_amount(
    words: tuple[str, ...], status_of: StatusOf, capsys: pytest.CaptureFixture[str]
) -> None:
    assert status_of("tenants", "credit", *words) == 2
    assert "No such option '--bogus'" in capsys.readouterr().err


@pytest.mark.parametrize("amount", ["-5", "-.5", "-5.25"])
def test_an_amount_with_a_minus_is_one(amount: str) -> None:
    context = credit.make_context("credit", ["acme", amount, "--note", "taken back"])
    assert context.params["amount"] == amount
