"""Two streams into breaks: whatever is changed in one of them is found, and nothing else."""

from __future__ import annotations

import random
import uuid
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenantry.domain.price import GUARDRAILS, PriceEdition, edition_from_csv
from tenantry.domain.reconciliation import (
    Booked,
    Break,
    BreakKind,
    Logged,
    Reconciliation,
    Tally,
    Terms,
    stranger_key,
)
from tenantry.domain.usage import Usage

START = datetime(2026, 11, 1, tzinfo=UTC)
END = datetime(2026, 12, 1, tzinfo=UTC)
MODEL, DEARER = "amazon.nova-micro-v1:0", "amazon.nova-pro-v1:0"
PRICES = edition_from_csv(
    [
        "model,tier,over_tokens,class,usd_per_million",
        *(f"nova,{tier},0,uncached_in,{price}" for tier, price in (("default", 3), ("flex", 1))),
        *(f"nova,{tier},0,out,{price}" for tier, price in (("default", 15), ("flex", 5))),
        "nova,batch,0,uncached_in,1.5",
        "nova,batch,0,out,7.5",
        "nova,default,0,cache_write_5m,3.75",
        "nova,default,0,cache_write_1h,6",
        f"{GUARDRAILS},default,0,guardrail_topic,150",
        "pro,default,0,uncached_in,30",
        "pro,default,0,out,150",
    ],
    version=1,
    effective_from=START,
    source="test",
)
TERMS = Terms(START, END, deliver_by=END, current=PRICES)
COST = Decimal("0.0105")  # of 1,000 in and 500 out


def booked(number: int = 1, tenant: str = "tnt_anna", **changes: object) -> Booked:
    values: dict[str, object] = {
        "tenant_id": tenant,
        "request_id": uuid.UUID(int=number),
        "call": 0,
        "attempt": 1,
        "state": "settled",
        "model": MODEL,
        "price_key": "nova",
        "price_version": 1,
        "service_tier": "default",
        "admitted_at": START + timedelta(hours=1),
        "last_at": START + timedelta(hours=1),
        "cost": COST,
        "quantities": {"uncached_in": 1_000, "out": 500},
    }
    return Booked(**{**values, **changes})  # type: ignore[arg-type]


def logged(of: Booked, **changes: object) -> Logged:
    values: dict[str, object] = {
        "key": of.key,
        "at": of.admitted_at,
        "upstream_request_id": f"up-{of.request_id.int}",
        "model_id": MODEL,
        "model": MODEL,
        "price_key": "nova",
        "usage": Usage(uncached_in=1_000, out=500),
    }
    return Logged(**{**values, **changes})  # type: ignore[arg-type]


def held(
    ledger: list[Booked], log: list[Logged], terms: Terms = TERMS, prices: PriceEdition = PRICES
) -> tuple[list[Break], Tally]:
    merge = Reconciliation(iter(sorted(log, key=lambda one: one.key)), terms)
    found = [f for one in sorted(ledger, key=lambda b: b.key) for f in merge.feed(one, prices)]
    return found + list(merge.finish()), merge.tally


def only(ledger: list[Booked], log: list[Logged], terms: Terms = TERMS) -> Break:
    [found], _ = held(ledger, log, terms)
    return found


def test_what_agrees_is_matched() -> None:
    anna, bert = booked(), booked(tenant="tnt_bert")
    assert held([anna, bert], [logged(anna), logged(bert)]) == ([], Tally(matched=2))


def test_a_missing_record_is_a_break_and_not_proof_of_no_charge() -> None:
    anna, bert = booked(), booked(tenant="tnt_bert")
    found = only([anna, bert], [logged(bert)])
    assert (found.kind, found.tenant_id) == (BreakKind.MISSING_IN_LOG, "tnt_anna")
    assert found.id == f"{anna.request_id}/0:1"
    assert (found.ledger_usd, found.log_usd, found.difference_usd) == (COST, 0, -COST)


def test_what_was_written_off_wants_its_record_too() -> None:
    lost = booked(state="written_off", cost=Decimal(0), quantities={})
    assert only([lost], []).kind is BreakKind.MISSING_IN_LOG
    found = only([lost], [logged(lost)])
    assert (found.kind, found.difference_usd) == (BreakKind.TOKEN_DIFFERENCE, COST)


def test_a_record_may_take_its_time() -> None:
    terms = replace(TERMS, deliver_by=START)
    unknown = booked(2, state="unknown", cost=Decimal(0), quantities={})
    assert held([booked(), unknown], [], terms) == ([], Tally(not_yet_delivered=2))


