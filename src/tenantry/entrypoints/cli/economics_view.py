"""Scenarios and deployments as tables, bars, JSON and SVG."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from rich.table import Table
from rich.text import Text

from tenantry.domain import money
from tenantry.domain.deployments import DEPLOYMENTS, Bill, Load, bill_of
from tenantry.domain.economics import Economics, Scenario, economics, shown
from tenantry.domain.heavy_tail import tail_of
from tenantry.entrypoints.cli.layout import width_of
from tenantry.entrypoints.cli.output import (
    drawn_table,
    plain_console,
    print_json,
    print_table,
    say,
)

BAR_CHARS = 40
BARS_COLUMNS = 80  # customers, a bar, its margin
SVG_COLUMNS = 200


@dataclass(frozen=True, slots=True)
class Shown:
    """What is to be shown, and how."""

    scenarios: Sequence[Scenario]
    tail: Decimal | None
    chart: bool
    svg: Path | None


def print_scenarios(asked: Shown, json_output: bool) -> None:
    rows = [_row(scenario, asked.tail) for scenario in asked.scenarios]
    if asked.svg is not None:  # first: where it cannot be written, that is all that is told
        _write_svg(asked, rows, asked.svg)
    if json_output:
        print_json(rows)
    else:
        print_table([_title(name) for name in rows[0]], (tuple(row.values()) for row in rows))
    if asked.chart and not json_output:
        _print_bars(asked.scenarios)


def _write_svg(asked: Shown, rows: Sequence[dict[str, Any]], file: Path) -> None:
    titles = [_title(name) for name in rows[0]]
    cells = [["–" if cell is None else str(cell) for cell in row.values()] for row in rows]
    lines = drawn_table(titles, cells, SVG_COLUMNS, blocks=False, right=range(len(titles)))
    wide = max(width_of(words + rest) for words, rest in lines)
    console = plain_console(record=True, width=max(wide, BARS_COLUMNS), file=io.StringIO())
    for words, rest in lines:
        console.print(Text.assemble((words, "bold"), rest))
    console.print(_bars(asked.scenarios))
    drawn = console.export_svg(title="tenantry economics")
    # The font that Rich names would be fetched from a server when the file is opened.
    drawn = re.sub(r"\s*@font-face \{.*?\}", "", drawn, flags=re.DOTALL)
    file.write_text(drawn.replace("Fira Code, ", ""), encoding="utf-8")


def _row(scenario: Scenario, sigma: Decimal | None) -> dict[str, Any]:
    figures = economics(scenario)
    row = {
        "customers": scenario.customers,
        "model_cost": str(shown(figures.model_cost)),
        "waste": str(shown(figures.waste)),
        "fixed_cost": str(shown(figures.fixed_cost)),
        "fees": str(shown(figures.fees)),
        "total_cost": str(shown(figures.total_cost)),
        "revenue": str(shown(figures.revenue)),
        "margin": None if figures.margin_percent is None else str(figures.margin_percent),
        "lifetime_value": _shown(figures.lifetime_value),
        "payback_months": _shown(figures.payback_months),
    }
    if scenario.acquisition_cost and figures.lifetime_value is not None:
        row["value_to_cost"] = _shown(
            money.ratio(figures.lifetime_value, scenario.acquisition_cost)
        )
    if sigma is not None:
        tail = tail_of(scenario, sigma)
        row |= {
            "top_1_percent_use": str(tail.top_1_share),
            "top_10_percent_use": str(tail.top_10_share),
            "median_use": str(tail.median_use),
            "loss_making_customers": str(tail.loss_making),
        }
    return row


def _shown(amount: Decimal | None) -> str | None:
    return None if amount is None else str(shown(amount))


def _title(name: str) -> str:
    return name.replace("_", " ")


def _print_bars(scenarios: Sequence[Scenario]) -> None:
    """Also where the terminal is narrower: a bar that is cut would say something else."""
    console = plain_console()
    plain_console(width=max(console.width, BARS_COLUMNS)).print(_bars(scenarios))


def _bars(scenarios: Sequence[Scenario]) -> Table:
    """Where revenue goes: what models, floors, fees take of it, and what is left."""
    table = Table(box=None, pad_edge=False)
    for name in ("customers", "of revenue: models, waste, fixed, fees, left", ""):
        table.add_column(name)
    for scenario in scenarios:
        figures = economics(scenario)
        margin = figures.margin_percent
        words = "no revenue" if margin is None else f"{margin} % margin"
        table.add_row(f"{scenario.customers:,}", _bar(figures), words)
    return table


def _bar(figures: Economics) -> Text:
    """One cell for each fortieth of revenue, or of total cost where that is more."""
    whole = max(figures.revenue, figures.total_cost)
    bar = Text()
    if not whole:
        return bar
    parts = (
        (figures.model_cost, "█", "blue"),
        (figures.waste, "▓", "magenta"),
        (figures.fixed_cost, "▒", "yellow"),
        (figures.fees, "░", "red"),
        (max(figures.profit, Decimal(0)), "·", "green"),
    )
    drawn, reached = 0, money.ZERO
    for amount, sign, colour in parts:
        reached = money.total((reached, amount))
        share = money.ratio(money.times(reached, Decimal(BAR_CHARS)), whole)
        until = int(shown(share, Decimal(1)))
        bar.append(sign * (until - drawn), style=colour)
        drawn = until
    return bar


def print_deployments(
    tenants: Sequence[int], queries: int, only: str | None, json_output: bool
) -> None:
    """Each deployment's month at each number of tenants; one in detail where it was asked for."""
    names = list(DEPLOYMENTS) if only is None else [only]
    bills = [bill_of(name, Load(count, count * queries)) for count in tenants for name in names]
    if json_output:
        print_json([_bill(bill) for bill in bills])
        return
    say(f"USD a month beside tokens, {queries:,} requests a tenant; us-east-1 list prices")
    print_table(
        ("tenants", *names),
        (
            (count, *(str(shown(bill.usd)) for bill in bills if bill.load.tenants == count))
            for count in tenants
        ),
    )
    if only is not None:
        for bill in bills:
            _print_bill(bill)
    say("Quantities are assumptions; --deployment NAME --json has each with its reason.")


def _print_bill(bill: Bill) -> None:
    print_table(
        ("part", "quantity", "unit", "price", "USD", "price read", "why"),
        (
            (
                line.name, line.quantity, line.price.unit, line.price.usd, str(shown(line.usd)),
                line.price.read.rpartition(", ")[2], line.why,
            )
            for line in bill.lines
        ),
        title=f"{bill.deployment} at {bill.load.tenants:,} tenants",
    )  # fmt: skip


def _bill(bill: Bill) -> dict[str, Any]:
    return {
        "deployment": bill.deployment,
        "tenants": bill.load.tenants,
        "requests": bill.load.requests,
        "usd": bill.usd,
        "parts": [
            {
                "name": line.name,
                "quantity": line.quantity,
                "unit": line.price.unit,
                "price_usd": line.price.usd,
                "usd": line.usd,
                "price_read": line.price.read,
                "price_assumed": line.price.assumed,
                "why": line.why,
            }
            for line in bill.lines
        ],
    }
