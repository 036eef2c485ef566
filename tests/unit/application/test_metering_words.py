"""Every word of an outcome, as the ledger gets it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest
from tests.support.core import CLAUDE, PRICES, principal
from tests.support.scripted import MemoryAdmission, context, converse_reply, core

from tenantry.application import metering
from tenantry.application.admission import PlannedCall
from tenantry.application.admitted import AdmittedRequest
from tenantry.application.calls import ChatCall
from tenantry.application.context import Progress
from tenantry.application.owned_tasks import OwnedTasks
from tenantry.domain.errors import Unavailable
from tenantry.domain.markup import Markup
from tenantry.domain.normalise import Normalised, Quarantined
from tenantry.domain.plan import plan_from
from tenantry.domain.rating import Bound, rate
from tenantry.domain.usage import NO_USAGE, TokenClass, Usage
from tenantry.ports.admission import AttemptOutcome
from tenantry.ports.model import Failure, FailureKind

USED = Usage(uncached_in=1_000, out=500)
PLAN = plan_from("p", {"markup": "3"})
MARKUP = Markup(Decimal(3))
RAW: Mapping[str, Any] = {"inputTokens": 1_000}


def planned(price_key: str = "claude", **bound: Any) -> PlannedCall:
    model = SimpleNamespace(**{name: getattr(CLAUDE, name) for name in ("id", "family", "alias")})
    resolved = SimpleNamespace(model=model, price_key=price_key, upstream_id=CLAUDE.id)
    return PlannedCall(
        resolved,  # type: ignore[arg-type]
        "Converse",
        "us-east-1",
        Bound(2_000, 500, **bound),
        60_000,
    )


def settled(reading: Any, price_key: str = "claude", **changes: Any) -> AttemptOutcome:
    values: dict[str, Any] = {
        "call": 3, "attempt": 2, "tier": "default", "upstream_request_id": "up-7",
        "flags": frozenset({"ours"}), **changes,
    }  # fmt: skip
    return metering.settled(reading, planned(price_key), PRICES, PLAN, **values)


def reading() -> Normalised:
    return Normalised(usage=USED, raw=RAW, version=5, flags=frozenset({"read"}))


def test_an_answer_settles_with_all_that_was_read() -> None:
    rated = rate(USED, PRICES.of("claude"), tier="default", markup=MARKUP)
    assert settled(reading()) == AttemptOutcome(
        call=3, attempt=2, end="settled", usage=USED, rated=rated, charged=True,
        service_tier="default", upstream_request_id="up-7", raw=RAW, normaliser_version=5,
        flags=frozenset({"ours", "read"}), quarantined=None, error=None,
    )  # fmt: skip
    served = settled(reading(), tier="priority")
    assert served.service_tier == "priority"
    assert served.rated == rate(USED, PRICES.of("claude"), tier="priority", markup=MARKUP)


def test_an_answer_settles_at_the_markup_of_its_model() -> None:
    given = {"call": 1, "attempt": 1, "tier": "default", "upstream_request_id": None}
    dearer = plan_from("p", {"markup": "3", "markup_by_model": {CLAUDE.id: "5"}})
    made = metering.settled(reading(), planned(), PRICES, dearer, **given)  # type: ignore[arg-type]
    assert made.rated is not None
    assert made.rated.charge == 5 * made.rated.cost


def test_what_cannot_be_priced_is_held_with_its_reason() -> None:
    outcome = settled(reading(), "nobody-knows")
    assert (outcome.end, outcome.rated, outcome.usage) == ("unknown", None, USED)
    assert outcome.quarantined == "unpriced: nobody-knows: no price in edition 1"
    assert settled(reading(), tier="gold").quarantined == (
        "unpriced: claude: no price for service tier gold"
    )


def test_what_cannot_be_read_is_held_with_its_reason() -> None:
    outcome = settled(Quarantined(reason="negative", raw=RAW, version=5))
    assert outcome == AttemptOutcome(
        call=3, attempt=2, end="unknown", usage=NO_USAGE, rated=None, charged=True,
        service_tier="default", upstream_request_id="up-7", raw=RAW, normaliser_version=5,
        flags=frozenset({"ours"}), quarantined="negative",
    )  # fmt: skip


@pytest.mark.parametrize(("billed", "end"), [(True, "unknown"), (False, "released")])
def test_a_failure_names_itself(billed: bool, end: Any) -> None:
    failure = Failure(
        FailureKind.FAILED, billed, "m", 500, "InternalServerException", None,
        {"x-amzn-requestid": "up-9"},
    )  # fmt: skip
    assert metering.failed(failure, call=3, attempt=2) == AttemptOutcome(
        call=3, attempt=2, end=end, charged=False, upstream_request_id="up-9",
        flags=frozenset({"undelivered"} if billed else ()), error="InternalServerException",
    )  # fmt: skip
    nameless = Failure(FailureKind.TIMED_OUT, billed, "m")
    assert metering.failed(nameless, call=0, attempt=1).error == "timed_out"


def test_an_answer_that_nobody_gets_is_not_charged_but_what_never_cost_stays_as_it_was() -> None:
    lost = metering.undelivered(settled(reading()))
    assert (lost.charged, lost.flags) == (False, {"ours", "read", "undelivered"})
    unsent = AttemptOutcome(3, 2, "released", flags=frozenset({"ours"}))
    assert metering.undelivered(unsent) == unsent


def test_what_never_left_says_so() -> None:
    assert metering.never_left(call=3, attempt=2) == AttemptOutcome(
        call=3, attempt=2, end="released", charged=False, error="never left"
    )


@pytest.mark.parametrize(
    ("charged", "flags"), [(True, frozenset({"truncated"})), (False, frozenset({"undelivered"}))]
)
@pytest.mark.parametrize(
    ("error", "named"),
    [(None, None), ("cut", "cut"), ("a\nb", "'a\\nb'"), ("x" * 300, "x" * 256)],
)
def test_a_stream_without_its_end_keeps_what_was_seen(
    charged: bool, flags: frozenset[str], error: str | None, named: str | None
) -> None:
    assert metering.unknown(
        call=3, attempt=2, charged=charged, estimate=USED, upstream_request_id="up-7", error=error
    ) == AttemptOutcome(
        call=3, attempt=2, end="unknown", usage=USED, charged=charged, upstream_request_id="up-7",
        error=named, flags=flags,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("document", "headers", "tier"),
    [
        ({"serviceTier": {"type": "flex"}}, {metering.TIER_HEADER: "priority"}, "flex"),
        ({"serviceTier": {"type": 1}}, {metering.TIER_HEADER: "priority"}, "priority"),
        ({"serviceTier": "flex"}, {}, "default"),
        ({}, {metering.TIER_HEADER: "priority"}, "priority"),
        (None, {}, "default"),
    ],
)
def test_the_tier_is_what_the_answer_says(document: Any, headers: Any, tier: str) -> None:
    assert metering.tier_of(document, headers) == tier


def test_writes_without_a_class_are_of_the_dearest_asked_for() -> None:
    assert metering.write_class(planned()) is TokenClass.CACHE_WRITE_5M
    assert metering.write_class(planned(cache_writes_1h=True)) is TokenClass.CACHE_WRITE_1H


# -- an admitted request ------------------------------------------------------------------


def begun(
    port: MemoryAdmission,
    tasks: OwnedTasks,
    wait_ms: int = 20,
    progress: Progress | None = None,
) -> AdmittedRequest:
    """Admitted; its first attempt has begun and not ended."""
    who = principal()
    admission = SimpleNamespace(principal=who, prices=PRICES)
    request_id = context(who).request_id
    return AdmittedRequest(port, admission, request_id, tasks, wait_ms, progress or Progress())


def request(port: MemoryAdmission, tasks: OwnedTasks, wait_ms: int = 20) -> AdmittedRequest:
    made = begun(port, tasks, wait_ms)
    made.ended(settled(reading()))
    return made


def test_a_request_has_spent_while_an_attempt_runs_and_where_one_was_charged_or_is_unknown() -> (
    None
):
    async def run() -> None:
        progress = Progress()
        made = begun(MemoryAdmission(), OwnedTasks(), progress=progress)
        assert progress.spent
        for attempt in (2, 3):
            made.ended(metering.never_left(call=0, attempt=attempt - 1))
            assert not progress.spent
            await made.begin(planned(), 0, attempt)
            assert progress.spent
        failure = Failure(FailureKind.TIMED_OUT, True, "m")
        made.ended(metering.failed(failure, call=0, attempt=3))
        await made.begin(planned(), 0, 4)
        made.ended(metering.never_left(call=0, attempt=4))
        assert progress.spent

    asyncio.run(run())


def test_what_the_ledger_does_not_take_in_time_is_waste_that_says_why(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("tenantry.application.admitted.LATE_SETTLE_PAUSE_S", 0.001)

    async def run() -> None:
        port, tasks = MemoryAdmission(settle_hangs=True), OwnedTasks()
        made = request(port, tasks)
        with pytest.raises(Unavailable) as refused:
            async with asyncio.timeout(10):
                await made.settle()
        assert refused.value.message == "the ledger cannot be reached; nothing was charged"
        port.settle_hangs = False
        port.settle_trouble = [Unavailable("still")] * 3
        await tasks.drain(5_000)
        (settlement,) = port.settlements
        (outcome,) = settlement.outcomes
        assert settlement.request_id == made.request_id
        assert settlement.tenant_id == made.principal.tenant_id
        assert settlement.final
        assert not outcome.charged
        assert outcome.flags == {"ours", "read", "undelivered"}
        assert outcome.rated == made.outcomes[0].rated

    asyncio.run(run())


def test_late_settlement_ends_some_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tenantry.application.admitted.LATE_SETTLE_PAUSE_S", 0)
    monkeypatch.setattr("tenantry.application.admitted.LATE_SETTLE_TRIES", 3)

    async def run() -> None:
        port, tasks = MemoryAdmission(), OwnedTasks()
        port.settle_trouble = [Unavailable("gone")] * 4
        with pytest.raises(Unavailable):
            await request(port, tasks).settle()
        await tasks.drain(5_000)
        assert (port.settle_trouble, port.settlements) == ([], [])

    asyncio.run(run())


def test_a_later_attempts_intent_names_its_request_and_tenant() -> None:
    async def run() -> None:
        begun: list[Any] = []

        class Port(MemoryAdmission):
            async def begin(self, tenant_id: Any, request_id: Any, intent: Any) -> None:
                begun.append((tenant_id, request_id, intent.call, intent.attempt))

        made = request(Port(), OwnedTasks())
        resolved = planned()
        await made.begin(resolved, 0, 1)
        await made.begin(resolved, 0, 2)
        await made.begin(resolved, 1, 1)
        who = (made.principal.tenant_id, made.request_id)
        assert begun == [(*who, 0, 2), (*who, 1, 1)]

    asyncio.run(run())


def test_charge_and_usage_are_of_what_is_charged_alone() -> None:
    made = request(MemoryAdmission(), OwnedTasks())
    assert made.priced
    made.ended(metering.failed(Failure(FailureKind.TIMED_OUT, True, "m"), call=0, attempt=2))
    waste = settled(reading())
    made.ended(AttemptOutcome(1, 1, "settled", charged=False, usage=USED, rated=waste.rated))
    made.ended(settled(Quarantined(reason="odd", raw=RAW, version=5)))
    made.ended(settled(reading()))
    assert made.charge == 2 * Decimal("0.0315")
    assert made.usage == USED + USED
    empty = AdmittedRequest(
        MemoryAdmission(),
        SimpleNamespace(principal=principal()),  # type: ignore[arg-type]
        made.request_id,
        OwnedTasks(),
        5_000,
        Progress(),
    )
    assert (empty.priced, empty.charge, empty.usage) == (False, 0, NO_USAGE)
    empty.ended(metering.never_left(call=0, attempt=1))
    assert not empty.priced


def test_a_call_settles_by_the_wait_that_is_configured() -> None:
    """The whole way, with a ledger that answers at once."""

    async def run() -> None:
        worker = core(converse_reply(), settle_wait_ms=5_000)
        chat = ChatCall("Converse", CLAUDE.id, {"messages": []})
        done = await worker.inference.complete(context(principal()), chat)
        assert done.charge == Decimal("0.0315")

    asyncio.run(run())
