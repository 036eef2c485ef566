"""`tenantry reconcile`: does the ledger hold what it promises, and what the provider logged?"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import click

from tenantry.application.reconcile import INSTEAD, LOG_DELAY, Report, Sides
from tenantry.application.reconcile import reconcile as reconcile_logs
from tenantry.application.reconcile_bill import TENANT_TAG, reconcile_bill, whole_days
from tenantry.application.true_up import TrueUp
from tenantry.bootstrap.commands.control import run_with_keeper
from tenantry.bootstrap.commands.reconcile import BillAsked, run_with_bill, run_with_sides
from tenantry.bootstrap.deployment import settings
from tenantry.domain import money
from tenantry.domain.archive import refuse_archived
from tenantry.domain.reconciliation import Break, BreakKind
from tenantry.entrypoints.cli.output import as_json, print_json, print_table, say
from tenantry.entrypoints.cli.reconcile_bill import bill_to_json, print_bill
from tenantry.entrypoints.cli.values import FILE, INSTANT, NAMED

EPOCH = datetime.fromtimestamp(0, UTC)
_LAST = datetime(9999, 1, 1, tzinfo=UTC)  # what is looked at beyond it is still a day
SHOWN_MAX = 20  # breaks of each kind in the table; JSON has more
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
    type=NAMED,
    multiple=True,
    help="Invocation logs: a folder (at any depth), a file, or s3://bucket/prefix; repeatable;"
    " default: where the worker reads them.",
)
@click.option("--true-up", is_flag=True, help="First post what the logs say of unknown attempts.")
@click.option(
    "--bill",
    "bills",
    type=NAMED,
    multiple=True,
    help="A Cost and Usage Report (CUR 2.0; CSV or Parquet): a folder, a file, or"
    " s3://bucket/prefix; repeatable. Alone it is held against the ledger without the logs.",
)
@click.option(
    "--ignore",
    type=NAMED,
    multiple=True,
    help="Of a bill: a usage type (or pattern) that nobody need know.",
)
@click.option(
    "--names",
    type=FILE,
    help="CSV `name,model`: more of AWS's names for models.",
)
@click.option(
    "--tenant-tag",
    type=NAMED,
    default=TENANT_TAG,
    help=f"Of a bill: the tag that names the tenant; default: {TENANT_TAG}.",
)
@click.option("--from", "start", type=INSTANT, help="UTC; default: the month's first day.")
@click.option(
    "--to", "end", type=INSTANT, help="UTC, exclusive; default: now, of a bill today's start."
)
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
    bills: tuple[str, ...],
    ignore: tuple[str, ...],
    names: Path | None,
    tenant_tag: str,
    start: datetime | None,
    end: datetime | None,
    log_delay_s: int,
    json_output: bool,
) -> None:
    """Hold the ledger against the invocation log, request by request, or the provider's bill.

    Exit status 1 on a break, and where a file of the log cannot be read to its end.

    Example: `tenantry reconcile --logs ./logs --from 2026-11-01 --to 2026-12-01`
    """
    if invariants and (logs or start or end or true_up or bills):
        raise click.UsageError("--invariants takes no --logs, --true-up, --bill and no period")
    if invariants:
        _check_invariants(json_output)
        return
    now = datetime.now(UTC)
    until = end.replace(tzinfo=UTC) if end else _midnight(now) if bills else now
    since = start.replace(tzinfo=UTC) if start else month_of(until)
    if since >= until:
        raise click.UsageError("--from must be before --to")
    if since < EPOCH or until > _LAST:
        raise click.UsageError(f"--from and --to must lie between {EPOCH:%Y} and {_LAST:%Y}")
    days = whole_days(since, until)
    if bills and days is None:
        raise click.UsageError("with --bill the period is of whole days (UTC)")
    told: dict[str, Any] = {}
    breaks = unreadable = 0
    if logs or true_up or not bills:
        delay = timedelta(seconds=log_delay_s)
        trued_up, report = _of_logs(logs, true_up, (since, until), now, delay)
        told |= {**_to_json(report), **({} if trued_up is None else {"trued_up": trued_up})}
        breaks += report.break_count
        unreadable = report.log.unreadable_files
        if not json_output:
            if trued_up is not None:
                say(f"{trued_up:,} unknown attempts were settled from the logs")
            _print(report)
    if bills and days is not None:
        asked = BillAsked(bills, ignore, names, tenant_tag)
        bill = run_with_bill(asked, lambda sides: reconcile_bill(sides, *days))
        told["bill"] = bill_to_json(bill)
        breaks += bill.break_count
        if not json_output:
            print_bill(bill)
    if json_output:
        print_json(told)
    wrong = []
    if breaks:
        wrong.append(
            f"{breaks:,} breaks between {'ledger and bill' if bills else 'ledger and log'}"
        )
    if unreadable:
        wrong.append(f"{unreadable:,} files of the log cannot be read to their end")
    if wrong:
        raise click.ClickException("; ".join(wrong))


def _of_logs(
    logs: tuple[str, ...],
    true_up: bool,
    period: tuple[datetime, datetime],
    now: datetime,
    log_delay: timedelta,
) -> tuple[int | None, Report]:
    """How many attempts were trued up, where that was asked for, and what does not agree."""

    async def work(sides: Sides, posting: TrueUp) -> tuple[int | None, Report]:
        refuse_archived(period[0], await sides.book.archived_through(), INSTEAD)
        read = await posting.read_all(now, now - EPOCH) if true_up else None
        report = await reconcile_logs(sides, *period, now, log_delay)
        return None if read is None else read.trued_up, report

    return run_with_sides(logs, period, work)


def _check_invariants(json_output: bool) -> None:
    hold = timedelta(hours=settings().unknown_hold_h)
    found = run_with_keeper(lambda keeper: keeper.violations(hold))
    if json_output:
        print_json({"violations": found})
    elif found:
        print_table(("invariant", "detail"), ((v.invariant, v.detail) for v in found))
    if found:
        raise click.ClickException(f"{len(found)} invariants are violated")
    if not json_output:
        say("all invariants hold")


def _midnight(now: datetime) -> datetime:
    return now.replace(hour=0, minute=0, second=0, microsecond=0)


def month_of(until: datetime) -> datetime:
    """The first instant of the month that ends with `until`, or holds it."""
    last = until - timedelta(microseconds=1)
    return last.replace(day=1, hour=0, minute=0, second=0, microsecond=0)


def _to_json(report: Report) -> dict[str, Any]:
    return {
        "from": report.start,
        "to": report.end,
        "log": report.log,
        "archived": report.archived,
        **{name: getattr(report.tally, name) for name in report.tally.__slots__},
        "break_count": report.break_count,
        "by_kind": {str(kind): figures for kind, figures in report.by_kind.items()},
        "breaks": report.breaks,
    }


def _print(report: Report) -> None:
    tally, log = report.tally, report.log
    say(f"{report.start:%Y-%m-%d %H:%M:%SZ} to {report.end:%Y-%m-%d %H:%M:%SZ}, by admission")
    say(f"log: {log.files:,} files, {log.records:,} records, {log.unreadable:,} lines unreadable")
    for name in log.unreadable_named:
        say(f"cannot be read to its end: {name}")
    if log.unreadable_files > len(log.unreadable_named):
        say(f"… and {log.unreadable_files - len(log.unreadable_named):,} more")
    if report.archived:
        say(f"{report.archived:,} records are of calls that were admitted in an archived month")
    say(
        f"{tally.matched:,} matched, {tally.nothing_used:,} used nothing, {tally.not_logged:,} not"
        f" in the log by kind, {tally.under_way:,} under way, {tally.not_yet_delivered:,} not yet"
        f" delivered, {report.break_count:,} breaks"
    )
    for kind, figures in report.by_kind.items():
        say()
        unpriced = f", {figures.unpriced:,} without a price" if figures.unpriced else ""
        of_kind = [found for found in report.breaks if found.kind is kind][:SHOWN_MAX]
        print_table(
            ("id", "tenant", "upstream id", "model", "at", "ledger $", "log $", "detail"),
            _rows(of_kind),
            title=f"{kind}: {figures.count:,}, log less ledger"
            f" {money.plain(figures.difference_usd)} USD{unpriced} ({_ADVICE[kind]})",
        )
        if figures.count > len(of_kind):
            say(f"… and {figures.count - len(of_kind):,} more; --json lists them")


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
