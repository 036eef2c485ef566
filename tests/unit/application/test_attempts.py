"""Every attempt is ours: which are repeated, what each leaves behind, and who pays."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from decimal import Decimal
from typing import Any

import orjson
import pytest
from tests.support.core import plan, principal
from tests.support.scripted import (
    Core,
    ScriptedStream,
    context,
    converse_reply,
    core,
    delta,
    metadata,
    reply,
    throttled,
    usage,
)
from tests.support.skipping import run

from tenantry.application.admission import to_error
from tenantry.application.attempts import FAILED_ATTEMPTS_MAX, THROTTLED_ATTEMPTS_MAX
from tenantry.application.calls import ChatCall, Completed
from tenantry.application.owned_tasks import OwnedTasks
from tenantry.domain import errors
from tenantry.ports.admission import UNDELIVERED, AttemptOutcome, Refused
from tenantry.ports.model import Attempt, Failure, FailureKind

ACME = principal("acme")
BODY = {"messages": [{"role": "user", "content": [{"text": "hello"}]}]}
CHAT = ChatCall("Converse", "claude", BODY)
NATIVE = {"max_tokens": 5, "messages": [{"role": "user", "content": "x"}]}


def failure(kind: FailureKind, billed: bool, status: int | None = None) -> Failure:
    return Failure(kind, billed, "it failed", status)


def ask(worker: Core, chat: ChatCall = CHAT) -> Completed:
    return run(worker.inference.complete(context(ACME), chat))


def ends(outcomes: list[AttemptOutcome]) -> list[tuple[int, str, bool]]:
    return [(o.attempt, o.end, o.charged) for o in outcomes]


def test_one_answer_is_one_reservation_and_one_settlement() -> None:
    worker = core(converse_reply())
    done = ask(worker)
    (outcome,) = worker.admission.outcomes
    assert (outcome.end, outcome.charged) == ("settled", True)
    assert outcome.rated is not None
    assert outcome.rated.cost == Decimal("0.0105")
    assert done.charge == Decimal("0.0315")
    (reservation,) = worker.admission.reservations
    assert reservation.worst_charge == reservation.worst_cost * 3
    assert worker.admission.begun == []  # the first intent came with the reservation


def test_an_attempt_that_cannot_be_written_gives_its_hold_back() -> None:
    worker = core(converse_reply())
    with pytest.raises(TypeError):  # the edge reads nothing that is no JSON
        ask(worker, replace(CHAT, body={**BODY, "additionalModelResponseFieldPaths": object()}))
    assert ends(worker.admission.outcomes) == [(1, "released", False)]
    assert worker.model.attempts == []


def test_a_timed_out_attempt_was_billed_and_the_second_answers() -> None:
    worker = core(failure(FailureKind.TIMED_OUT, True), converse_reply())
    done = ask(worker)
    assert ends(worker.admission.outcomes) == [(1, "unknown", False), (2, "settled", True)]
    assert len(worker.admission.reservations) == 1
    assert [(i.call, i.attempt) for i in worker.admission.begun] == [(0, 2)]
    assert len(worker.model.attempts) == 2
    assert done.charge == Decimal("0.0315")  # one answer is paid for


def test_throttled_four_times_then_answered() -> None:
    worker = core(*[throttled() for _ in range(4)], converse_reply())
    ask(worker)
    outcomes = worker.admission.outcomes
    assert ends(outcomes) == [
        *((number, "released", False) for number in (1, 2, 3, 4)),
        (5, "settled", True),
    ]
    assert all(o.rated is None and not o.usage.tokens for o in outcomes[:4])
    assert len(worker.admission.reservations) == 1
    assert [i.attempt for i in worker.admission.begun] == [2, 3, 4, 5]


@pytest.mark.parametrize(
    ("trouble", "attempts_max", "told"),
    [
        (throttled(), THROTTLED_ATTEMPTS_MAX, errors.UpstreamThrottled),
        (failure(FailureKind.UNREACHABLE, False), FAILED_ATTEMPTS_MAX, errors.UpstreamUnavailable),
        (failure(FailureKind.FAILED, False, 503), FAILED_ATTEMPTS_MAX, errors.UpstreamUnavailable),
        (failure(FailureKind.FAILED, True, 424), 2, errors.UpstreamFailed),
        (failure(FailureKind.FAILED, True, 408), 2, errors.UpstreamTimeout),
        (failure(FailureKind.TIMED_OUT, True), 2, errors.UpstreamTimeout),
        (failure(FailureKind.BROKEN, True), 2, errors.UpstreamUnavailable),
        (failure(FailureKind.REFUSED, False, 400), 1, errors.UpstreamRefused),
        (failure(FailureKind.REFUSED, False, 403), 1, errors.UpstreamUnavailable),
        (failure(FailureKind.UNSENDABLE, False), 1, errors.UpstreamRefused),
        (failure(FailureKind.MISPLACED, False), 1, errors.UpstreamUnavailable),
        (failure(FailureKind.RUBBISH, True, 200), 1, errors.UpstreamRubbish),
    ],
)
def test_attempts_are_bounded_and_every_one_has_its_row(
    trouble: Failure, attempts_max: int, told: type[errors.TenantryError]
) -> None:
    worker = core(*[trouble] * 10)
    with pytest.raises(told):
        ask(worker)
    assert len(worker.model.attempts) == attempts_max
    end = "unknown" if trouble.maybe_billed else "released"
    assert ends(worker.admission.outcomes) == [
        (number, end, False) for number in range(1, attempts_max + 1)
    ]


def test_credentials_that_are_ours_are_never_named() -> None:
    secret = Failure(FailureKind.REFUSED, False, "arn:aws:iam::1:role/x may not", 403, "X")
    with pytest.raises(errors.UpstreamUnavailable) as told:
        ask(core(secret))
    assert "arn:" not in told.value.message


def test_each_attempt_carries_its_own_mark() -> None:
    worker = core(throttled(), converse_reply())
    ask(worker, ChatCall("Converse", "claude", BODY, request_metadata={"team": "a"}))
    sent = [orjson.loads(attempt.body)["requestMetadata"] for attempt in worker.model.attempts]
    rid = str(context(ACME).request_id)
    assert [marks["att"] for marks in sent] == ["0:1", "0:2"]
    for marks in sent:
        assert (marks["tid"], marks["rid"], marks["team"]) == ("tnt_acme", rid, "a")


def test_invoke_model_is_marked_in_a_header_and_its_body_left_alone() -> None:
    worker = core(reply({"usage": {"input_tokens": 3, "output_tokens": 2}}))
    ask(worker, ChatCall("InvokeModel", "claude", NATIVE, request_metadata={"team": "a"}))
    (attempt,) = worker.model.attempts
    assert orjson.loads(attempt.body) == NATIVE
    assert orjson.loads(attempt.headers["x-amzn-bedrock-request-metadata"]) == {
        "team": "a",
        "tid": "tnt_acme",
        "rid": str(context(ACME).request_id),
        "env": "local",
        "att": "0:1",
    }


@pytest.mark.parametrize("key", ["tid", "rid", "att", "env"])
def test_our_own_marks_are_refused_before_anything_is_reserved(key: str) -> None:
    worker = core()
    with pytest.raises(errors.BadRequest, match=key):
        ask(worker, ChatCall("Converse", "claude", BODY, request_metadata={key: "x"}))
    assert worker.admission.reservations == []


def test_a_client_that_leaves_cancels_nothing() -> None:
    async def walk() -> tuple[Core, int]:
        arrived, answered = asyncio.Event(), asyncio.Event()

        async def slow(_: Attempt) -> Any:
            arrived.set()
            await answered.wait()
            return converse_reply()

        worker = core(slow)
        client = asyncio.create_task(worker.inference.complete(context(ACME), CHAT))
        await arrived.wait()
        client.cancel()
        await asyncio.gather(client, return_exceptions=True)
        assert client.cancelled()
        assert worker.admission.settlements == []
        answered.set()
        return worker, await worker.tasks.drain(1_000)

    worker, left = run(walk())
    assert left == 0
    assert ends(worker.admission.outcomes) == [(1, "settled", True)]


def test_a_fault_of_ours_after_admission_still_settles() -> None:
    worker = core(RuntimeError("ours"))
    with pytest.raises(RuntimeError):
        ask(worker)
    assert worker.admission.outcomes == []  # the attempt itself is left to the sweeper


def test_an_intent_that_cannot_be_committed_is_never_sent() -> None:
    worker = core(throttled(), converse_reply())
    worker.admission.begin_trouble = [errors.Unavailable()]
    with pytest.raises(errors.Unavailable):
        ask(worker)
    assert len(worker.model.attempts) == 1
    assert ends(worker.admission.outcomes) == [(1, "released", False)]


@pytest.mark.parametrize("document", [None, [], "text"])
def test_an_answer_that_nobody_can_read_is_our_waste(document: Any) -> None:
    headers = {"x-amzn-bedrock-input-token-count": "3", "x-amzn-bedrock-output-token-count": "2"}
    worker = core(reply(document, headers))
    with pytest.raises(errors.UpstreamRubbish):
        ask(worker, ChatCall("InvokeModel", "claude", NATIVE))
    (outcome,) = worker.admission.outcomes
    assert outcome.charged is False
    assert UNDELIVERED in outcome.flags
    assert outcome.rated is not None  # it cost us something all the same
    assert outcome.rated.cost > 0


def test_rubbish_never_becomes_a_row_that_no_store_takes() -> None:
    named = Failure(FailureKind.FAILED, True, "it failed", 424, "a\x00b" + "x" * 5_000)
    worker = core(named, named)
    with pytest.raises(errors.UpstreamFailed):
        ask(worker)
    counted = {**usage(), "a\x00b": 7}
    other = core(reply({"output": {"message": {"content": []}}, "usage": counted}))
    ask(other)
    for outcome in (*worker.admission.outcomes, *other.admission.outcomes):
        assert len(outcome.error or "") <= 256
        assert (outcome.error or "").isprintable()
        assert all(name.isprintable() for name in outcome.raw)


@pytest.mark.parametrize(
    "counts", [None, {}, {"inputTokens": -1, "outputTokens": 1}, {"inputTokens": "1e9"}]
)
def test_usage_that_cannot_be_trusted_is_quarantined(counts: Any) -> None:
    document = {"output": {"message": {"content": [{"text": "x"}]}}, "usage": counts}
    worker = core(reply(document))
    done = ask(worker)
    (outcome,) = worker.admission.outcomes
    assert (outcome.end, outcome.rated) == ("unknown", None)
    assert outcome.quarantined
    assert done.charge is None  # not known is not nothing


def test_asked_for_priority_and_served_default() -> None:
    allowing = plan(service_tiers_allowed=["default", "priority"], max_tokens_default=1_000)
    asking = replace(ACME, tenant=replace(ACME.tenant, plan=allowing))
    chat = ChatCall("Converse", "claude", BODY, service_tier="priority")
    worker = core(converse_reply(uncached_in=10_000, out=1_000))
    run(worker.inference.complete(context(asking), chat))
    (outcome,) = worker.admission.outcomes
    assert outcome.service_tier == "default"
    assert outcome.rated is not None
    assert outcome.rated.cost == Decimal("0.045")
    of_output = 1_000 * 15 * Decimal("1.75") / 10**6
    assert worker.admission.reservations[0].worst_cost > of_output
    refused = core()
    with pytest.raises(errors.Forbidden):
        run(refused.inference.complete(context(ACME), chat))
    assert refused.admission.reservations == []


def test_latency_that_has_no_price_is_refused() -> None:
    headers = {"x-amzn-bedrock-performanceconfig-latency": "optimized"}
    worker = core()
    with pytest.raises(errors.ModelUnpriced):
        ask(worker, ChatCall("InvokeModel", "claude", NATIVE, headers))
    assert worker.admission.reservations == []


@pytest.mark.parametrize(
    ("limit", "told"),
    [("tenant day cost", "guard"), ("plan month charge", "plan month charge")],
)
def test_a_guard_in_provider_cost_is_not_told(limit: str, told: str) -> None:
    refusal = to_error(Refused("budget", limit, None, None))
    assert isinstance(refusal, errors.BudgetExceeded)
    message = f"budget {told} has too little left for this request"
    assert (refusal.limit, refusal.message) == (told, message)


def test_a_fault_is_logged_without_what_it_says(caplog: pytest.LogCaptureFixture) -> None:
    async def fail() -> None:
        raise ValueError("the patient's name")

    async def walk() -> None:
        tasks = OwnedTasks()
        with pytest.raises(ValueError, match="patient"):
            await tasks.start(fail(), name="complete")

    run(walk())
    assert "owned task complete: ValueError at " in caplog.text
    assert "patient" not in caplog.text


def test_a_ledger_that_is_away_shows_nothing_and_gets_our_waste_later() -> None:
    async def walk() -> Core:
        worker = core(converse_reply())
        worker.admission.settle_trouble = [errors.Unavailable(), errors.Unavailable(), None]
        with pytest.raises(errors.Unavailable, match="nothing was charged"):
            await worker.inference.complete(context(ACME), CHAT)
        await worker.tasks.drain(60_000)
        return worker

    outcomes = run(walk()).admission.outcomes
    assert ends(outcomes) == [(1, "settled", False)]
    assert UNDELIVERED in outcomes[0].flags, "a charge that was committed unheard is taken back"


def test_a_ledger_that_hangs_is_waited_for_no_longer_than_said() -> None:
    async def walk() -> float:
        worker = core(converse_reply(), settle_wait_ms=700)
        worker.admission.settle_hangs = True
        loop = asyncio.get_running_loop()
        began = loop.time()
        with pytest.raises(errors.Unavailable):
            await worker.inference.complete(context(ACME), CHAT)
        worker.admission.settle_hangs = False
        await worker.tasks.drain(60_000)
        return loop.time() - began

    assert run(walk()) >= 0.7


def test_two_tenants_are_marked_and_reserved_apart() -> None:
    worker = core(converse_reply(), converse_reply())
    for number, name in enumerate(("acme", "bolt")):
        run(worker.inference.complete(context(principal(name), number), CHAT))
    assert [r.tenant_id for r in worker.admission.reservations] == ["tnt_acme", "tnt_bolt"]
    assert [s.tenant_id for s in worker.admission.settlements] == ["tnt_acme", "tnt_bolt"]
    marks = [orjson.loads(a.body)["requestMetadata"]["tid"] for a in worker.model.attempts]
    assert marks == ["tnt_acme", "tnt_bolt"]


def test_a_stream_is_attempted_like_any_other() -> None:
    async def walk() -> Core:
        worker = core(throttled(), ScriptedStream([delta("x"), metadata()]))
        answer = await worker.inference.stream(
            context(ACME), ChatCall("ConverseStream", "claude", BODY)
        )
        async for _ in answer.frames:
            pass
        return worker

    assert ends(run(walk()).admission.outcomes) == [(1, "released", False), (2, "settled", True)]


@pytest.mark.parametrize("model", ["nobody.knows-v1:0", "", "../x", "amazon.nova-test-v1:0:extra"])
def test_an_unknown_model_reserves_nothing(model: str) -> None:
    worker = core()
    with pytest.raises(errors.NotFound):
        ask(worker, ChatCall("Converse", model, BODY))
    assert worker.admission.reservations == []


def test_counting_tokens_holds_a_slot_for_nothing_and_survives_its_client() -> None:
    async def walk() -> Core:
        arrived, answered = asyncio.Event(), asyncio.Event()

        async def slow(_: Attempt) -> Any:
            arrived.set()
            await answered.wait()
            return reply({"inputTokens": 5})

        worker = core(slow)
        body = {"input": {"converse": BODY}}
        client = asyncio.create_task(worker.inference.count_tokens(context(ACME), "claude", body))
        await arrived.wait()
        client.cancel()
        await asyncio.gather(client, return_exceptions=True)
        assert len(worker.tasks) == 1  # a request that is cut leaves its connection taken
        answered.set()
        await worker.tasks.drain(1_000)
        return worker

    worker = run(walk())
    (held,) = worker.admission.reservations
    assert (held.counts_as_request, held.paced_by_minute) == (False, True)
    assert (held.worst_tokens, held.worst_cost, held.worst_charge) == (0, 0, 0)
    assert ends(worker.admission.outcomes) == [(1, "released", False)]
    assert len(worker.tasks) == 0


@pytest.mark.parametrize("kind", [FailureKind.THROTTLED, FailureKind.TIMED_OUT])
def test_a_count_that_fails_leaves_nothing_open(kind: FailureKind) -> None:
    worker = core(Failure(kind, maybe_billed=True, message="no"))
    with pytest.raises(errors.UpstreamFailed):
        run(worker.inference.count_tokens(context(ACME), "claude", {"input": {"converse": BODY}}))
    assert ends(worker.admission.outcomes) == [(1, "released", False)]
    assert len(worker.model.attempts) == 1, "nobody but its client tries it again"


def test_a_count_beyond_a_limit_never_leaves() -> None:
    worker = core()
    worker.admission.verdicts = [Refused("concurrent_requests", "concurrent_requests", 1_000)]
    with pytest.raises(errors.ConcurrencyLimited):
        run(worker.inference.count_tokens(context(ACME), "claude", {"input": {"converse": BODY}}))
    assert worker.model.attempts == []
