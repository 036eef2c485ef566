"""A known answer, and everything that can come between it and its client."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any

import pytest
from tests.support.core import plan, principal
from tests.support.scripted import Core, FixedLabels, context, converse_reply, core, reply
from tests.support.skipping import run

from tenantry.application.answer_store import AnswerStore
from tenantry.application.cached_answers import CachedAnswers
from tenantry.application.calls import ChatCall, Completed
from tenantry.domain.errors import Corrupt, NotFound, Unavailable
from tenantry.domain.usage import Usage
from tenantry.ports.admission import Refused
from tenantry.ports.answer_cache import StoredAnswer
from tenantry.ports.model import Failure, FailureKind, Operation

BODY = {"messages": [{"role": "user", "content": [{"text": "hello"}]}]}
CHAT = ChatCall("Converse", "claude", BODY)
PRICE = Decimal("0.5")
CACHING = {"answer_cache_ttl_s": 60, "cache_hit_price": "0.5"}
PLAIN = principal("acme", plan(**CACHING))
GUARDED = principal("acme", plan(**CACHING, guardrail="gr1:1"))
UNITS = {"topicPolicyUnits": 1, "contentPolicyUnits": 0}
TRACE = {"guardrail": {"inputAssessment": {"gr1": {"invocationMetrics": {"usage": UNITS}}}}}


@dataclass
class Shelf:
    """Index, objects and sealer in one; `trouble` is what reading raises."""

    kept: dict[bytes, bytes] = field(default_factory=dict)
    stored: dict[bytes, StoredAnswer] = field(default_factory=dict)
    trouble: BaseException | None = None
    most: int = 1_000

    async def digest(self, home: Any, purpose: Any, data: bytes) -> bytes:
        return f"{home.tenant_id}/{purpose}/".encode() + data

    async def find(self, tenant_id: Any, name: bytes) -> str | None:
        if self.trouble is not None:
            raise self.trouble
        self.named = name
        return self.stored[name].object_id if name in self.stored else None

    async def keep(self, answer: Any, ttl_s: int, most: int) -> bool:
        if len(self.kept) >= self.most:
            return False
        self.named = answer.name
        self.stored[answer.name] = answer
        return True

    async def get(self, home: Any, kind: Any, object_id: str) -> bytes:
        return self.kept[self.named]

    async def put(self, home: Any, kind: Any, object_id: str, data: bytes) -> None:
        self.kept[self.named] = data

    async def seal(self, home: Any, kind: str, object_id: str, plain: bytes) -> bytes:
        return plain

    async def open(self, home: Any, kind: str, object_id: str, sealed: bytes) -> bytes:
        return sealed


def cached(worker: Core, shelf: Any, labels: Any = None) -> CachedAnswers:
    store = AnswerStore(shelf, shelf, shelf, labels or FixedLabels(), worker.clock)
    return CachedAnswers(worker.gate, worker.planning, worker.model, worker.calls, store)


def ask(
    worker: Core, shelf: Shelf, who: Any = PLAIN, chat: ChatCall = CHAT, **ctx: Any
) -> Completed:
    return run(cached(worker, shelf).complete(context(who, **ctx), chat))


def traced(**counts: int) -> Any:
    plain = converse_reply(**counts)
    return reply({**plain.document, "trace": TRACE})


def judged(action: str) -> Any:
    return reply({"action": action, "usage": UNITS, "outputs": [], "assessments": []})


def charges(worker: Core) -> list[tuple[int, str, Decimal, Decimal]]:
    return [
        (o.call, o.end, o.rated.cost, o.rated.charge)
        for o in worker.admission.outcomes
        if o.rated is not None
    ]


def test_an_answer_is_asked_once_and_given_again() -> None:
    shelf = Shelf()
    worker = core(converse_reply())
    first = ask(worker, shelf)
    again = core()
    second = ask(again, shelf)
    assert second.body == first.body
    assert second.charge == PRICE and second.usage == Usage(cache_hit=1)
    assert charges(again) == [(0, "settled", Decimal(0), PRICE)]
    (reservation,) = again.admission.reservations
    assert (reservation.worst_charge, reservation.worst_cost) == (PRICE, 0)
    assert again.model.attempts == [] and reservation.counts_as_request


def test_a_guardrail_judges_a_hit_again() -> None:
    shelf = Shelf()
    ask(core(traced()), shelf, GUARDED)
    worker = core(judged("NONE"))
    done = ask(worker, shelf, GUARDED)
    assert charges(worker) == [(0, "settled", Decimal("0.0001"), 3 * Decimal("0.0001") + PRICE)]
    assert done.usage == Usage(cache_hit=1, guardrail_topic=1)
    (sent,) = worker.model.attempts
    assert (sent.operation, sent.model_id) == (Operation.APPLY_GUARDRAIL, "gr1:1")
    assert b'"OUTPUT"' in sent.body and b"hello" in sent.body


def test_a_hit_that_the_guardrail_denies_is_asked_of_the_model() -> None:
    shelf = Shelf()
    ask(core(traced()), shelf, GUARDED)
    worker = core(judged("GUARDRAIL_INTERVENED"), traced())
    done = ask(worker, shelf, GUARDED)
    calls = [(call, cost) for call, _, cost, _ in charges(worker)]
    assert calls == [(0, Decimal("0.0001")), (1, Decimal("0.0105") + Decimal("0.0001"))]
    assert done.usage.cache_hit == 0 and done.charge == 3 * Decimal("0.0107")
    assert [intent.call for intent in worker.admission.begun] == [1]


def test_a_guardrail_that_is_away_is_told_and_costs_nothing() -> None:
    shelf = Shelf()
    ask(core(traced()), shelf, GUARDED)
    refused = Failure(FailureKind.REFUSED, False, "no", 404, "ResourceNotFoundException")
    worker = core(refused)
    with pytest.raises(Exception, match="no"):
        ask(worker, shelf, GUARDED)
    assert [o.end for o in worker.admission.outcomes] == ["released"]


@pytest.mark.parametrize("trouble", [Unavailable(), Corrupt(), NotFound()])
def test_a_cache_in_trouble_is_a_miss(trouble: BaseException) -> None:
    shelf = Shelf()
    ask(core(converse_reply()), shelf)
    shelf.trouble = trouble
    worker = core(converse_reply())
    assert ask(worker, shelf).charge == Decimal("0.0315")


def test_what_differs_is_another_request() -> None:
    shelf = Shelf()
    ask(core(converse_reply()), shelf)
    bolt = replace(PLAIN, tenant=replace(PLAIN.tenant, id="tnt_bolt"))  # type: ignore[arg-type]
    other = {"messages": [{"role": "user", "content": [{"text": "hullo"}]}]}
    differing: list[dict[str, Any]] = [
        {"who": bolt},
        {"chat": replace(CHAT, body=other)},
        {"chat": replace(CHAT, model="amazon.nova-test-v1:0")},
        {"user": "eve"},
        {"groups": frozenset({"staff"})},
    ]
    for change in differing:
        worker = core(converse_reply())
        ask(worker, shelf, **change)
        assert len(worker.model.attempts) == 1, change
    assert len(shelf.kept) == 1 + len(differing)


def test_an_answer_is_its_users_as_the_name_led_before_it_was_made() -> None:
    """Erased while the model answers, whoever comes under the name again is somebody else."""

    class Leading(FixedLabels):
        to = "the first"

        async def user_hash(self, principal: Any, user: str) -> str:
            return f"{self.to} {user} of {principal.tenant_id}"

    labels, shelf = Leading(), Shelf()

    async def meanwhile(_: Any) -> Any:
        labels.to = "the second"
        return converse_reply()

    for script in (meanwhile, converse_reply()):
        worker = core(script)
        run(cached(worker, shelf, labels).complete(context(PLAIN, user="ann"), CHAT))
        assert len(worker.model.attempts) == 1, "what was another's is not given again"
    assert [stored.user_hash for stored in shelf.stored.values()] == [
        "the first ann of tnt_acme",
        "the second ann of tnt_acme",
    ]


def test_an_answer_that_a_budget_made_shorter_is_not_kept() -> None:
    shelf = Shelf()
    short = Refused("budget", "tenant month charge", budget_left=Decimal("0.6"))
    worker = core(converse_reply())
    worker.admission.verdicts = [short]
    clamping = principal("acme", plan(**CACHING, clamp_output=True, max_tokens_default=60_000,
                                      max_tokens_ceiling=60_000))  # fmt: skip
    done = ask(worker, shelf, clamping)
    assert done.max_tokens is not None and done.max_tokens < 60_000
    assert shelf.kept == {}


def test_what_is_not_kept() -> None:
    blocked = reply({**converse_reply().document, "stopReason": "guardrail_intervened"})
    huge = converse_reply("x" * 300_000)
    for answer in (blocked, huge):
        shelf = Shelf()
        ask(core(answer), shelf)
        assert shelf.kept == {}
    full = Shelf(most=0)
    ask(core(converse_reply()), full)
    assert full.kept == {}