@pytest.mark.parametrize(
    "state, quantities, cost",
    [
        ("released", {}, Decimal(0)),
        ("settled", {"guardrail_topic": 10}, Decimal("0.0015")),  # guardrails are not logged
    ],
)
def test_nothing_that_the_log_counts_needs_no_record(
    state: str, quantities: dict[str, int], cost: Decimal
) -> None:
    one = booked(state=state, quantities=quantities, cost=cost)
    assert held([one], []) == ([], Tally(nothing_used=1))
    assert held([one], [logged(one, usage=Usage())]) == ([], Tally(matched=1))


@pytest.mark.parametrize(
    "state, quantities, cost",
    [
        ("settled", {"uncached_in": 1_000, "out": 500}, COST / 2),
        ("released", {}, Decimal(0)),
        ("written_off", {}, Decimal(0)),
    ],
)
def test_the_records_of_a_batch_are_in_no_log(
    state: str, quantities: dict[str, int], cost: Decimal
) -> None:
    one = booked(state=state, quantities=quantities, cost=cost, service_tier="batch")
    assert held([one], []) == ([], Tally(not_logged=1))
    [found], _ = held([replace(one, cost=cost + 1)], [])
    assert (found.kind, found.log_usd) == (BreakKind.MISPRICED, cost)


def test_an_attempt_of_nobody_is_unattributed() -> None:
    gone = booked(7, call=2, attempt=3)
    found = only([booked()], [logged(booked()), logged(gone)])
    assert (found.kind, found.id) == (BreakKind.UNATTRIBUTED, f"{gone.request_id}/2:3")
    assert (found.tenant_id, found.difference_usd) == ("tnt_anna", COST)


def test_a_record_that_names_no_attempt_is_told_by_its_own_id() -> None:
    mine = booked()
    stranger = logged(mine, key=stranger_key("up-x"), upstream_request_id="up-x")
    found = only([mine], [stranger, logged(mine)])
    assert (found.kind, found.id, found.tenant_id) == (BreakKind.UNATTRIBUTED, "up-x", None)


def test_each_further_record_is_doubled_at_its_whole_cost() -> None:
    mine = booked()
    found, tally = held([mine], [logged(mine), logged(mine), logged(mine)])
    assert [(one.kind, one.difference_usd) for one in found] == [(BreakKind.DOUBLED, COST)] * 2
    assert tally.matched == 1


def test_a_record_that_came_twice_is_told_from_a_call_that_was_made_twice() -> None:
    mine = booked()
    assert only([mine], [logged(mine), logged(mine)]).detail == "delivered again"
    found = only([mine], [logged(mine), logged(mine, upstream_request_id="up-other")])
    assert (found.upstream_request_id, found.detail) == ("up-other", "besides up-1")


def test_other_counts_are_a_difference_in_tokens() -> None:
    mine = booked()
    found = only([mine], [logged(mine, usage=Usage(uncached_in=1_000, out=501))])
    assert (found.kind, found.detail) == (BreakKind.TOKEN_DIFFERENCE, "out: ledger 500, log 501")
    assert found.difference_usd == Decimal("0.000015")


def test_figures_that_cannot_be_read_are_a_difference_without_a_price() -> None:
    mine = booked()
    found = only([mine], [logged(mine, usage=None, note="inputTokenCount is missing")])
    assert found.kind is BreakKind.TOKEN_DIFFERENCE
    assert (found.difference_usd, found.detail) == (None, "inputTokenCount is missing")


def test_a_cost_that_is_not_the_editions_is_mispriced() -> None:
    mine = booked(cost=COST * 2)
    found = only([mine], [logged(mine)])
    assert (found.kind, found.log_usd, found.difference_usd) == (BreakKind.MISPRICED, COST, -COST)


def test_a_difference_has_every_digit() -> None:
    cost = Decimal("0.010500000000000000000000000000000000000001")
    mine = booked(cost=cost)
    found = only([mine], [logged(mine)])
    assert found.difference_usd == Decimal("-0.000000000000000000000000000000000000000001")
    gone = only([booked(cost=cost)], [])
    assert (gone.kind, gone.difference_usd) == (BreakKind.MISSING_IN_LOG, cost.copy_negate())


def test_the_price_is_that_of_the_tier_that_served() -> None:
    mine = booked(service_tier="flex", cost=Decimal("0.0035"))
    assert held([mine], [logged(mine)])[0] == []
    assert only([replace(mine, cost=COST)], [logged(mine)]).kind is BreakKind.MISPRICED


def test_another_models_answer_is_priced_as_that_model() -> None:
    mine = booked()
    found = only([mine], [logged(mine, model_id=DEARER, model=DEARER, price_key="pro")])
    assert (found.kind, found.difference_usd) == (BreakKind.MISPRICED, COST * 9)
    assert DEARER in found.detail


def test_a_profile_of_the_same_model_is_no_other_model() -> None:
    mine = booked()
    assert held([mine], [logged(mine, price_key="us.nova")])[0] == []


