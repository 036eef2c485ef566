"""What a person does not need is not in a table; amounts come with their currency."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest
from click.testing import CliRunner

from tenantry.domain.ids import TenantId
from tenantry.entrypoints.api_client import Api, Reply
from tenantry.entrypoints.cli import budgets
from tenantry.entrypoints.cli.knowledge import ask
from tenantry.entrypoints.cli.output import print_table

BUDGET = {
    "scope": "tenant",
    "scope_id": "",
    "period": "month",
    "basis": "charge",
    "limit": Decimal("0.00005"),
    "currency": "EUR",
    "hard": True,
    "settled": Decimal("0.00003748"),
    "reserved": Decimal(0),
    "remaining": Decimal("0.00001252"),
    "resets_at": None,
    "set_by": "operator",
    "forecast": None,
    "low": None,
    "high": None,
    "passes_at": None,
}


def test_columns_without_anything_in_them_are_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(("a", "b", "c"), [(1, None, ""), (None, None, "")], without_empty=True)
    assert [line.split() for line in capsys.readouterr().out.splitlines()] == [["a"], ["1"], ["–"]]
    print_table(("a", "b"), [(1, None)])
    assert capsys.readouterr().out.split() == ["a", "b", "1", "–"]
    for rows in ([], [(None, "")]):
        print_table(("a", "b"), rows, without_empty=True)
        assert capsys.readouterr().out.split() == ["a", "b", *("–" for _ in rows)]


def test_a_row_has_a_cell_for_each_column() -> None:
    for row in ((1, 2, 3), (1,)):
        with pytest.raises(ValueError, match="zip"):
            print_table(("a", "b"), [row])


def test_true_and_false_are_yes_and_no(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(("hard",), [(True,), (False,)])
    assert capsys.readouterr().out.split() == ["hard", "yes", "no"]


def test_budgets_are_shown_without_forecasts_that_are_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(budgets, "run_with_outlooks", lambda *_: [BUDGET])
    shown = CliRunner().invoke(budgets.budgets, ["show", "acme"]).output
    headings, row = (line.split() for line in shown.splitlines())
    assert headings == [
        "scope", "period", "basis", "limit", "currency", "hard", "settled", "reserved",
        "remaining", "set_by",
    ]  # fmt: skip
    assert row[5] == "yes"
    told = CliRunner().invoke(budgets.budgets, ["show", "acme", "--json"]).output
    assert json.loads(told)[0].keys() == BUDGET.keys(), "programs are told all of it"


class Control:
    async def get_tenant(self, name: str) -> Any:
        return SimpleNamespace(id=TenantId("tnt_1"), name=name, invoice_currency="EUR")

    async def set_budget(self, budget: Any) -> None:
        pass


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ((), "0.5 EUR a month, in charge; hard: what passes it is refused"),
        (("--soft",), "0.5 EUR a month, in charge; soft: what passes it is served, and alerts"),
        (("--basis", "cost"), "0.5 USD a month, in cost; hard: what passes it is refused"),
    ],
)
def test_a_budget_is_set_in_a_currency_and_hard_or_soft(
    options: tuple[str, ...], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(work: Callable[..., Any]) -> Any:
        return asyncio.run(work(Control(), None))

    monkeypatch.setattr(budgets, "run_with_labels", run)
    done = CliRunner().invoke(budgets.budgets, ["set", "acme", "--limit", "0.5", *options])
    assert done.output == f"budget tenant of acme is {said}\n"


@pytest.mark.parametrize(
    ("headers", "said"),
    [({"x-tenantry-charge": "0.5 EUR"}, "charged 0.5 EUR"), ({}, "charged 0.5")],
    ids=["told", "of an older gateway"],
)
def test_a_question_is_charged_in_a_currency(
    headers: dict[str, str], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TENANTRY_API_KEY", "tk_x")
    body = {"answer": "yes", "citations": [], "charge": "0.5"}
    monkeypatch.setattr(Api, "post", lambda *_: Reply(200, headers, body))
    assert CliRunner().invoke(ask, ["?"]).stderr.strip() == said
