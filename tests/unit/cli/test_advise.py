"""`tenantry advise` shows who should move, on what evidence, and what else would help."""

from __future__ import annotations

import json
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from tenantry.domain.advice import Standing
from tenantry.domain.advice import advise as advise_on
from tenantry.entrypoints.cli.advise import print_advice
from tenantry.entrypoints.cli.main import cli

ROWS = """tenant,month,provider_cost_usd,contribution_usd
acme,2026-08,5100,9000
acme,2026-09,5200,9000
acme,2026-10,5000,9000
bert,2026-10,9000,9000
cora,2026-09,6000,100
cora,2026-10,6000,100
"""


@pytest.fixture
def months(tmp_path: Path) -> str:
    path = tmp_path / "months.csv"
    path.write_text(ROWS, "utf-8")
    return str(path)


def test_json_for_programs(months: str) -> None:
    done = CliRunner().invoke(cli, ["advise", months, "--json"])
    assert done.exit_code == 0, done.output
    shown = json.loads(done.stdout)
    assert shown["last_closed_month"] == "2026-10"
    assert [(row["tenant"], row["advice"], row["reasons"]) for row in shown["advice"]] == [
        ("acme", "silo", ["spend"]),
        ("bert", "pool", []),
        ("cora", "hold", ["spend"]),
    ]
    for row in shown["advice"]:
        assert len(row["evidence"]) == 5
        assert row["other_lever"].startswith("a negotiated discount")


def test_a_table_for_people(months: str) -> None:
    done = CliRunner().invoke(cli, ["advise", months, "--last-month", "2026-09"])
    assert done.exit_code == 0, done.output
    assert "instead: a negotiated discount" in done.stdout
    assert "bert" not in done.stdout, "its only month is not closed"


def test_nothing_is_advised_before_a_month_has_ended(capsys: pytest.CaptureFixture[str]) -> None:
    new, bound = advise_on(Standing(())), advise_on(Standing((), compliance=True))
    print_advice({"acme": (new, True), "bert": (bound, False)})
    rows = [line.split() for line in capsys.readouterr().out.splitlines()[1:3]]
    assert rows == [
        ["acme", "–", "no", "closed", "month", "yet", "silo"],
        ["bert", "silo", "compliance", "pool"],
    ]


def test_a_wrong_file_is_one_line(tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.csv"
    for content in (b"tenant,month,provider_cost_usd\nacme,2026-10,much\n", b"\xff\xfe\xff"):
        wrong.write_bytes(content)
        with pytest.raises((click.ClickException, ValueError)):
            CliRunner().invoke(cli, ["advise", str(wrong)], catch_exceptions=False)
