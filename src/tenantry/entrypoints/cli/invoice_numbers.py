"""`tenantry invoices numbers`: the series, and numbers that stay a gap."""

from __future__ import annotations

from dataclasses import asdict

import click

from tenantry.application.invoice_numbers import Series
from tenantry.bootstrap.commands.billing import run_with_billing
from tenantry.domain.invoice import number_of
from tenantry.entrypoints.cli.confirming import who
from tenantry.entrypoints.cli.output import as_json, print_json, print_table, say
from tenantry.entrypoints.cli.values import NAMED
from tenantry.ports.invoice_numbers import Gap


@click.command()
@click.option(
    "--continue-after",
    "after",
    type=NAMED,
    help="The last number that was given: those up to it that the database lacks stay a gap.",
)
@click.option("--reason", type=NAMED, help="Kept with the gap for good.")
@as_json
def numbers(after: str | None, reason: str | None, json_output: bool) -> None:
    """List the series with their last numbers, in the database and beside it, and told gaps.

    Example: `tenantry invoices numbers --continue-after INV-2026-000041 --reason "restored"`
    """
    if (after is None) != (reason is None):
        raise click.UsageError("--continue-after and --reason go together")
    if after is None or reason is None:
        _list(json_output)
        return
    gap = run_with_billing(lambda _, billing: billing.numbers.continue_after(after, who(), reason))
    if json_output:
        print_json(asdict(gap))
    else:
        say(f"{_span(gap)} stay a gap; the next is {number_of(gap.series, gap.last + 1)}")


def _list(json_output: bool) -> None:
    series, gaps = run_with_billing(lambda _, billing: billing.numbers.listed())
    if json_output:
        print_json({"series": [asdict(s) for s in series], "gaps": [asdict(g) for g in gaps]})
        return
    print_table(
        ("series", "last in the database", "last that was given", ""),
        ((each.series, each.database, each.file, _trouble(each)) for each in series),
    )
    if gaps:
        print_table(
            ("gap", "told", "by", "reason"),
            ((_span(gap), gap.told_at, gap.told_by, gap.reason) for gap in gaps),
        )


def _trouble(each: Series) -> str:
    if each.is_behind:
        return "database is behind"
    return "database has another document" if each.is_another else ""


def _span(gap: Gap) -> str:
    return f"{number_of(gap.series, gap.first)} to {number_of(gap.series, gap.last)}"
