"""How single values of a plan are read: strictly, and refused by the name of plan and field."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from decimal import Decimal, InvalidOperation

from tenantry.domain.model_ids import is_region_or_prefix


class PlanError(ValueError):
    """A plan's definition is wrong; the message names plan and field."""


COUNT_MAX = 10**12  # of any limit: what a 64-bit column holds many times over
NAME_CHARS_MAX = 100
MONEY_DIGITS_MAX = 12  # before and after the point: products of them stay exact
# ASCII digits and one point; of a plan that is stored also an exponent, as Decimal writes it.
_AMOUNT = re.compile(r"-?[0-9]+(?:\.[0-9]+)?(?:E[+-]?[0-9]+)?", re.ASCII)


def check_name(name: str) -> None:
    """Of a plan that is applied: it stands on invoices and in tables of one line each."""
    if not name.strip() or len(name) > NAME_CHARS_MAX or not name.isprintable():
        raise PlanError(f"a plan's name has 1 to {NAME_CHARS_MAX} printable characters")


def check_regions(regions: Iterable[str]) -> None:
    """Of a plan or tenant: one that does not exist would allow nothing. Raises `ValueError`."""
    for region in regions:
        if not is_region_or_prefix(region):
            raise ValueError(
                f"{region[:80]!r} is no AWS region, and no prefix of a cross-region profile"
            )


def count_of(name: str, key: str, value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise PlanError(f"plan {name}: {key} must be a whole number")
    if value < 0:
        raise PlanError(f"plan {name}: {key} must not be negative")
    if value > COUNT_MAX:
        raise PlanError(f"plan {name}: {key} is larger than {COUNT_MAX}; leave it out: unlimited")
    return value


def money_of(name: str, key: str, value: object) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, (int, str, Decimal)):
        raise PlanError(f"plan {name}: {key} must be a decimal in quotes or a whole number")
    try:
        amount = Decimal(value)
    except InvalidOperation:
        raise PlanError(f"plan {name}: {key} is not a decimal number") from None
    if not amount.is_finite() or amount < 0:
        raise PlanError(f"plan {name}: {key} must be finite and not negative")
    if isinstance(value, str) and not _AMOUNT.fullmatch(value):
        raise PlanError(f"plan {name}: {key} is not a plain decimal number such as 0.5")
    exponent = amount.as_tuple().exponent
    assert isinstance(exponent, int), "a finite number has an exponent"
    if exponent < -MONEY_DIGITS_MAX or amount.adjusted() >= MONEY_DIGITS_MAX:
        raise PlanError(f"plan {name}: {key} has more than {MONEY_DIGITS_MAX} digits on a side")
    return amount


def moneys_of(name: str, key: str, value: object) -> dict[str, Decimal]:
    """A table of decimals by name."""
    if not isinstance(value, Mapping) or not all(isinstance(item, str) and item for item in value):
        raise PlanError(f"plan {name}: {key} must be a table")
    return {item: money_of(name, f"{key}.{item}", amount) for item, amount in value.items()}


def texts_of(name: str, key: str, value: object) -> frozenset[str]:
    """A list of texts; a single text would be a set of its letters."""
    if not isinstance(value, (list, tuple, frozenset)):
        raise PlanError(f"plan {name}: {key} must be a list")
    if not all(isinstance(item, str) and item for item in value):
        raise PlanError(f"plan {name}: {key} must be a list of texts")
    return frozenset(value)
