"""The bill of what a deployment costs beside tokens, as a TOML file for a margin report.

    allocate_by = "tokens"            # tokens, requests, revenue, or equal

    [[shared]]
    name = "RDS PostgreSQL"
    usd = "93.40"                     # for the period that is reported
    allocate_by = "requests"          # of this one; default: the file's

    [payment_fees]
    rate = "0.029"                    # of revenue
    each_usd = "0.30"                 # for each customer that was charged

    [usd_per]                         # of currencies that revenue is in
    EUR = "1.08"

Money is a decimal in a string. An unknown name is an error, so that a typing mistake drops no cost.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from typing import Any

from tenantry.domain import money

ITEMS_MAX = 1_000
_FIGURE = re.compile(r"[0-9]{1,15}(?:\.[0-9]{1,12})?", re.ASCII)
_CURRENCY = re.compile(r"[A-Z]{3}", re.ASCII)


class SharedCostsError(ValueError):
    """The file is no bill of shared costs; the message says where."""


class AllocationKey(StrEnum):
    """By what a shared cost is divided."""

    TOKENS = "tokens"
    REQUESTS = "requests"
    REVENUE = "revenue"
    EQUAL = "equal"


@dataclass(frozen=True, slots=True)
class SharedCost:
    name: str
    usd: Decimal
    key: AllocationKey


@dataclass(frozen=True, slots=True)
class SharedCosts:
    """What one period cost beside tokens; nothing of it by default."""

    items: tuple[SharedCost, ...] = ()
    fee_rate: Decimal = money.ZERO
    fee_each: Decimal = money.ZERO
    usd_per: Mapping[str, Decimal] = field(default_factory=dict)


def shared_costs_from_toml(text: str) -> SharedCosts:
    """Raises `SharedCostsError`."""
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise SharedCostsError(f"not TOML: {error}") from None
    _known(table, ("allocate_by", "shared", "payment_fees", "usd_per"), "the file")
    default = _key(table.get("allocate_by", AllocationKey.TOKENS), "allocate_by")
    fees = _table(table.get("payment_fees", {}), "payment_fees")
    _known(fees, ("rate", "each_usd"), "payment_fees")
    rates = _table(table.get("usd_per", {}), "usd_per")
    for name in rates:
        if not _CURRENCY.fullmatch(name):
            raise SharedCostsError(f"usd_per: {name!r} is no currency")
    return SharedCosts(
        _items(table.get("shared", []), default),
        _figure(fees.get("rate", "0"), "payment_fees.rate", at_most=Decimal(1)),
        _figure(fees.get("each_usd", "0"), "payment_fees.each_usd"),
        {name: _figure(rate, f"usd_per.{name}") for name, rate in rates.items()},
    )


def _items(value: Any, default: AllocationKey) -> tuple[SharedCost, ...]:
    if not isinstance(value, Sequence) or isinstance(value, str) or len(value) > ITEMS_MAX:
        raise SharedCostsError(f"shared: up to {ITEMS_MAX} tables, each headed [[shared]]")
    return tuple(_item(item, f"shared {number}", default) for number, item in enumerate(value, 1))


def _item(value: Any, where: str, default: AllocationKey) -> SharedCost:
    item = _table(value, where)
    _known(item, ("name", "usd", "allocate_by"), where)
    name = item.get("name")
    if not isinstance(name, str) or not name.strip():
        raise SharedCostsError(f"{where}: name is missing")
    usd = _figure(item.get("usd"), f"{where} ({name}): usd")
    return SharedCost(name, usd, _key(item.get("allocate_by", default), where))


def _table(value: Any, where: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise SharedCostsError(f"{where} must be a table")
    return value


def _known(table: Mapping[str, Any], names: Sequence[str], where: str) -> None:
    for name in table:
        if name not in names:
            raise SharedCostsError(f"{where}: unknown name {name!r}; known are {', '.join(names)}")


def _key(value: Any, where: str) -> AllocationKey:
    try:
        return AllocationKey(value)
    except ValueError:
        raise SharedCostsError(
            f"{where}: allocate_by is one of {', '.join(AllocationKey)}"
        ) from None


def _figure(value: Any, where: str, at_most: Decimal | None = None) -> Decimal:
    if not isinstance(value, str) or not _FIGURE.fullmatch(value):
        raise SharedCostsError(f'{where} must be a plain decimal in a string, such as "12.50"')
    figure = Decimal(value)
    if at_most is not None and figure > at_most:
        raise SharedCostsError(f"{where} is at most {at_most}")
    return figure
