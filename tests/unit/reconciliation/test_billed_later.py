"""Usage is dated by when it was asked for, a bill by when it ran: what runs over midnight is found
on the day on which it stands, and what is missing or too much is a break all the same."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from tenantry.application.batch_job import TIMEOUT_H
from tenantry.domain.bill_reconciliation import (
    BillBreak,
    Billed,
    BillTally,
    Booked,
    UsageKey,
    Window,
    compared,
    tolerance,
)
from tenantry.domain.billed_later import BATCH_LATE_S, LATE_S, late_s, reach_days

FIRST = date(2026, 10, 29)  # over the end of a month
DAYS = 7
SPAN = (FIRST, FIRST + timedelta(days=DAYS + 3))
DAY_S = 86_400


@dataclass(frozen=True)
class Run:
    """Of a job that was made at a second of the span: what ran so much later."""

    made_s: int
    later_s: int
    quantity: int
    usd_per_million: int

    @property
    def cost(self) -> Decimal:
        return Decimal(self.quantity * self.usd_per_million) / 10**6


def runs(most_s: int) -> st.SearchStrategy[list[Run]]:
    seconds = st.one_of(
        st.integers(0, DAYS * DAY_S - 1),
        # Around what is late, and what is just not.
        st.builds(
            lambda day, back: day * DAY_S - back,
            st.integers(1, DAYS),
            st.sampled_from([1, LATE_S, LATE_S + 1, 3_600, 3_601]),
        ),
    )
    later = st.one_of(st.integers(0, most_s), st.just(most_s))
    job = st.builds(
        lambda made, price, parts: [Run(made, after, count, price) for after, count in parts],
        seconds,
        st.sampled_from([1, 3, 15]),
        st.lists(st.tuples(later, st.integers(1, 10**7)), min_size=1, max_size=4),
    )
    return st.lists(job, max_size=12).map(lambda jobs: [run for job in jobs for run in job])


def key(day: date, tier: str) -> UsageKey:
    return UsageKey("111111111111", "us-east-1", f"m regional {tier} out", day)


def in_ledger(found: list[Run], tier: str) -> dict[UsageKey, Booked]:
    booked: dict[UsageKey, Booked] = defaultdict(lambda: Booked(reach=reach_days(tier)))
    for run in found:
        day, second = divmod(run.made_s, DAY_S)
        one = booked[key(FIRST + timedelta(days=day), tier)]
        one.quantity += run.quantity
        one.cost += run.cost
        if second >= DAY_S - late_s(tier):
            one.late_quantity += run.quantity
            one.late_cost += run.cost
    return {of: one for of, one in booked.items() if one.quantity}


def on_bill(found: list[Run], tier: str) -> dict[UsageKey, Billed]:
    billed: dict[UsageKey, Billed] = defaultdict(Billed)
    for run in found:
        one = billed[key(FIRST + timedelta(days=(run.made_s + run.later_s) // DAY_S), tier)]
        one.quantity += run.quantity
        one.cost += run.cost
        one.lines += 1
    return dict(billed)


def breaks(
    booked: dict[UsageKey, Booked],
    billed: dict[UsageKey, Billed],
    until: date = SPAN[1],
    days: tuple[date, date] = SPAN,
    since: date = FIRST,
) -> tuple[list[BillBreak], BillTally]:
    tally = BillTally()
    return list(compared(booked, billed, Window(*days, since, until), tally)), tally


@given(runs(BATCH_LATE_S))
def test_a_batch_agrees_wherever_its_records_ran(found: list[Run]) -> None:
    assert breaks(in_ledger(found, "batch"), on_bill(found, "batch"))[0] == []


@given(runs(LATE_S))
def test_a_call_agrees_on_either_side_of_midnight(found: list[Run]) -> None:
    assert breaks(in_ledger(found, "default"), on_bill(found, "default"))[0] == []


@given(runs(BATCH_LATE_S), st.integers(-(10**7), 10**7), st.integers(0, DAYS))
def test_what_is_missing_or_too_much_is_told_whatever_ran_over(
    found: list[Run], more: int, at: int
) -> None:
    """The differences that are told and those that the tolerance swallowed are what was changed."""
    billed = on_bill(found, "batch")
    changed = Decimal(0)
    one = billed.setdefault(key(FIRST + timedelta(days=at), "batch"), Billed(lines=1))
    if one.quantity + more >= 0:
        one.quantity += more
        changed = Decimal(more) / 10**6 * 15
        one.cost += changed
    told, tally = breaks(in_ledger(found, "batch"), billed)
    assert sum(b.difference_usd for b in told) + tally.within_tolerance_usd == changed
    most = sum((tolerance(one.cost) for one in billed.values()), Decimal("0.01") * DAYS)
    if abs(changed) > most:
        assert told


def jobs(*found: tuple[float, float, int]) -> list[Run]:
    """Made at an hour of the span, ran so many hours later, tokens at 1 USD a million."""
    return [Run(int(m * 3_600), int(r * 3_600), q, 1) for m, r, q in found]


def kinds_of(ledger: list[Run], bill: list[Run], tier: str = "batch") -> list[tuple[str, int]]:
    told, _ = breaks(in_ledger(ledger, tier), on_bill(bill, tier))
    return [(str(b.kind), (b.day - FIRST).days) for b in told if b.day]


def test_how_far_a_batch_may_reach() -> None:
    assert BATCH_LATE_S == (TIMEOUT_H + 1) * 3_600
    million = 10**6
    last_hour = jobs((23.5, 25, million))
    assert kinds_of(last_hour, last_hour) == []
    too_late = jobs((22.5, 26, million))
    assert kinds_of(too_late, too_late) == [("missing", 0), ("unattributed", 2)]
    early = jobs((26, -5, million))
    assert kinds_of(early, early) == [("unattributed", 0), ("missing", 1)]
    call = jobs((22, 5, million))
    assert kinds_of(call, call, "default") == [("missing", 0), ("unattributed", 1)]


def test_a_day_whose_usage_all_ran_a_day_later_hides_nothing() -> None:
    """Each day's stands on the next, and of one the bill has nothing: it is told once."""
    each = jobs(*((24 * day + 12, 20, 10**6) for day in range(4)))
    assert kinds_of(each, each) == []
    [(kind, _)] = kinds_of(each, each[:2] + each[3:])
    assert kind == "missing"
    [(kind, _)] = kinds_of(each[:2] + each[3:], each)
    assert kind == "unattributed"


