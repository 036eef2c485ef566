"""What advice rests on as one CSV file: a row for each tenant and closed month.

Columns: `tenant`, `month` (`2026-11`), `provider_cost_usd`; and as wanted `forecast_usd`,
`contribution_usd`, `compliance` (true or false), `quota_share` and `throttles_caused` (fractions of
1), which are read from the tenant's row of the last closed month; `compliance` from its latest.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from tenantry.domain import money
from tenantry.domain.advice import Standing

ROWS_MAX = 1_000_000
MONTHS_MAX = 120  # that one tenant's rows can span: ten years
_NEEDED = ("tenant", "month", "provider_cost_usd")
_WANTED = ("forecast_usd", "contribution_usd", "compliance", "quota_share", "throttles_caused")
_MONTH = re.compile(r"([0-9]{4})-(0[1-9]|1[0-2])", re.ASCII)
_FIGURE = re.compile(r"-?[0-9]{1,15}(?:\.[0-9]{1,12})?", re.ASCII)
_FLAGS = {"true": True, "false": False, "": False}


class AdviceFileError(ValueError):
    """The file cannot be read as what advice rests on; the message names the line."""


@dataclass(frozen=True, slots=True)
class _Row:
    cost: Decimal
    standing: Standing  # what the row says beside its cost


def standings_from_csv(
    text: str, last_month: str | None = None
) -> tuple[str | None, dict[str, Standing]]:
    """The last closed month, and what is known of each tenant, by name.

    Months after `last_month` (default: the file's last) are not closed and are left out; a month
    without a row, between a tenant's first and the last closed one, had no cost. Raises
    `AdviceFileError`.
    """
    last = None if last_month is None else _month(last_month, "the last month")
    tenants = _rows(text)
    if last is None:
        last = max((month for rows in tenants.values() for month in rows), default=None)
    if last is None:
        return None, {}
    closed = {
        tenant: {month: row for month, row in rows.items() if month <= last}
        for tenant, rows in sorted(tenants.items())
    }
    found = {tenant: _standing(tenant, rows, last) for tenant, rows in closed.items() if rows}
    return f"{last // 12:04}-{last % 12 + 1:02}", found


def _standing(tenant: str, rows: Mapping[int, _Row], last: int) -> Standing:
    first = min(rows)
    if last - first >= MONTHS_MAX:
        raise AdviceFileError(f"tenant {tenant} has more than {MONTHS_MAX} months")
    costs = tuple(
        rows[month].cost if month in rows else money.ZERO for month in range(first, last + 1)
    )
    latest = rows[max(rows)].standing
    known = rows[last].standing if last in rows else Standing(())
    return Standing(
        costs,
        known.forecast,
        known.contribution,
        latest.compliance,
        known.quota_share,
        known.throttles_caused,
    )


def _rows(text: str) -> dict[str, dict[int, _Row]]:
    reader = csv.DictReader(text.splitlines(keepends=True), strict=True)
    tenants: dict[str, dict[int, _Row]] = {}
    try:
        _check_columns(list(reader.fieldnames or ()))
        for number, cells in enumerate(reader):
            where = f"line {reader.line_num}"
            if number >= ROWS_MAX:
                raise AdviceFileError(f"{where}: more than {ROWS_MAX} rows")
            if None in cells or None in cells.values():
                raise AdviceFileError(f"{where}: not as many cells as columns")
            _add(tenants, cells, where)
    except csv.Error as error:
        raise AdviceFileError(f"after line {reader.line_num}: {error}") from None
    return tenants


def _check_columns(columns: list[str]) -> None:
    for name in _NEEDED:
        if name not in columns:
            raise AdviceFileError(f"the first line must name the column {name}")
    for name in columns:
        if name not in (*_NEEDED, *_WANTED):
            raise AdviceFileError(f"unknown column {name}")
        if columns.count(name) > 1:
            raise AdviceFileError(f"the column {name} stands twice")


def _add(tenants: dict[str, dict[int, _Row]], cells: Mapping[str, str], where: str) -> None:
    tenant = cells["tenant"].strip()
    if not tenant:
        raise AdviceFileError(f"{where}: no tenant")
    month = _month(cells["month"].strip(), where)
    months = tenants.setdefault(tenant, {})
    if month in months:
        raise AdviceFileError(f"{where}: {tenant} has {cells['month'].strip()} twice")
    cost = _figure(cells, "provider_cost_usd", where)
    if cost is None:
        raise AdviceFileError(f"{where}: provider_cost_usd is empty")
    months[month] = _Row(cost, _stated(cells, where))


def _stated(cells: Mapping[str, str], where: str) -> Standing:
    flag = cells.get("compliance", "").strip().lower()
    if flag not in _FLAGS:
        raise AdviceFileError(f"{where}: compliance must be true or false")
    return Standing(
        (),
        _figure(cells, "forecast_usd", where),
        _figure(cells, "contribution_usd", where),
        _FLAGS[flag],
        _share(cells, "quota_share", where),
        _share(cells, "throttles_caused", where),
    )


def _month(text: str, where: str) -> int:
    """Months since year 0, so that they can be counted."""
    found = _MONTH.fullmatch(text)
    if found is None:
        raise AdviceFileError(f"{where}: a month is written like 2026-11")
    return int(found[1]) * 12 + int(found[2]) - 1


def _figure(cells: Mapping[str, str], name: str, where: str) -> Decimal | None:
    """A decimal; None where the cell is empty or there is no such column."""
    text = cells.get(name, "").strip()
    if not text:
        return None
    if not _FIGURE.fullmatch(text):
        raise AdviceFileError(f"{where}: {name} must be a plain decimal number")
    return Decimal(text)


def _share(cells: Mapping[str, str], name: str, where: str) -> Decimal | None:
    share = _figure(cells, name, where)
    if share is not None and not 0 <= share <= 1:
        raise AdviceFileError(f"{where}: {name} is a fraction of 1")
    return share
