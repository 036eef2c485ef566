"""From planned calls to one reservation, and from a verdict to what the caller is told."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import get_args

import pytest
from tests.support.core import PRICES, edition, plan, principal, rows
from tests.support.scripted import Core, context, converse_reply, core
from tests.support.skipping import run

from tenantry.application.admission import CLAMP_TRIES, STALE_TRIES, to_error
from tenantry.application.calls import ChatCall
from tenantry.domain import errors
from tenantry.domain.tenant import Principal
from tenantry.ports.admission import RefusalCode, Refused, RefusingBudget

ACME = principal("acme")
BODY = {"messages": [{"role": "user", "content": [{"text": "hello"}]}]}
CHAT = ChatCall("Converse", "claude", BODY)


def ask(worker: Core, who: Principal = ACME, chat: ChatCall = CHAT) -> None:
    run(worker.inference.complete(context(who, user="ann", tags={"f": "chat"}, run_id="r1"), chat))


def test_a_reservation_says_all_that_is_decided_by() -> None:
    worker = core(converse_reply())
    ask(worker)
    (made,) = worker.admission.reservations
    assert (made.tenant_id, made.api_key_id) == ("tnt_acme", "key_acme")
    assert made.user_hash == "hash of ann of tnt_acme"
    assert (made.run_id, made.tags) == ("r1", {"f": "chat"})
    assert (made.plan_version, made.price_version) == (1, 1)
    assert made.worst_tokens == len("hello") + 32 + 2_048
    assert made.worst_cost == Decimal("0.030831")  # 37 tokens in, 2,048 out
    assert made.worst_charge == Decimal("0.092493")
    assert (made.first.call, made.first.attempt) == (0, 1)
    assert made.first.pinned["tier"] == "default"
    assert made.first.deadline_ms > 600_000  # the sweeper never takes what may still answer


def test_a_plan_that_changed_is_planned_anew() -> None:
    worker = core(converse_reply())
    newer = replace(ACME.tenant.plan, version=2, max_tokens_default=7)
    worker.directory.principals = [replace(ACME, tenant=replace(ACME.tenant, plan=newer))]
    worker.admission.verdicts = [Refused("stale_plan")]
    ask(worker)
    (made,) = worker.admission.reservations
    assert (made.plan_version, made.worst_tokens) == (2, len("hello") + 32 + 7)
    assert b'"maxTokens":7' in worker.model.attempts[0].body


def test_prices_that_changed_are_read_anew() -> None:
    worker = core(converse_reply())
    worker.admission.verdicts = [Refused("stale_price")]
    ask(worker)
    assert len(worker.admission.reservations) == 1


@pytest.mark.parametrize("code", ["stale_plan", "stale_price"])
def test_what_changes_for_ever_is_an_outage(code: RefusalCode) -> None:
    worker = core()
    worker.directory.principals = [ACME] * STALE_TRIES
    worker.admission.verdicts = [Refused(code)] * STALE_TRIES
    with pytest.raises(errors.Unavailable):
        ask(worker)
    assert worker.admission.reservations == []


@pytest.mark.parametrize(
    ("code", "told"),
    [
        ("requests_per_day", errors.QuotaExceeded),
        ("requests_per_minute", errors.RateLimited),
        ("tokens_per_minute", errors.RateLimited),
        ("concurrent_requests", errors.ConcurrencyLimited),
        ("budget", errors.BudgetExceeded),
        ("tenant_suspended", errors.TenantSuspended),
        ("tenant_unknown", errors.KeyWrong),
        ("key_revoked", errors.KeyRevoked),
        ("key_expired", errors.KeyExpired),
        ("larger_than_limit", errors.LargerThanLimit),
        ("duplicate", errors.Conflict),
    ],
)
def test_a_refusal_asks_no_model_and_names_its_limit(
    code: RefusalCode, told: type[errors.TenantryError]
) -> None:
    worker = core()
    at = datetime(2026, 12, 1, tzinfo=UTC)
    worker.admission.verdicts = [Refused(code, "the limit", 250, at)]
    with pytest.raises(told) as refusal:
        ask(worker)
    assert worker.model.attempts == []
    assert worker.admission.settlements == []
    if isinstance(refusal.value, errors.Limited):
        assert (refusal.value.limit, refusal.value.retry_after_ms) == ("the limit", 250)
        assert refusal.value.resets_at == "2026-12-01T00:00:00+00:00"


IN_RUN = {"user": "ann", "run_id": "r1"}


def short(
    left: str, limit: str = "run:r1 total charge", *, unit: str = "USD", rate: str = "1"
) -> Refused:
    """What is left in USD; of a limit of 1 in a unit, of which 1 USD is `rate`."""
    of = RefusingBudget(Decimal(1), Decimal(left) * Decimal(rate), unit, Decimal(rate))
    return Refused("budget", limit, budget_left=Decimal(left), budget=of)


@pytest.mark.parametrize(
    ("refusals", "leaves"),
    [
        # 37 tokens in at 3 $ and the output at 15 $ per million, charged three times.
        ([short("0.092492")], 2_047),
        ([short("0.02")], 437),
        ([short("0.02"), short("0.005", "tenant month cost")], 325),  # each in its own basis
        ([short("0.02"), short("0.019"), short("0.018"), short("0.017")], 370),
        ([short("0.011853")], 256),
    ],
)
def test_an_answer_of_a_run_is_shortened_to_what_is_left(
    refusals: list[Refused], leaves: int
) -> None:
    worker = core(converse_reply())
    worker.admission.verdicts = list(refusals)
    done = run(worker.inference.complete(context(ACME, **IN_RUN), CHAT))
    (made,) = worker.admission.reservations
    assert done.max_tokens == leaves
    assert made.worst_tokens == len("hello") + 32 + leaves
    assert made.worst_cost == (37 * 3 + leaves * 15) * Decimal("0.000001")
    assert made.worst_charge == 3 * made.worst_cost <= refusals[0].budget_left
    assert f'"maxTokens":{leaves}'.encode() in worker.model.attempts[0].body


def test_only_the_refusal_that_a_caller_is_told_is_heard_of() -> None:
    heard: list[tuple[str, Refused]] = []
    worker = core(converse_reply(), on_refused=lambda *told: heard.append(told))
    worker.admission.verdicts = [short("0.02"), short("0.005", "tenant month cost")]
    assert run(worker.inference.complete(context(ACME, **IN_RUN), CHAT)).max_tokens == 325
    assert heard == []
    last = short("0.0001", "tenant month cost")
    worker.admission.verdicts = [short("0.02"), last, Refused("requests_per_day", "requests")]
    for told in (errors.BudgetExceeded, errors.QuotaExceeded):
        with pytest.raises(told):
            ask(worker)
    assert heard == [("tnt_acme", last)]


def test_what_is_asked_for_again_is_less_each_time() -> None:
    worker = core(converse_reply())
    worker.admission.verdicts = [short("1"), short("1")]  # what others held came free meanwhile
    assert run(worker.inference.complete(context(ACME, **IN_RUN), CHAT)).max_tokens == 2_046


def test_prices_that_changed_meanwhile_are_asked_with_in_full() -> None:
    worker = core(converse_reply())
    worker.admission.verdicts = [short("0.02"), Refused("stale_price")]
    assert run(worker.inference.complete(context(ACME, **IN_RUN), CHAT)).max_tokens is None
    assert worker.admission.reservations[0].worst_cost == Decimal("0.030831")


@pytest.mark.parametrize("left", ["0", "0.011852"])
def test_too_little_for_256_tokens_is_refused(left: str) -> None:
    worker = core()
    worker.admission.verdicts = [short(left)]
    with pytest.raises(errors.BudgetExceeded):
        run(worker.inference.complete(context(ACME, **IN_RUN), CHAT))
    assert worker.admission.reservations == worker.model.attempts == []


def test_what_asked_for_less_than_256_tokens_is_not_shortened() -> None:
    worker = core()
    worker.admission.verdicts = [short("0.001")]
    chat = replace(CHAT, body={**BODY, "inferenceConfig": {"maxTokens": 100}})
    with pytest.raises(errors.BudgetExceeded):
        run(worker.inference.complete(context(ACME, **IN_RUN), chat))


def test_a_budget_that_says_more_than_it_has_cannot_hold_a_request_for_ever() -> None:
    worker = core()
    worker.admission.verdicts = [short("1")] * (CLAMP_TRIES + 1_000)
    with pytest.raises(errors.BudgetExceeded):
        run(worker.inference.complete(context(ACME, **IN_RUN), CHAT))
    assert len(worker.admission.verdicts) == 999, "once as asked, and so often shortened"


@pytest.mark.parametrize(
    ("clamp_output", "run_id", "lowered"),
    [(None, "r1", True), (None, None, False), (True, None, True), (False, "r1", False)],
)
def test_the_plan_says_whose_answers_are_shortened(
    clamp_output: bool | None, run_id: str | None, lowered: bool
) -> None:
    worker = core(converse_reply())
    worker.admission.verdicts = [short("0.02")]
    who = principal("acme", plan(clamp_output=clamp_output))
    asking = worker.inference.complete(context(who, run_id=run_id), CHAT)
    if lowered:
        assert run(asking).max_tokens == 437
    else:
        with pytest.raises(errors.BudgetExceeded):
            run(asking)


@pytest.mark.parametrize(
    ("refused", "message", "told"),
    [
        (
            short("0.00096", "tenant month charge"),
            "this request may cost up to 0.092493 USD and budget tenant month charge has"
            " 0.00096 USD left",
            ("0.092493", "0.00096", "USD"),
        ),
        (
            short("0.000847826086", "tenant month charge", unit="EUR", rate="0.9213"),
            "this request may cost up to 0.085214 EUR and budget tenant month charge has"
            " 0.000781 EUR left",
            ("0.0852138009", "0.0007811021730318", "EUR"),
        ),
        (
            short("0.00000000012", "tenant month charge"),
            "this request may cost up to 0.092493 USD and budget tenant month charge has"
            " 0.00000000012 USD left",
            ("0.092493", "0.00000000012", "USD"),
        ),
        (
            short("0.00", "tenant month charge"),
            "budget tenant month charge has nothing left",
            ("0.092493", "0", "USD"),
        ),
        # What it costs the provider is told to nobody, nor what an operator's guard has left.
        (
            short("0.0001", "run:r1 total cost"),
            "budget guard has too little left for this request",
            (None, None, None),
        ),
        (
            replace(short("0", "tenant month charge"), budget=None),
            "budget tenant month charge has too little left for this request",
            (None, None, None),
        ),
    ],
)
def test_a_budgets_refusal_says_what_is_left_and_what_would_have_been_held(
    refused: Refused, message: str, told: tuple[str | None, ...]
) -> None:
    worker = core()
    worker.admission.verdicts = [refused]
    with pytest.raises(errors.BudgetExceeded) as refusal:
        ask(worker)
    assert refusal.value.message == message
    details = refusal.value.details
    assert tuple(map(details.get, ("worst_charge", "charge_left", "currency"))) == told


def test_what_it_may_cost_is_that_of_the_request_as_it_was_asked() -> None:
    """Whatever a budget before shortened it to; by the plan of now."""
    newer = replace(ACME.tenant.plan, version=2, max_tokens_default=1_000)
    changed = replace(ACME, tenant=replace(ACME.tenant, plan=newer))
    short_for_good = [short("0.02"), short("0.0001", "tenant month charge")]
    for stale, worst in (([], "0.092493"), ([short("0.02"), Refused("stale_plan")], "0.045333")):
        worker = core()
        worker.directory.principals = [changed]
        worker.admission.verdicts = [*stale, *short_for_good]
        with pytest.raises(errors.BudgetExceeded) as refusal:
            run(worker.inference.complete(context(ACME, **IN_RUN), CHAT))
        assert refusal.value.details["worst_charge"] == worst


def test_every_verdict_has_words() -> None:
    for code in get_args(RefusalCode):
        assert isinstance(to_error(Refused(code)), errors.TenantryError)


@pytest.mark.parametrize(
    ("classes", "ttl", "told"),
    [
        ("uncached_in out", "5m", "has no price for cached prompts: leave out what marks one"),
        ("uncached_in out", "1h", "has no price for cached prompts: leave out what marks one"),
        (
            "uncached_in out cache_read cache_write_5m",
            "1h",
            "for an hour in the cache: the ttl is 5m",
        ),
        ("uncached_in", "5m", None),
        ("cache_read cache_write_5m out", "1h", None),
        ("uncached_in out cache_read cache_write_5m", "5m", ""),
    ],
)
def test_a_mark_that_a_model_takes_no_price_for_is_the_callers(
    classes: str, ttl: str, told: str | None
) -> None:
    """None: the model has no price at all. Nothing told: it is answered."""
    worker = core(converse_reply())
    priced = dict.fromkeys(classes.split(), "1")
    worker.directory.edition_in_force = edition(rows("nova", priced))
    point = {"cachePoint": {"type": "default", "ttl": ttl}}
    chat = ChatCall("Converse", "amazon.nova-test-v1:0", {**BODY, "system": [{"text": "s"}, point]})
    if told == "":
        ask(worker, chat=chat)
        return
    with pytest.raises(errors.BadRequest) as caught:
        ask(worker, chat=chat)
    assert worker.admission.reservations == []
    assert caught.value.code == ("model_unpriced" if told is None else "bad_request")
    assert told is None or caught.value.message.endswith(told)
    assert told is None or caught.value.message.startswith("model amazon.nova-test-v1:0 ")


def test_what_has_no_price_reserves_nothing() -> None:
    worker = core()
    worker.directory.edition_in_force = edition(rows("nova", {"uncached_in": "1", "out": "1"}))
    with pytest.raises(errors.ModelUnpriced, match="claude"):
        ask(worker)
    geo = ChatCall("Converse", "us.anthropic.claude-test-v1:0", BODY)
    worker.directory.edition_in_force = PRICES
    with pytest.raises(errors.ModelUnpriced, match=r"us\.claude"):
        ask(worker, chat=geo)
    assert worker.admission.reservations == []


def test_the_salt_is_the_pools_alone() -> None:
    marked = {**BODY, "system": [{"text": "s"}, {"cachePoint": {"type": "default"}}]}
    chat = ChatCall("Converse", "claude", marked)
    for kind, salted in (("pool", True), ("silo", False)):
        worker = core(converse_reply())
        ask(worker, principal("acme", plan(), kind=kind), chat)
        assert (b"salt of tnt_acme" in worker.model.attempts[0].body) == salted
