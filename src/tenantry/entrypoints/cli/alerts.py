"""`tenantry alerts …`: hear of unusual usage."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal, InvalidOperation
from pathlib import Path

import click

from tenantry.domain.anomaly import (
    LINE_CHARACTERS_MAX,
    Alert,
    BadHours,
    Floor,
    PlannedEvent,
    Settings,
    alerts_of,
    instant_hour,
    instant_of,
    series_by_tenant,
)
from tenantry.entrypoints.cli.output import as_json, print_json, print_table

_COLUMNS = ("tenant", "hour_utc", "kind", "excess")


@click.group()
def alerts() -> None:
    """Hear of unusual usage.

    Example: `tenantry alerts replay hours.csv`
    """


@alerts.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
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
    help="Nor one that is charged less, in the file's currency.",
)
@click.option(
    "--planned",
    nargs=3,
    multiple=True,
    metavar="TENANT FROM TO",
    help="Hours (UTC, TO exclusive) in which a tenant's use was announced.",
)
@as_json
def replay(
    file: Path,
    floor_tokens: int,
    floor_charge: str,
    planned: Sequence[tuple[str, str, str]],
    json_output: bool,
) -> None:
    """Tell what the detector would have told, hour by hour, of the usage in a CSV file.

    Its columns: tenant, hour_utc (2027-01-31T15:00:00Z), tokens, requests, charge; its rows in any
    order. An excess is in tokens over what is normal for the tenant.

    Example: `tenantry alerts replay hours.csv --floor-charge 0.50`
    """
    settings = Settings(Floor(tokens=floor_tokens, charge=_amount(floor_charge)))
    events = [(tenant, _event(start, end)) for tenant, start, end in planned]
    found: list[tuple[str, Alert]] = []
    try:
        for tenant, series in series_by_tenant(_lines(file)):
            known = [event for name, event in events if name == tenant]
            found += [(tenant, alert) for alert in alerts_of(series, settings, planned=known)]
    except BadHours as wrong:
        raise click.ClickException(f"{file.name}: {wrong}") from None
    except UnicodeDecodeError:
        raise click.ClickException(f"{file.name}: is not text in UTF-8") from None
    found.sort(key=lambda pair: (pair[1].hour, pair[0]))
    if json_output:
        print_json({"alerts": [dict(zip(_COLUMNS, _row(*pair), strict=True)) for pair in found]})
    else:
        print_table(_COLUMNS, [_row(*pair) for pair in found])


def _lines(file: Path) -> Iterator[str]:
    """Line by line; what is longer than a line may be comes in pieces too long to pass."""
    with file.open(encoding="utf-8-sig", newline="") as opened:
        while line := opened.readline(LINE_CHARACTERS_MAX + 1):
            yield line


def _row(tenant: str, alert: Alert) -> tuple[str, str, str, int]:
    hour = f"{instant_of(alert.hour):%Y-%m-%dT%H:%M:%SZ}"
    return tenant, hour, alert.kind.value, alert.excess


def _amount(text: str) -> Decimal:
    try:
        amount = Decimal(text)
    except InvalidOperation:
        raise click.BadParameter(
            f"{text!r} is not an amount", param_hint="--floor-charge"
        ) from None
    if not (amount.is_finite() and 0 <= amount < 10**15 and amount.adjusted() >= -30):
        raise click.BadParameter(f"{text!r} is out of range", param_hint="--floor-charge")
    return amount


def _event(start: str, end: str) -> PlannedEvent:
    try:
        return PlannedEvent(instant_hour(start), instant_hour(end))
    except BadHours as wrong:
        raise click.BadParameter(str(wrong), param_hint="--planned") from None
