"""`tenantry advise`: which tenants should have an account of their own, and why."""

from __future__ import annotations

from pathlib import Path

import click

from tenantry.domain.advice import Advice, Verdict
from tenantry.domain.advice import advise as advice_on
from tenantry.domain.advice_file import standings_from_csv
from tenantry.entrypoints.cli.output import as_json, print_json, print_table

FILE_BYTES_MAX = 128 * 2**20  # a million rows are about 60 MB


@click.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--last-month", metavar="YYYY-MM", help="Last closed month; default: the file's.")
@as_json
def advise(file: Path, last_month: str | None, json_output: bool) -> None:
    """Advise pool or silo for each tenant, with the evidence; nothing is moved.

    FILE is a CSV of closed months: tenant, month (2026-11), provider_cost_usd; and as wanted
    forecast_usd, contribution_usd, compliance, quota_share, throttles_caused.

    Example: `tenantry advise months.csv --json`
    """
    if file.stat().st_size > FILE_BYTES_MAX:
        raise click.ClickException(f"{file} is larger than {FILE_BYTES_MAX} bytes")
    closed, standings = standings_from_csv(file.read_text("utf-8-sig"), last_month)
    advice = {tenant: advice_on(standing) for tenant, standing in standings.items()}
    if json_output:
        rows = [_row(tenant, made) for tenant, made in advice.items()]
        print_json({"last_closed_month": closed, "advice": rows})
        return
    print_table(
        ("tenant", "advice", "because of"),
        (
            (tenant, made.verdict, ", ".join(made.reasons) or None)
            for tenant, made in advice.items()
        ),
    )
    for tenant, made in advice.items():
        if made.verdict is not Verdict.POOL:
            click.echo("\n" + "\n  ".join((tenant, *made.evidence, f"instead: {made.other_lever}")))


def _row(tenant: str, made: Advice) -> dict[str, object]:
    return {
        "tenant": tenant,
        "advice": made.verdict,
        "reasons": made.reasons,
        "evidence": made.evidence,
        "other_lever": made.other_lever,
    }
