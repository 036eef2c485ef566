"""What of a day's usage may stand on the bill of later days, and where it does.

The ledger dates usage by when it was asked for, a bill by when it ran. Owns: how much later that
may be, and which days' differences it explains. Does not own: what a difference is worth.

What passes a midnight is no more than may run so late, nor more than the next day's bill can hold.
Within that the amount may go on from day to day: usage of one day stands on the next in place of
that day's own, which stands one later. Nothing is moved but from a day whose bill is short to a
later one whose bill is over, so no day agrees worse than before, and what is missing in all, or too
much, is still there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date, timedelta
from decimal import Decimal
from typing import Final, NamedTuple

from tenantry.domain import money
from tenantry.domain.price import BATCH_TIER

LATE_S: Final = 900  # a call of so little before a day's end may be billed in the next
# A batch job may run for 24 h, and is made within one more where Bedrock first has no room for it.
BATCH_LATE_S: Final = 25 * 3_600
_DAY_S: Final = 86_400
_A_DAY: Final = timedelta(days=1)


class Sides(NamedTuple):
    """A day of one usage, in the ledger and on the bill; `late` of `ours` may stand one day further
    than the rest."""

    ours: Decimal
    late: Decimal
    theirs: Decimal


class Move(NamedTuple):
    """An amount of the day `of` that stands on the bill of the day `on`."""

    of: date
    on: date
    amount: Decimal


_NOTHING: Final = Sides(money.ZERO, money.ZERO, money.ZERO)
Tolerance = Callable[[Decimal], Decimal]  # of what the bill says


def late_s(tier: str) -> int:
    """So many seconds of a day's end are late, and may stand one day further than the rest."""
    return _lag_s(tier) % _DAY_S


def reach_days(tier: str) -> int:
    """So many days later all of a day's usage may stand."""
    return _lag_s(tier) // _DAY_S


def _lag_s(tier: str) -> int:
    return BATCH_LATE_S if tier == BATCH_TIER else LATE_S


def billed_later(days: Mapping[date, Sides], reach: int, tolerance: Tolerance) -> list[Move]:
    """What explains the differences of one usage's days. Both that a day lacks and that a later one
    has over may be within the tolerance, but not both of them; a day next to it comes first."""
    lacks = {day: money.less(sides.ours, sides.theirs) for day, sides in days.items()}
    slack = {day: tolerance(sides.theirs) for day, sides in days.items()}
    rooms = dict[date, Decimal]()
    found = list[Move]()
    for on in sorted(day for day, lack in lacks.items() if lack < 0):
        of, room = on - _A_DAY, None
        while lacks[on] < 0:
            edge = rooms.setdefault(of, _room(days, of, reach))
            room = edge if room is None else min(room, edge)
            if room <= 0:
                break
            over, lack = money.minus(lacks[on]), lacks.get(of, money.ZERO)
            if lack > 0 and (lack > slack[of] or over > slack[on]):
                amount = min(room, lack, over)
                found.append(Move(of, on, amount))
                lacks[of] = money.less(lack, amount)
                lacks[on] = money.total((lacks[on], amount))
                room = money.less(room, amount)
                for passed in range((on - of).days):
                    midnight = of + passed * _A_DAY
                    rooms[midnight] = money.less(rooms[midnight], amount)
            of -= _A_DAY
    return found


def _room(days: Mapping[date, Sides], day: date, reach: int) -> Decimal:
    """How much may pass the midnight at a day's end: by when it ran, and by what the bill has."""
    ours, after = days.get(day, _NOTHING), days.get(day + _A_DAY, _NOTHING)
    if reach == 0:
        return max(money.ZERO, min(ours.late, after.theirs))
    # What of the day before passes a second midnight, and what of this day will.
    before = max(money.ZERO, days.get(day - _A_DAY, _NOTHING).late)
    runs = money.total((max(money.ZERO, ours.ours), before))
    stands = money.total((max(money.ZERO, after.theirs), max(money.ZERO, ours.late)))
    return min(runs, stands)


def not_billed_yet(
    days: Mapping[date, Sides], reach: int, tolerance: Tolerance, until: date
) -> Mapping[date, Decimal]:
    """Of days of a bill that goes to the day `until`: what they lack and may stand behind it."""
    found = dict[date, Decimal]()
    for day, sides in days.items():
        lack = money.less(sides.ours, sides.theirs)
        ahead = (until - day).days
        outside = sides.ours if ahead < reach else sides.late if ahead == reach else money.ZERO
        if ahead >= 0 and outside > 0 and lack > tolerance(sides.theirs):
            found[day] = min(lack, outside)
    return found
