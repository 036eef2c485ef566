"""`tenantry economics`: the reference case to the cent, what-ifs, deployments, bars and SVG."""

import json
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from tenantry.domain import money
from tenantry.entrypoints.cli.main import cli


def run(*options: str, status: int = 0) -> str:
    done = CliRunner().invoke(cli, ["economics", *options])
    assert done.exit_code == status, done.output
    return done.output


def rows_of(*options: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = json.loads(run(*options, "--json"))
    return rows


def test_the_reference_case_to_the_cent() -> None:
    shown = [
        (row["total_cost"], row["revenue"], row["margin"])
        for row in rows_of("--customers", "10", "--customers", "100")
    ]
    assert shown == [("31.00", "500.00", "93.8"), ("80.00", "5000.00", "98.4")]
    table = run("--customers", "10")
    assert "31.00" in table and "500.00" in table and "93.8" in table


def test_what_ifs_change_what_they_name() -> None:
    [plain] = rows_of("--honest")
    [row] = rows_of(
        "--honest", "--customers", "20", "--queries", "200", "--tokens-in", "9000",
        "--tokens-out", "1000", "--waste", "0", "--churn", "0.05", "--acquisition", "100",
    )  # fmt: skip
    # 4,000 queries × (9,000 × 3 + 1,000 × 15) / 1M
    assert (plain["model_cost"], row["model_cost"], row["waste"]) == ("21.00", "168.00", "0.00")
    assert row["lifetime_value"] == "797.00"  # (50 × .971 − .30 − 8.40) / .05
    assert (row["payback_months"], row["value_to_cost"]) == ("2.51", "7.97")


def test_markup_is_not_margin() -> None:
    bare = ("--revenue", "0", "--customers", "1000")
    margins = {}
    for markup in ("2", "3", "5"):
        [row] = rows_of("--markup", markup, *bare)
        left = Fraction(row["revenue"]) - Fraction(row["model_cost"])
        margins[markup] = round(float(left * 100 / Fraction(row["revenue"])), 1)
    assert margins == {"2": 50.0, "3": 66.7, "5": 80.0}


def test_a_model_of_the_price_book() -> None:
    [row] = rows_of("--honest", "--model", "amazon.nova-micro-v1:0")
    assert Decimal(row["model_cost"]) == Decimal("0.23")  # 4.5M at .035 + .5M at .14
    assert "no prices" in CliRunner().invoke(cli, ["economics", "--model", "gpt-0"]).output


def test_a_deployment_is_the_fixed_cost() -> None:
    [row] = rows_of("--honest", "--customers", "1000", "--deployment", "ecs-rds")
    bills = json.loads(run("--deployments", "--customers", "1000", "--json"))
    [bill] = [bill for bill in bills if bill["deployment"] == "ecs-rds"]
    assert Decimal(row["fixed_cost"]) == money.to_currency(Decimal(bill["usd"]), "USD")
    assert sum(Decimal(part["usd"]) for part in bill["parts"]) == Decimal(bill["usd"])
    assert any(part["price_assumed"] for part in bill["parts"])


def test_deployments_at_four_sizes() -> None:
    table = run("--deployments")
    for words in ("vm", "ecs-rds", "aurora", "serverless", "10,000", "assumptions"):
        assert words in table
    detail = run("--deployments", "--deployment", "vm", "--customers", "10")
    assert "VM t4g.medium" in detail and "assumed" in detail


def test_the_tail_tells_who_loses() -> None:
    [row] = rows_of("--honest", "--tail", "1.5")
    assert (row["top_1_percent_use"], row["loss_making_customers"]) == ("20.4", "0.2")


def test_bars_and_svg(tmp_path: Path) -> None:
    file = tmp_path / "economics.svg"
    text = run("--honest", "--customers", "10", "--chart", "--svg", str(file))
    assert "▒" in text and "73.2 % margin" in text
    svg = file.read_text("utf-8")
    assert svg.startswith("<svg") and "margin" in svg


@pytest.mark.parametrize("form", [(), ("--json",), ("--chart",)])
def test_an_svg_that_cannot_be_written_is_all_that_is_told(
    tmp_path: Path, form: tuple[str, ...]
) -> None:
    done = CliRunner().invoke(cli, ["economics", "--svg", str(tmp_path / "no" / "x.svg"), *form])
    assert isinstance(done.exception, FileNotFoundError)
    assert done.output == ""


@pytest.mark.parametrize(
    "options",
    [
        ("--markup", "-1"),
        ("--markup", "NaN"),
        ("--revenue", "many"),
        ("--tail", "5"),
        ("--customers", "-1"),
        ("--churn", "2"),
        ("--waste", "1e-50"),
        ("--deployment", "moon"),
        ("--by", "planet"),
    ],
)
def test_a_wrong_option_is_wrong_usage(options: tuple[str, str]) -> None:
    run(*options, status=2)