def test_a_price_that_is_wrong_is_told_where_it_is_billed() -> None:
    [run] = jobs((12, 20, 10**6))
    dearer = Run(run.made_s, run.later_s, run.quantity, 2)
    assert kinds_of([run], [dearer]) == [("mispriced", 1)]


def test_small_differences_of_many_days_do_not_become_a_large_one() -> None:
    booked, billed = {}, {}
    for day in range(7):
        of = key(FIRST + timedelta(days=day), "batch")
        booked[of] = Booked(10**6, Decimal("1.009"), reach=1)
        billed[of] = Billed(Decimal(10**6), Decimal(1), 1)
    told, tally = breaks(booked, billed)
    assert (told, tally.matched, tally.moved) == ([], 7, 0)


def test_what_may_stand_behind_the_last_day_of_the_bill_is_not_billed_yet() -> None:
    made = jobs((12, 2, 10**6), (12, 20, 2 * 10**6))
    billed = on_bill(made[:1], "batch")
    told, tally = breaks(in_ledger(made, "batch"), billed, until=FIRST)
    assert (told, tally.not_yet_billed, tally.not_yet_billed_usd) == ([], 1, 2)
    [told_later], _ = breaks(in_ledger(made, "batch"), billed, until=FIRST + timedelta(days=1))
    assert (told_later.kind, told_later.difference_usd) == ("missing", -2)


def test_an_edge_of_the_period_is_looked_over() -> None:
    made = jobs((12, 20, 10**6), (36, 20, 10**6))
    one_day = (FIRST + timedelta(days=1), FIRST + timedelta(days=2))
    told, tally = breaks(in_ledger(made, "batch"), on_bill(made, "batch"), days=one_day)
    assert (told, tally.matched, tally.moved) == ([], 1, 0)


def of_days(*usd: int) -> list[Run]:
    """Made at noon of one day after the other, for so many USD, and run at once."""
    return jobs(*((24 * day + 12, 0, amount * 10**6) for day, amount in enumerate(usd)))


def held_from(ledger: list[Run], bill: list[Run], start: int) -> tuple[list[str], BillTally]:
    """Days from the `start`th on, held against a bill that begins with it."""
    begin = FIRST + timedelta(days=start)
    days, booked, billed = (begin, SPAN[1]), in_ledger(ledger, "batch"), on_bill(bill, "batch")
    told, tally = breaks(booked, billed, days=days, since=min(one.day for one in billed))
    return [f"{one.kind} {one.difference_usd}" for one in told], tally


def test_what_may_be_of_days_before_the_bill_is_told_apart() -> None:
    ledger = of_days(100, 50)
    told, tally = held_from(ledger, of_days(100, 130), 1)
    assert (told, tally.of_before_bill) == (["unattributed 80"], 0), "the bill has the day before"
    told, tally = held_from(ledger, of_days(0, 130)[1:], 1)
    assert (told, tally.matched, tally.moved) == ([], 0, 0)
    assert (tally.of_before_bill, tally.of_before_bill_usd) == (1, 80)
    told, tally = held_from(ledger, of_days(0, 170)[1:], 1)
    assert told == ["unattributed 20"], "no more than those days used"
    assert (tally.of_before_bill, tally.of_before_bill_usd) == (1, 100)


def test_days_that_are_asked_for_are_held_against_a_bill_that_begins_later() -> None:
    told, tally = held_from(of_days(100, 50), of_days(0, 130)[1:], 0)
    assert (told, tally.moved, tally.of_before_bill) == (["missing -20"], 1, 0)


def test_usage_of_the_bills_own_days_comes_before_what_cannot_be_told() -> None:
    late = jobs((24 + 12, 20, 30 * 10**6))
    told, tally = held_from(of_days(100, 50) + late, of_days(0, 50)[1:] + late, 1)
    assert (told, tally.moved, tally.of_before_bill) == ([], 1, 0)
