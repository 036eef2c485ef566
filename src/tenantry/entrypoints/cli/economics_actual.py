"""`tenantry economics --actual`: margin from the ledger's two books."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import click

from tenantry.application.margin import margin_of
from tenantry.bootstrap.commands.control import run_with_margin_books
from tenantry.bootstrap.deployment import settings
from tenantry.bootstrap.shared_costs import shared_costs
from tenantry.domain import money
from tenantry.domain.economics import shown
from tenantry.domain.margin import MarginBy, MarginReport, MarginRow
from tenantry.domain.period import billing_period
from tenantry.domain.shared_costs import SharedCosts, SharedCostsError
from tenantry.entrypoints.cli.output import print_json, print_table, say
from tenantry.entrypoints.margin_view import FIGURES, from_margin

_STEP = Decimal("0.0001")


def print_actual(
    start: datetime | None,
    end: datetime | None,
    by: MarginBy,
    tag: str,
    costs_file: Path | None,
    json_output: bool,
) -> None:
    """Of [start, end) in UTC, by default of the running calendar month."""
    month = billing_period(datetime.now(UTC), "UTC", 1)
    start = start.replace(tzinfo=UTC) if start else month.start
    end = end.replace(tzinfo=UTC) if end else max(month.end, start)
    if end <= start:
        raise click.ClickException("--from must lie before --to")
    costs = costs_of(costs_file)

    report = run_with_margin_books(lambda books: margin_of(books, start, end, by, costs, tag))
    if json_output:
        print_json(from_margin(report, start, end))
    else:
        _print(report, f"Margin by {by}, {start:%Y-%m-%d} to {end:%Y-%m-%d} (UTC), USD")


def costs_of(path: Path | None) -> SharedCosts:
    """Of a file, or else of the file that the settings name."""
    try:
        return shared_costs(path or settings().shared_costs)
    except (SharedCostsError, UnicodeDecodeError) as error:
        raise click.ClickException(f"the file of shared costs: {error}") from None


def _print(report: MarginReport, title: str) -> None:
    names = [name.replace("_", " ") for name in FIGURES]
    print_table(
        (report.by.value, "requests", "tokens", *names),
        (_cells(row) for row in (*report.rows, report.total)),
        title=title,
    )
    if report.audits is not None:
        spent = money.total((report.audits.provider_cost, report.audits.waste))
        say(
            f"audits of isolation: {report.audits.requests:,} requests,"
            f" {format(shown(spent, _STEP), ',f')} USD of provider cost, in no row"
        )
    for line in report.shared:
        say(f"shared: {line.name} {line.usd} USD, by {line.key}")
    if report.fee_rate or report.fee_each:
        percent = money.plain(money.shifted(report.fee_rate, 2))
        say(
            f"fees: {percent} % of revenue and {report.fee_each} USD for each of"
            f" {report.payers} paying"
        )
    if not report.shared:
        say("shared: none named; --costs FILE has them")


def _cells(row: MarginRow) -> tuple[object, ...]:
    """Money to a hundredth of a cent: a report to read. `--json` has every digit."""
    amounts = (getattr(row, name) for name in FIGURES[:-1])
    percent = None if row.margin_percent is None else format(row.margin_percent, "f")
    cents = (format(shown(amount, _STEP), ",f") for amount in amounts)
    return (row.name, row.requests, row.tokens, *cents, percent)
