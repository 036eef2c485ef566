"""`tenantry reconcile`: does the ledger hold what it promises, and what the provider logged?"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import click

from tenantry.application.reconcile import LOG_DELAY, Report, Sides
from tenantry.application.reconcile import reconcile as reconcile_logs
from tenantry.application.true_up import TrueUp
from tenantry.bootstrap import run_with_keeper, run_with_sides
from tenantry.domain import money
from tenantry.domain.reconciliation import Break, BreakKind
from tenantry.entrypoints.cli.output import as_json, print_json, print_table
from tenantry.ports.ledger import LedgerKeeper, Violation

EPOCH = datetime.fromtimestamp(0, UTC)
SHOWN_MAX = 20  # breaks of each kind in the table; JSON has more
_INSTANT = click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M:%SZ"])
_ADVICE: Mapping[BreakKind, str] = {
    BreakKind.MISSING_IN_LOG: "is the log complete? else ask the provider by upstream id",
    BreakKind.UNATTRIBUTED: "who else calls with this account's credentials?",
    BreakKind.DOUBLED: "delivered again: billed once, look; besides another: called twice",
    BreakKind.TOKEN_DIFFERENCE: "compare the attempt's raw usage with the record",
    BreakKind.MISPRICED: "post a reversal, and the entry that is right",
    BreakKind.MODEL_ABSENT: "add the model to catalogue and prices",
    BreakKind.UNKNOWN: "is `tenantry worker` reading this log?",
}


@click.command()
@click.option("--invariants", is_flag=True, help="Check the ledger's invariants instead.")
@click.option(
    "--logs",
    multiple=True,
    help="Invocation logs: a folder (at any depth), a file, or s3://bucket/prefix; repeatable;"
    " default: where the worker reads them.",
)
@click.option("--true-up", is_flag=True, help="First post what the logs say of unknown attempts.")
@click.option("--from", "start", type=_INSTANT, help="UTC; default: the month's first day.")
@click.option("--to", "end", type=_INSTANT, help="UTC, exclusive; default: now.")
@click.option(
    "--log-delay-s",
    type=click.IntRange(0, 7 * 86_400),
    default=int(LOG_DELAY.total_seconds()),
    help="Seconds that a record may still be on its way; default: 3600.",
)
@as_json
def reconcile(
    invariants: bool,
    logs: tuple[str, ...],
    true_up: bool,
    start: datetime | None,
    end: datetime | None,
    log_delay_s: int,
    json_output: bool,
) -> None:
    """Hold the ledger against the invocation log, request by request; exit 1 on a break.

    Example: `tenantry reconcile --logs ./logs --from 2026-11-01 --to 2026-12-01`
    """
    if invariants and (logs or start or end or true_up):
        raise click.UsageError("--invariants takes neither --logs nor --true-up nor a period")
    if invariants:
        _check_invariants(json_output)
        return
    now = datetime.now(UTC)
    until = end.replace(tzinfo=UTC) if end else now
    since = start.replace(tzinfo=UTC) if start else month_of(until)
    if since >= until:
        raise click.UsageError("--from must be before --to")

    async def work(sides: Sides, posting: TrueUp) -> tuple[int | None, Report]:
        read = await posting.read_all(now, now - EPOCH) if true_up else None
        report = await reconcile_logs(sides, since, until, now, timedelta(seconds=log_delay_s))
        return None if read is None else read.trued_up, report

    trued_up, report = run_with_sides(logs, (since, until), work)
    if json_output:
        print_json({**_to_json(report), **({} if trued_up is None else {"trued_up": trued_up})})
    else:
        if trued_up is not None:
            click.echo(f"{trued_up:,} unknown attempts were settled from the logs")
        _print(report)
    if report.break_count:
        raise click.ClickException(f"{report.break_count:,} breaks between ledger and log")


def _check_invariants(json_output: bool) -> None:
    async def work(keeper: LedgerKeeper) -> list[Violation]:
        return await keeper.violations()

    found = run_with_keeper(work)
    if json_output:
        print_json({"violations": found})
    elif found:
        print_table(("invariant", "detail"), ((v.invariant, v.detail) for v in found))
    if found:
        raise click.ClickException(f"{len(found)} invariants are violated")
    if not json_output:
        click.echo("all invariants hold")


def month_of(until: datetime) -> datetime:
    """The first instant of the month that ends with `until`, or holds it."""
    last = until - timedelta(microseconds=1)
    return last.replace(day=1, hour=0, minute=0, second=0, microsecond=0)


def _to_json(report: Report) -> dict[str, Any]:
    return {
        "from": report.start,
        "to": report.end,
        "log": report.log,
        **{name: getattr(report.tally, name) for name in report.tally.__slots__},
        "break_count": report.break_count,
        "by_kind": {str(kind): figures for kind, figures in report.by_kind.items()},
        "breaks": report.breaks,
    }


def _print(report: Report) -> None:
    tally, log = report.tally, report.log
    click.echo(
        f"{report.start:%Y-%m-%d %H:%M:%SZ} to {report.end:%Y-%m-%d %H:%M:%SZ}, by admission"
    )
    click.echo(
        f"log: {log.files:,} files, {log.records:,} records, {log.unreadable:,} lines unreadable"
    )
    click.echo(
        f"{tally.matched:,} matched, {tally.nothing_used:,} used nothing, {tally.under_way:,} under"
        f" way, {tally.not_yet_delivered:,} not yet delivered, {report.break_count:,} breaks"
    )
    for kind, figures in report.by_kind.items():
        click.echo()
        unpriced = f", {figures.unpriced:,} without a price" if figures.unpriced else ""
        of_kind = [found for found in report.breaks if found.kind is kind][:SHOWN_MAX]
        print_table(
            ("id", "tenant", "upstream id", "model", "at", "ledger $", "log $", "detail"),
            _rows(of_kind),
            title=f"{kind}: {figures.count:,}, log less ledger"
            f" {money.plain(figures.difference_usd)} USD{unpriced} ({_ADVICE[kind]})",
        )
        if figures.count > len(of_kind):
            click.echo(f"… and {figures.count - len(of_kind):,} more; --json lists them")


def _rows(breaks: Iterable[Break]) -> Iterable[tuple[object, ...]]:
    for found in breaks:
        yield (
            found.id,
            found.tenant_id,
            found.upstream_request_id,
            found.model,
            found.at,
            found.ledger_usd,
            found.log_usd,
            found.detail,
        )
