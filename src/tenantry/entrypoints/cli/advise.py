"""`tenantry advise`: which tenants should have an account of their own, and why."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import click

from tenantry.application.advising import advice_from_ledger
from tenantry.domain.advice import Advice, Verdict
from tenantry.domain.advice import advise as advice_on
from tenantry.domain.advice_file import standings_from_csv
from tenantry.entrypoints.cli.output import as_json, print_json, print_table, say
from tenantry.entrypoints.cli.values import FILE, NAMED

FILE_BYTES_MAX = 128 * 2**20  # a million rows are about 60 MB
_Found = dict[str, tuple[Advice, bool | None]]  # whether it has its own account; None: unknown


@click.command()
@click.argument("file", required=False, type=FILE)
@click.option(
    "--last-month", type=NAMED, metavar="YYYY-MM", help="Last closed month; default: the file's."
)
@click.option(
    "--compliance",
    type=NAMED,
    multiple=True,
    metavar="TENANT",
    help="Must have an account of its own.",
)
@as_json
def advise(
    file: Path | None, last_month: str | None, compliance: tuple[str, ...], json_output: bool
) -> None:
    """Advise pool or silo for each tenant, with the evidence; nothing is moved.

    Without FILE from the ledger: calendar months (UTC) of its provider's book. FILE is a CSV of
    closed months: tenant, month (2026-11), provider_cost_usd; and as wanted forecast_usd,
    contribution_usd, compliance, quota_share, throttles_caused.

    Example: `tenantry advise months.csv --json`
    """
    if file is None:
        if last_month is not None:
            raise click.UsageError("--last-month goes with FILE")
        closed, found = _of_the_ledger(compliance)
    elif compliance:
        raise click.UsageError("with FILE, compliance is one of its columns")
    else:
        closed, found = _of_a_file(file, last_month)
    if json_output:
        rows = [_row(tenant, made, silo) for tenant, (made, silo) in found.items()]
        print_json({"last_closed_month": closed, "advice": rows})
    else:
        print_advice(found)


def _of_a_file(file: Path, last_month: str | None) -> tuple[str | None, _Found]:
    if file.stat().st_size > FILE_BYTES_MAX:
        raise click.ClickException(f"{file} is larger than {FILE_BYTES_MAX} bytes")
    closed, standings = standings_from_csv(file.read_text("utf-8-sig"), last_month)
    return closed, {tenant: (advice_on(known), None) for tenant, known in standings.items()}


def _of_the_ledger(compliance: tuple[str, ...]) -> tuple[str | None, _Found]:
    from tenantry.bootstrap.commands.control import (
        run_with_margin_books,  # brings every adapter along
    )
    from tenantry.entrypoints.cli.economics_actual import costs_of

    costs, now = costs_of(None), datetime.now(UTC)
    closed, advice = run_with_margin_books(
        lambda books: advice_from_ledger(books, now, compliance, costs)
    )
    return closed, {tenant: (made, silo) for tenant, (made, silo) in advice.items()}


def print_advice(found: _Found) -> None:
    print_table(
        ("tenant", "advice", "because of", "has now"),
        ((tenant, *_verdict(made), _has(silo)) for tenant, (made, silo) in found.items()),
    )
    for tenant, (made, _) in found.items():
        if made.verdict is not Verdict.POOL:
            say()
            say(tenant)
            for line in (*made.evidence, f"instead: {made.other_lever}"):
                say(f"  {line}")


def _verdict(made: Advice) -> tuple[str | None, str | None]:
    """What is advised and why; nothing where no month has ended and nothing else asks."""
    if not made.closed_months and not made.reasons:
        return None, "no closed month yet"
    return made.verdict, ", ".join(made.reasons) or None


def _has(silo: bool | None) -> str | None:
    return None if silo is None else "silo" if silo else "pool"


def _row(tenant: str, made: Advice, silo: bool | None) -> dict[str, object]:
    return {
        "tenant": tenant,
        "advice": made.verdict,
        "reasons": made.reasons,
        "closed_months": made.closed_months,
        "evidence": made.evidence,
        "other_lever": made.other_lever,
        "has_now": _has(silo),
    }
