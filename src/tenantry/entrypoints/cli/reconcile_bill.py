"""How `tenantry reconcile --bill` tells what does not agree."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

from tenantry.application.reconcile_bill import BillReport, Sum, TenantCost
from tenantry.domain import money
from tenantry.domain.bill_reconciliation import BillBreak, BillBreakKind
from tenantry.entrypoints.cli.output import print_table, say

SHOWN_MAX = 20  # breaks of each kind in the table; JSON has more
_ADVICE: Mapping[BillBreakKind, str] = {
    BillBreakKind.MISSING: "has the whole bill been delivered? else keep the cost and ask AWS",
    BillBreakKind.UNATTRIBUTED: "who else calls with this account's credentials?",
    BillBreakKind.DOUBLED: "the export holds a line twice: is an old delivery beside the new one?",
    BillBreakKind.MISPRICED: "compare the edition with your agreement: `tenantry prices show`",
    BillBreakKind.TENANT_DIFFERENCE: "whose session or profile made calls for whom?",
}


def bill_to_json(report: BillReport) -> dict[str, Any]:
    return {
        "from": report.start.isoformat(),
        "to": report.end.isoformat(),
        "files": report.files,
        "lines": report.lines,
        "ledger_usd": report.ledger_usd,
        "bill_usd": report.bill_usd,
        "billed_from": report.billed_from and report.billed_from.isoformat(),
        "billed_until": report.billed_until and report.billed_until.isoformat(),
        **{name: getattr(report.tally, name) for name in report.tally.__slots__},
        "break_count": report.break_count,
        "by_kind": {
            str(kind): {"count": of.lines, "difference_usd": of.usd}
            for kind, of in report.by_kind.items()
        },
        "breaks": [_break(found) for found in report.breaks],
        "set_aside": report.set_aside,
        "other_lines": report.other_lines,
        "other_services": report.other_services,
        "not_compared_usd": report.not_compared_usd,
        "tenants": report.tenants,
        "unnamed_usd": report.unnamed_usd,
    }


def print_bill(report: BillReport) -> None:
    tally = report.tally
    until = "" if report.billed_until is None else f", billed until {report.billed_until}"
    say(f"bill: {report.start} to {report.end}, by day of the call (UTC){until}")
    say(
        f"{report.files:,} files, {report.lines:,} lines of usage: bill"
        f" {money.plain(report.bill_usd)} USD, ledger {money.plain(report.ledger_usd)} USD"
    )
    say(
        f"{tally.matched:,} usages matched, off by {money.plain(tally.within_tolerance_usd)} USD"
        f" in all, {tally.moved:,} of them over midnight; {tally.not_yet_billed:,} not yet billed"
        f" ({money.plain(tally.not_yet_billed_usd)} USD); {report.break_count:,} breaks"
    )
    if tally.of_before_bill:
        say(
            f"{tally.of_before_bill:,} usages with {money.plain(tally.of_before_bill_usd)} USD that"
            f" may be of days before the bill's first, {report.billed_from}: cannot be told without"
            " the bill of those"
        )
    if report.not_compared_usd:
        say(
            f"in the ledger and by no token on the bill: {money.plain(report.not_compared_usd)} USD"
        )
    for kind, of in report.by_kind.items():
        _print_kind(kind, of, [found for found in report.breaks if found.kind is kind])
    _print_sums("on the bill, and not made by requests", report.set_aside)
    _print_sums("on the bill, and not usage", report.other_lines)
    if report.other_services.lines:
        other = report.other_services
        say(f"other services: {other.lines:,} lines, {money.plain(other.usd)} USD")
    _print_tenants(report)


def _print_kind(kind: BillBreakKind, of: Sum, found: list[BillBreak]) -> None:
    say()
    print_table(
        ("day", "account", "region", "usage", "ledger", "bill", "ledger $", "bill $", "ids"),
        (_row(one) for one in found[:SHOWN_MAX]),
        title=f"{kind}: {of.lines:,}, bill less ledger {money.plain(of.usd)} USD ({_ADVICE[kind]})",
    )
    if of.lines > SHOWN_MAX:
        say(f"… and {of.lines - SHOWN_MAX:,} more; --json lists them")


def _row(one: BillBreak) -> tuple[object, ...]:
    ids = (*one.usage_types, *one.line_ids[:1])
    return (
        "" if one.day is None else one.day.isoformat(),
        one.account,
        one.region,
        one.usage,
        one.ledger_quantity,
        one.bill_quantity,
        one.ledger_usd,
        one.bill_usd,
        " ".join(ids),
    )


def _print_sums(title: str, sums: Mapping[str, Sum]) -> None:
    for name, of in sorted(sums.items()):
        say(f"{title}: {name}, {of.lines:,} lines, {money.plain(of.usd)} USD")


def _print_tenants(report: BillReport) -> None:
    if not report.tenants:
        return
    say()
    print_table(
        ("tenant", "ledger $", "bill $", "difference $"),
        ((t.tenant_id, t.ledger_usd, t.bill_usd, _difference(t)) for t in _dearest(report)),
        title=f"by tenant; {money.plain(report.unnamed_usd)} USD of the bill name none",
    )


def _dearest(report: BillReport) -> Iterable[TenantCost]:
    """Where there are many, those with the largest difference."""
    by_difference = sorted(
        report.tenants, key=lambda t: money.absolute(_difference(t)), reverse=True
    )
    return by_difference[:SHOWN_MAX]


def _difference(tenant: TenantCost) -> Decimal:
    return money.less(tenant.bill_usd, tenant.ledger_usd)


def _break(found: BillBreak) -> dict[str, Any]:
    values = {name: getattr(found, name) for name in found.__slots__}
    return {**values, "day": found.day and found.day.isoformat()}
