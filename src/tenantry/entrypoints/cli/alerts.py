"""`tenantry alerts …`: hear of budgets and of unusual usage."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import click

from tenantry.application.pages import PAGE, to_the_end
from tenantry.application.replaying import replayed
from tenantry.bootstrap.commands.control import run_with_alerts, run_with_hours
from tenantry.domain import money
from tenantry.domain.alert import Alert
from tenantry.domain.anomaly import (
    LINE_CHARACTERS_MAX,
    BadHours,
    Floor,
    Noticed,
    PlannedEvent,
    Settings,
    alerts_of,
    check_announced,
    instant_hour,
    instant_of,
    series_by_tenant,
)
from tenantry.domain.remark import check_reason
from tenantry.entrypoints.cli.cut import say_cut
from tenantry.entrypoints.cli.output import as_json, print_json, print_table, say
from tenantry.entrypoints.cli.values import ALERT_ID, FILE, INSTANT, NAMED
from tenantry.ports.alerts import AlertBook, Mute
from tenantry.ports.control import ControlPlane

_COLUMNS = ("tenant", "hour_utc", "kind", "excess")
_ALERT_COLUMNS = (
    "raised at", "tenant", "kind", "subject", "severity", "state", "observed", "expected", "unit",
    "excess tokens", "excess charge", "about", "id",
)  # fmt: skip
_TOLD = ("threshold_percent", "period", "basis", "hours", "forecast", "passes_on")


@click.group()
def alerts() -> None:
    """Hear of budgets and of unusual usage.

    Example: `tenantry alerts list --tenant acme`
    """


@alerts.command(name="list")
@click.option("--tenant", type=NAMED, help="Of one tenant, by id or name.")
@click.option("--since", type=INSTANT, help="Raised at this instant (UTC) or later.")
@click.option(
    "--state", type=click.Choice(["open", "acknowledged"]), help="Only these; default: both."
)
@click.option("--after", type=ALERT_ID, help="Continue after this id, with older ones.")
@click.option(
    "--limit",
    type=click.IntRange(1, 1_000),
    default=100,
    show_default=True,
    help="At most so many, the newest.",
)
@as_json
def list_(
    tenant: str | None,
    since: datetime | None,
    state: str | None,
    after: str | None,
    limit: int,
    json_output: bool,
) -> None:
    """List alerts, newest first.

    Example: `tenantry alerts list --tenant acme --since 2026-11-01`
    """

    async def work(control: ControlPlane, book: AlertBook) -> tuple[list[Alert], bool]:
        tenant_id = None if tenant is None else (await control.get_tenant(tenant)).id
        listed = functools.partial(book.alerts, tenant_id=tenant_id, since=_utc(since), state=state)
        found = await listed(before=after, limit=limit)
        return found, len(found) == limit and bool(await listed(before=found[-1].id, limit=1))

    found, more = run_with_alerts(work)
    if json_output:
        print_json({"alerts": [_to_json(alert) for alert in found]})
    else:
        print_table(_ALERT_COLUMNS, map(_alert_row, found), without_empty=True)
    if more:
        say_cut(len(found), f"--after {found[-1].id}")


@alerts.command()
@click.argument("alert_id", metavar="ID")
def acknowledge(alert_id: str) -> None:
    """Say that someone has seen to an alert.

    Example: `tenantry alerts acknowledge alr_01m8j3ws0yfcbvgzkr1q2h3s4t`
    """
    say(f"{run_with_alerts(lambda _, book: book.acknowledge(alert_id)).id} is acknowledged")


@alerts.command()
@click.argument("tenant", type=NAMED)
@click.option("--from", "start", type=INSTANT, required=True, help="UTC.")
@click.option("--to", "end", type=INSTANT, required=True, help="UTC, exclusive.")
@click.option("--reason", required=True, help="What was announced.")
def mute(tenant: str, start: datetime, end: datetime, reason: str) -> None:
    """Announce use of a tenant: unusual usage is not told in these hours. Budgets are.

    Example: `tenantry alerts mute acme --from 2026-12-01 --to 2026-12-02 --reason launch`
    """
    if start >= end:
        raise click.UsageError("--from must be before --to")
    starts_at, ends_at = start.replace(tzinfo=UTC), end.replace(tzinfo=UTC)
    for hint, check in (
        ("--from", functools.partial(check_announced, starts_at)),
        ("--to", functools.partial(check_announced, ends_at)),
        ("--reason", functools.partial(check_reason, reason)),
    ):
        try:
            check()
        except ValueError as wrong:
            raise click.BadParameter(str(wrong), param_hint=hint) from None

    async def work(control: ControlPlane, book: AlertBook) -> Mute:
        owner = await control.get_tenant(tenant)
        return await book.mute(owner.id, starts_at, ends_at, reason)

    say(f"{tenant} is muted, {run_with_alerts(work).id}")


@alerts.command()
@click.argument("tenant", type=NAMED)
@as_json
def mutes(tenant: str, json_output: bool) -> None:
    """List what was announced of a tenant.

    Example: `tenantry alerts mutes acme`
    """

    async def work(control: ControlPlane, book: AlertBook) -> list[Mute]:
        owner = await control.get_tenant(tenant)
        return await to_the_end(
            lambda after: book.mutes(owner.id, after=after, limit=PAGE),
            lambda mute: (mute.starts_at, mute.id),
        )

    found = run_with_alerts(work)
    if json_output:
        print_json({"mutes": found})
    else:
        rows = [(m.id, m.starts_at, m.ends_at, m.reason) for m in found]
        print_table(("id", "from", "to", "reason"), rows)


@alerts.command()
@click.argument("tenant", type=NAMED)
@click.argument("mute_id", metavar="ID")
def unmute(tenant: str, mute_id: str) -> None:
    """Take an announcement back.

    Example: `tenantry alerts unmute acme mut_01m8j3ws0yfcbvgzkr1q2h3s4t`
    """

    async def work(control: ControlPlane, book: AlertBook) -> None:
        await book.unmute((await control.get_tenant(tenant)).id, mute_id)

    run_with_alerts(work)
    say(f"{mute_id} is taken back")


@alerts.command()
@click.argument("file", required=False, type=FILE)
@click.option(
    "--floor-tokens",
    type=click.IntRange(0, 10**15),
    default=Floor().tokens,
    show_default=True,
    help="A smaller excess is not told.",
)
@click.option(
    "--floor-charge",
    default=str(Floor().charge),
    show_default=True,
    help="Nor one that is charged less: in USD, or the file's currency.",
)
@click.option(
    "--planned",
    type=NAMED,
    nargs=3,
    multiple=True,
    metavar="TENANT FROM TO",
    help="Hours (UTC, TO exclusive) in which a tenant's use was announced.",
)
@as_json
def replay(
    file: Path | None,
    floor_tokens: int,
    floor_charge: str,
    planned: Sequence[tuple[str, str, str]],
    json_output: bool,
) -> None:
    """Tell what the detector would have told, hour by hour, of more tokens than are normal.

    Without FILE from the ledger: every tenant's last twelve weeks; what was muted is announced.
    FILE is a CSV with the columns tenant, hour_utc (2027-01-31T15:00:00Z), tokens, requests,
    charge; its rows in any order. An excess is in tokens over what is normal for the tenant.

    Example: `tenantry alerts replay --floor-charge 0.50`
    """
    settings = Settings(Floor(tokens=floor_tokens, charge=_amount(floor_charge)))
    events: dict[str, list[PlannedEvent]] = {}
    for tenant, start, end in planned:
        events.setdefault(tenant, []).append(_event(start, end))
    if file is None:
        found = _of_the_ledger(settings, events)
    else:
        found = _of_a_file(file, settings, events)
    found.sort(key=lambda pair: (pair[1].hour, pair[0]))
    if json_output:
        print_json({"alerts": [dict(zip(_COLUMNS, _row(*pair), strict=True)) for pair in found]})
    else:
        print_table(_COLUMNS, [_row(*pair) for pair in found])


def _of_the_ledger(
    settings: Settings, events: Mapping[str, Sequence[PlannedEvent]]
) -> list[tuple[str, Noticed]]:
    now = datetime.now(UTC)
    return run_with_hours(
        lambda control, book, hours: replayed(control, book, hours, now, settings, events)
    )


def _of_a_file(
    file: Path, settings: Settings, events: Mapping[str, Sequence[PlannedEvent]]
) -> list[tuple[str, Noticed]]:
    found: list[tuple[str, Noticed]] = []
    try:
        for tenant, series in series_by_tenant(_lines(file)):
            known = events.get(tenant, ())
            found += [(tenant, alert) for alert in alerts_of(series, settings, planned=known)]
    except BadHours as wrong:
        raise click.ClickException(f"{file.name}: {wrong}") from None
    except UnicodeDecodeError:
        raise click.ClickException(f"{file.name}: is not text in UTF-8") from None
    return found


def _utc(at: datetime | None) -> datetime | None:
    return None if at is None else at.replace(tzinfo=UTC)


def _to_json(alert: Alert) -> dict[str, Any]:
    return {
        "state": alert.state,
        **{f.name: getattr(alert, f.name) for f in dataclasses.fields(alert)},
    }


def _alert_row(alert: Alert) -> tuple[object, ...]:
    detail = alert.detail
    about = ", ".join(f"{name} {detail[name]}" for name in _TOLD if detail.get(name) is not None)
    return (
        alert.raised_at, alert.tenant_name, alert.kind, alert.subject, str(alert.severity),
        alert.state, alert.observed, alert.expected, alert.unit, alert.excess_tokens,
        alert.excess_charge, about, alert.id,
    )  # fmt: skip


def _lines(file: Path) -> Iterator[str]:
    """Line by line; what is longer than a line may be comes in pieces too long to pass."""
    with file.open(encoding="utf-8-sig", newline="") as opened:
        while line := opened.readline(LINE_CHARACTERS_MAX + 1):
            yield line


def _row(tenant: str, alert: Noticed) -> tuple[str, str, str, int]:
    hour = f"{instant_of(alert.hour):%Y-%m-%dT%H:%M:%SZ}"
    return tenant, hour, alert.kind.value, alert.excess


def _amount(text: str) -> Decimal:
    try:
        amount = money.amount_from(text)
    except ValueError as wrong:
        raise click.BadParameter(str(wrong), param_hint="--floor-charge") from None
    if amount < 0:
        raise click.BadParameter(f"{text!r} is less than 0", param_hint="--floor-charge")
    return amount


def _event(start: str, end: str) -> PlannedEvent:
    try:
        return PlannedEvent(instant_hour(start), instant_hour(end))
    except BadHours as wrong:
        raise click.BadParameter(str(wrong), param_hint="--planned") from None
