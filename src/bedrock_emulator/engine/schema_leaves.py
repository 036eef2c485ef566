"""The numbers and texts that a JSON schema allows: the least first, then others beside it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from datetime import date, timedelta
from fractions import Fraction
from types import MappingProxyType
from typing import Any

LENGTH_MAX = 10_000  # characters of a text
_BOUND_MAX = 1e300  # of a number; beyond it, sums are no longer finite
_INTEGER_MAX = 2**63  # beyond which JSON's writers do not write one
_FIRST_DAY = date(2026, 1, 1)


def _day(number: int) -> str:
    return (_FIRST_DAY + timedelta(days=number)).isoformat()


def _numbered(number: int) -> str:
    return str(number + 1) if number else ""


_FORMATS: Mapping[str, Callable[[int], str]] = MappingProxyType(
    {
        "date": _day,
        "date-time": lambda number: f"{_day(number)}T00:00:00Z",
        "time": lambda number: f"00:{number // 60 % 60:02d}:{number % 60:02d}Z",
        "duration": lambda number: f"PT{number + 1}S",
        "email": lambda number: f"someone{_numbered(number)}@example.com",
        "hostname": lambda number: f"host{_numbered(number)}.example.com",
        "ipv4": lambda number: f"192.0.2.{number + 1}",
        "ipv6": lambda number: f"2001:db8::{number + 1:x}",
        "uri": lambda number: f"https://example.com/{_numbered(number)}",
        "uuid": lambda number: f"00000000-0000-4000-8000-{number:012d}",
    }
)


def text(schema: Mapping[str, Any], hint: str, number: int) -> str:
    """`hint` or what a format asks for, within the schema's lengths; `number` tells texts apart."""
    made = _FORMATS.get(str(schema.get("format")))
    said = hint if made is None else made(number)
    said = said.ljust(min(count(schema.get("minLength"), 0), LENGTH_MAX), ".")
    most = max(0, count(schema.get("maxLength"), LENGTH_MAX))
    end = _numbered(number) if made is None else ""
    return (said[: max(0, most - len(end))] + end)[:most]


def integer(schema: Mapping[str, Any], number: int) -> int:
    """The least that is allowed, or 0; then, by `number`, those beyond it."""
    step = max(1, abs(_step(schema).numerator))
    lowest = [math.ceil(bound) for bound in _bounds(schema, "minimum")]
    lowest += [math.floor(bound) + 1 for bound in _bounds(schema, "exclusiveMinimum")]
    highest = [math.floor(bound) for bound in _bounds(schema, "maximum")]
    highest += [math.ceil(bound) - 1 for bound in _bounds(schema, "exclusiveMaximum")]
    first = -(-max(lowest) // step) if lowest else min([0, *(most // step for most in highest)])
    value = (first + number) * step
    if highest and value > min(highest) and not lowest:
        value = (first - number) * step
    return value if abs(value) < _INTEGER_MAX else 0


def decimal(schema: Mapping[str, Any], number: int) -> float:
    """The least; above a bound that is itself excluded, one more, or the middle if that is near."""
    above, below = _bounds(schema, "exclusiveMinimum"), _bounds(schema, "exclusiveMaximum")
    lowest = max([*_bounds(schema, "minimum"), *above], default=None)
    highest = min([*_bounds(schema, "maximum"), *below], default=None)
    step = _step(schema)
    if step:
        return _multiple(step, lowest, highest, (above, below), number)
    if lowest is None:
        if highest is None or highest > 0:
            return _beside(0, highest, number)
        return (highest - 1 if highest in below else highest) - number
    if lowest not in above:
        return _beside(lowest, highest, number)
    near = highest is not None and lowest + 1 >= highest
    first = (lowest + highest) / 2 if highest is not None and near else lowest + 1
    return _beside(first, highest, number)


def count(value: Any, otherwise: int) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) else otherwise


def _beside(first: float, highest: float | None, number: int) -> float:
    """The `number`th from the first on: by ones, or nearer and nearer to the bound."""
    if highest is None or first + number < highest:
        return first + number
    return first + (highest - first) * number / (number + 1)


def _multiple(
    step: Fraction,
    lowest: float | None,
    highest: float | None,
    excluded: tuple[list[float], list[float]],
    number: int,
) -> float:
    above, below = excluded
    if lowest is not None:
        first = math.ceil(Fraction(lowest) / step)
        first += first * step == lowest and lowest in above
        made = (first + number) * step
    else:
        first = 0 if highest is None else min(0, math.floor(Fraction(highest) / step))
        first -= first * step == highest and highest in below
        made = (first - number) * step
    return int(made) if made.denominator == 1 and abs(made) < _INTEGER_MAX else float(made)


def _step(schema: Mapping[str, Any]) -> Fraction:
    """multipleOf as it is written, so that .1 is a tenth; 0 where there is none."""
    [step] = _bounds(schema, "multipleOf") or [0]
    return abs(Fraction(str(step)))


def _bounds(schema: Mapping[str, Any], name: str) -> list[float]:
    """The bound of this name, or none."""
    bound = schema.get(name)
    if isinstance(bound, bool) or not isinstance(bound, int | float):
        return []
    return [bound] if abs(bound) < _BOUND_MAX else []