@pytest.mark.parametrize("changes", [{"model": None, "price_key": None}, {"price_key": "none"}])
def test_a_model_that_the_price_book_lacks(changes: dict[str, object]) -> None:
    mine = booked()
    other = logged(mine, **{"model_id": "new.model-v1:0", "model": "new.model-v1:0", **changes})
    found = only([mine], [other])
    assert (found.kind, found.difference_usd) == (BreakKind.MODEL_ABSENT, None)
    assert "new.model-v1:0" in found.detail


def test_cache_writes_are_priced_as_they_were_booked() -> None:
    quantities = {"cache_write_5m": 2_000, "cache_write_1h": 1_000}
    mine = booked(quantities=quantities, cost=Decimal("0.0135"))
    same = logged(mine, usage=Usage(cache_write_5m=3_000))
    assert held([mine], [same])[0] == []
    more = only([mine], [replace(same, usage=Usage(cache_write_5m=3_001))])
    assert more.difference_usd == Decimal("0.000006")  # the dearest kind that it has


def test_what_is_unknown_is_told_with_its_records_money() -> None:
    mine = booked(state="unknown", cost=Decimal(0), quantities={}, note="2 usages")
    assert only([mine], []).difference_usd is None
    found = only([mine], [logged(mine)])
    assert (found.kind, found.difference_usd, found.detail) == (
        BreakKind.UNKNOWN,
        COST,
        "2 usages",
    )


def test_what_is_under_way_is_left_alone() -> None:
    mine = booked(state="dispatched", cost=Decimal(0), quantities={})
    assert held([mine], [logged(mine)]) == ([], Tally(under_way=1))


def test_another_period_only_lends_its_pairs() -> None:
    before = booked(admitted_at=START - timedelta(seconds=1), cost=Decimal(9))
    late = logged(before, at=START + timedelta(seconds=1))
    stranger = logged(before, key=stranger_key("up-x"), at=END)
    assert held([before], [late, late, stranger]) == ([], Tally())


def test_streams_out_of_order_are_our_fault() -> None:
    merge = Reconciliation(iter([]), TERMS)
    list(merge.feed(booked(2), PRICES))
    with pytest.raises(AssertionError):
        list(merge.feed(booked(1), PRICES))


@given(
    st.lists(st.sampled_from([None, *(kind for kind in BreakKind)]), min_size=1, max_size=60),
    st.randoms(use_true_random=False),
)
def test_each_break_is_found_once_by_its_id(
    planted: list[BreakKind | None], chance: random.Random
) -> None:
    ledger, log, expected = [], [], []
    for number, kind in enumerate(planted):
        tenant = chance.choice(["tnt_anna", "tnt_bert"])
        mine = booked(chance.getrandbits(90) << 8 | number, tenant, call=chance.randrange(12))
        record = logged(mine)
        if kind is not None:
            expected.append((kind, f"{mine.request_id}/{mine.call}:1"))
        match kind:
            case BreakKind.TOKEN_DIFFERENCE:
                record = replace(record, usage=Usage(uncached_in=999, out=500))
            case BreakKind.MISPRICED:
                mine = replace(mine, cost=COST + Decimal("0.000001"))
            case BreakKind.MODEL_ABSENT:
                record = replace(record, model=None, price_key=None)
            case BreakKind.UNKNOWN:
                mine = replace(mine, state="unknown", cost=Decimal(0), quantities={})
            case _:
                pass
        if kind is not BreakKind.UNATTRIBUTED:
            ledger.append(mine)
        if kind is not BreakKind.MISSING_IN_LOG:
            log += [record] * (2 if kind is BreakKind.DOUBLED else 1)
    chance.shuffle(log)
    found, tally = held(ledger, log)
    assert sorted((one.kind, one.id) for one in found) == sorted(expected)
    assert tally.matched == sum(kind in (None, BreakKind.DOUBLED) for kind in planted)


def test_a_stranger_is_priced_in_its_region() -> None:
    lines = [
        "model,tier,over_tokens,class,usd_per_million",
        *(f"{key},default,0,{of},{price}" for key, price in (("nova", 3), ("nova@eu-west-1", 4))
          for of in ("uncached_in", "out")),
    ]  # fmt: skip
    edition = edition_from_csv(lines, version=2, effective_from=START, source="test")
    terms = replace(TERMS, current=edition)
    usage = Usage(uncached_in=1_000_000)
    found = []
    for region in ("eu-west-1", "us-east-1"):
        stranger = logged(booked(), key=stranger_key("x"), region=region, usage=usage)
        found += list(Reconciliation(iter([stranger]), terms).finish())
    assert [one.log_usd for one in found] == [4, 3]
