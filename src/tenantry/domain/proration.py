"""A part of a sum by civil days: 20 of 30 days of 299 are 199.333…, exact until a line rounds it.

A day is a civil day of the contract's zone, whether it has 23, 24 or 25 hours.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from fractions import Fraction

from tenantry.domain import money
from tenantry.domain.period import Span, day_begun

_HALF = Fraction(1, 2)


@dataclass(frozen=True, slots=True)
class Days:
    """All civil days d with start ≤ d < end; none where end ≤ start."""

    start: date
    end: date

    @property
    def count(self) -> int:
        return max(0, (self.end - self.start).days)

    def within(self, other: Days) -> Days:
        """The days that are in both."""
        return Days(max(self.start, other.start), min(self.end, other.end))


def civil_days(span: Span, zone: str) -> Days:
    """The days of a span that begins and ends with civil days of the zone."""
    return Days(day_begun(span.start, zone), day_begun(span.end, zone))


def part_of(amount: Decimal | int, part: Days, whole: Days) -> Fraction:
    """The amount's share for `part`, days of `whole`. The parts of any split sum to the amount."""
    assert whole.count > 0, "a period has days"
    assert part.within(whole).count == part.count, f"{part} is not within {whole}"
    return Fraction(amount) * part.count / whole.count


def to_currency(amount: Fraction, currency: str) -> Decimal:
    """Rounded once, half up (a half goes away from zero), to the currency's minor unit."""
    unit = money.to_currency(money.ZERO, currency).as_tuple().exponent
    assert isinstance(unit, int), "a finite number has an exponent"
    minor = (abs(amount) * 10**-unit + _HALF).__floor__()
    return money.EXACT.scaleb(Decimal(-minor if amount < 0 else minor), unit)
