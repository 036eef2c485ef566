"""Amounts as they are typed: plain decimals, a minus among them, and nothing else."""

import click
import pytest
from click.testing import CliRunner

from tenantry.entrypoints.cli.contracts import credit
from tenantry.entrypoints.cli.main import cli

HOSTILE = ["1_0", " 5 ", "1e1", "1e999999", "9" * 200, "\u0661\u0662", "NaN", "ten"]
COMMANDS = [
    ("invoices", "credit", "INV-2026-000001", "--reason", "outage", "--amount"),
    ("tenants", "credit", "acme"),
    ("rates", "add", "EUR", "--day", "2026-11-01", "--source", "ECB"),
    ("economics", "--revenue"),
    ("alerts", "replay", __file__, "--floor-charge"),
]


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: " ".join(command[:2]))
def test_an_amount_that_nobody_means_is_refused_before_anything_is_asked(
    command: tuple[str, ...], text: str
) -> None:
    done = CliRunner().invoke(cli, [*command, text])
    assert (done.exit_code, "plain decimal" in done.output) == (2, True), done.output
    assert not isinstance(done.exception, ArithmeticError)


@pytest.mark.parametrize("amount", ["-5", "-5.00", "-12.5", "500.00"])
def test_a_credit_is_taken_back_by_a_minus(amount: str) -> None:
    context = credit.make_context("credit", ["lisbon", amount, "--note", "entered twice"])
    assert context.params["amount"] == amount
    with pytest.raises(click.UsageError):
        credit.make_context("credit", ["lisbon", "5", "--noet", "x"])
