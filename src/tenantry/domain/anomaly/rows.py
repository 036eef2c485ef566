"""Hours of many tenants as rows of text: `tenant,hour_utc,tokens,requests,charge`.

The first row names the columns, in any order, beside others that are not read. Rows come in any
order, one for each tenant and hour; an hour without a row is an hour without use. `hour_utc` is
ISO 8601 at the start of an hour, UTC where it names no offset. What cannot be read is refused with
its line; nothing is guessed or left out.
"""

from __future__ import annotations

import csv
from array import array
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation

from tenantry.domain.anomaly.hours import BadHours, Series, UsageHour, hour_of, series_of

COLUMNS = ("tenant", "hour_utc", "tokens", "requests", "charge")
ROWS_MAX = 2_000_000  # about 140 bytes each while they are held
LINE_CHARACTERS_MAX = 2_000
TENANT_CHARACTERS_MAX = 200
COUNT_MAX = 10**15  # tokens or requests in an hour
CHARGE_MAX = Decimal(10**15)
CHARGE_DECIMALS_MAX = 30
_COUNT_DIGITS_MAX = len(str(COUNT_MAX))


class _Hours:
    """One tenant's rows, held in columns."""

    def __init__(self) -> None:
        self._counts = tuple(array("q") for _ in range(3))
        self._charges: list[Decimal] = []

    def add(self, row: UsageHour) -> None:
        for column, value in zip(self._counts, (row.hour, row.tokens, row.requests), strict=True):
            column.append(value)
        self._charges.append(row.charge)

    def series(self) -> Series:
        return series_of(map(UsageHour, *self._counts, self._charges))


def series_by_tenant(lines: Iterable[str]) -> Iterator[tuple[str, Series]]:
    """Each tenant with its series, by name, once all lines are read. Raises `BadHours`."""
    held: dict[str, _Hours] = {}
    for tenant, row in _rows(lines):
        held.setdefault(tenant, _Hours()).add(row)
    for tenant in sorted(held):
        try:
            series = held.pop(tenant).series()  # what has been judged is not kept
        except BadHours as wrong:
            raise BadHours(f"tenant {tenant}: {wrong}") from None
        yield tenant, series


def _rows(lines: Iterable[str]) -> Iterator[tuple[str, UsageHour]]:
    reader = csv.reader(_short(lines), strict=True)
    try:
        order = _order(next(reader, []))
        for number, cells in enumerate(filter(None, reader), 1):
            if number > ROWS_MAX:
                raise BadHours(f"more than {ROWS_MAX} rows")
            yield _row(cells, order)
    except (BadHours, csv.Error) as wrong:
        raise BadHours(f"line {max(1, reader.line_num)}: {wrong}") from None


def _short(lines: Iterable[str]) -> Iterator[str]:
    for line in lines:
        if len(line) > LINE_CHARACTERS_MAX:
            raise BadHours(f"a line of more than {LINE_CHARACTERS_MAX} characters")
        yield line


def _order(header: Sequence[str]) -> tuple[int, ...]:
    names = [name.strip().lower() for name in header]
    missing = [name for name in COLUMNS if names.count(name) != 1]
    if missing:
        raise BadHours(f"the first row names these columns once each: {', '.join(COLUMNS)}")
    return tuple(names.index(name) for name in COLUMNS)


def _row(cells: Sequence[str], order: Sequence[int]) -> tuple[str, UsageHour]:
    if len(cells) <= max(order):
        raise BadHours(f"{len(cells)} cells, fewer than the first row names")
    tenant, hour, tokens, requests, charge = (cells[at].strip() for at in order)
    if not 0 < len(tenant) <= TENANT_CHARACTERS_MAX:
        raise BadHours(f"a tenant's name has 1 to {TENANT_CHARACTERS_MAX} characters")
    return tenant, UsageHour(
        instant_hour(hour), _count("tokens", tokens), _count("requests", requests), _charge(charge)
    )


def instant_hour(text: str) -> int:
    """`2027-01-31T15:00:00Z` as hours since 1970. Raises `BadHours`."""
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        raise BadHours(f"{text!r} is not an hour as 2027-01-31T15:00:00Z") from None
    try:
        return hour_of(instant if instant.tzinfo else instant.replace(tzinfo=UTC))
    except BadHours as wrong:
        raise BadHours(f"{text!r} {wrong}") from None


def _count(name: str, text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < _COUNT_DIGITS_MAX):
        raise BadHours(f"{name} {text!r} is not a whole number from 0 to {COUNT_MAX - 1}")
    return int(text)


def _charge(text: str) -> Decimal:
    try:
        charge = Decimal(text)
    except InvalidOperation:
        raise BadHours(f"charge {text!r} is not an amount") from None
    if not (charge.is_finite() and 0 <= charge < CHARGE_MAX):
        raise BadHours(f"charge {text!r} is not an amount from 0 to below {CHARGE_MAX}")
    exponent = charge.as_tuple().exponent
    if isinstance(exponent, int) and exponent < -CHARGE_DECIMALS_MAX:
        raise BadHours(f"charge {text!r} has more than {CHARGE_DECIMALS_MAX} decimals")
    return charge
