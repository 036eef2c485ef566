"""A request whose answer may be known: given again for the plan's price, or asked and kept.

| found | guardrail | what is called | what is paid |
|---|---|---|---|
| no | | the model | as without a cache |
| yes | none | nothing | the plan's `cache_hit_price` |
| yes | passes the answer | ApplyGuardrail on it | its units, and `cache_hit_price` |
| yes | intervenes | ApplyGuardrail, then the model | its units, and the model |

Invariant: a hit is admitted and settled like any request: limits, budgets and both books know it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, Final

import orjson

from tenantry.application.admission import PlannedCall
from tenantry.application.admitted import AdmittedRequest
from tenantry.application.answer_store import AnswerStore
from tenantry.application.attempts import attempts
from tenantry.application.calls import ChatCall, Completed
from tenantry.application.chat_plans import ChatPlans
from tenantry.application.context import RequestContext
from tenantry.application.gate import Gate
from tenantry.application.guardrails import attempt_of, outcome_of
from tenantry.application.model_calls import ModelCalls
from tenantry.application.planning import PlannedChat, Planning
from tenantry.domain.guardrail import RESOLVED, guardrail_of, looked_at
from tenantry.domain.rating import NOTHING, Bound, with_hit
from tenantry.domain.tenant import Principal
from tenantry.domain.usage import Usage
from tenantry.ports.admission import AttemptOutcome
from tenantry.ports.model import ModelPort, Reply

OPERATION: Final = "CachedAnswer"
CACHE_HEADER: Final = "x-tenantry-cache"
HIT_HEADERS: Final = {"content-type": "application/json", CACHE_HEADER: "hit"}
HIT = Usage(cache_hit=1)


class CachedAnswers:
    """One for each worker."""

    def __init__(
        self,
        gate: Gate,
        planning: Planning,
        model: ModelPort,
        calls: ModelCalls,
        store: AnswerStore,
    ) -> None:
        self._gate = gate
        self._planning = planning
        self._model = model
        self._calls = calls
        self._store = store

    async def complete(self, ctx: RequestContext, chat: ChatCall) -> Completed:
        """A whole answer, settled, of the model or of an equal request before."""
        catalogue = await self._planning.catalogue()
        salt = await self._planning.salt(ctx.principal)
        plans = ChatPlans(self._planning, lambda _: chat, catalogue, salt)
        first = plans.under(ctx.principal, ctx.clamp(ctx.principal, None))
        name = await self._store.name(ctx, first)
        known = None if name is None else await self._store.find(ctx.principal, name)
        planned: list[PlannedChat] = []

        def planner(principal: Principal, most: int | None) -> list[PlannedCall]:
            planned.append(plans.under(principal, ctx.clamp(principal, most)))
            call = planned[-1].planned
            if known is None:
                return [call]
            hit = self._hit(principal, call, known)
            return [hit, call] if call.guarded else [hit]

        request = await self._gate.open(ctx, planner)
        principal = request.principal
        async with request:
            body, headers = known, dict(HIT_HEADERS)
            if known is None or not await self._given(request, planned[-1], known):
                call = 0 if known is None else 1
                reply = await self._asked(request, planned[-1], call)
                body, headers = reply.body, dict(reply.headers)
        assert body is not None, "there is an answer, or it was raised"
        lowered = planned[-1].max_tokens if known is None else None
        if known is None and name is not None and request.priced and lowered is None:
            await self._store.keep(ctx, name, body)
        return Completed(
            request_id=ctx.request_id,
            body=body,
            headers=headers,
            usage=request.usage,
            charge=request.told_charge,
            currency=principal.tenant.currency,
            max_tokens=lowered,
        )

    def _hit(self, principal: Principal, call: PlannedCall, known: bytes) -> PlannedCall:
        """The known answer as a call: no model, a guardrail's units where it has one."""
        looked = looked_at(_message(known))
        bound = Bound(0, 0)
        if call.guarded:
            bound = Bound(0, 0, guardrail_units=looked.units, guardrail_images=looked.images)
        price = principal.tenant.plan.cache_hit_price
        return dataclasses.replace(
            call,
            operation=OPERATION,
            bound=bound,
            tiers=frozenset(),
            pinned={},
            output_least=None,
            price=price,
        )

    async def _given(self, request: AdmittedRequest, planned: PlannedChat, known: bytes) -> bool:
        """Whether the known answer may be given; notes what that cost."""
        price = request.principal.tenant.plan.cache_hit_price
        if not planned.planned.guarded:
            request.ended(_hit_outcome(AttemptOutcome(0, 1, "settled", rated=NOTHING), price))
            return True
        reply, attempt = await self._judged(request, planned, known)
        outcome = outcome_of(reply, request, call=0, attempt=attempt)
        document = reply.document if isinstance(reply.document, dict) else {}
        if outcome.end != "settled" or document.get("action") != "NONE":
            request.ended(outcome)
            return False
        request.ended(_hit_outcome(outcome, price))
        return True

    async def _judged(
        self, request: AdmittedRequest, planned: PlannedChat, known: bytes
    ) -> tuple[Reply, int]:
        config = planned.body["guardrailConfig"]
        guardrail = guardrail_of(config["guardrailIdentifier"], config["guardrailVersion"])
        texts = [block["text"] for block in _message(known) if "text" in block]
        content = [{"text": {"text": text}} for text in texts] or [{"text": {"text": " "}}]
        upstream = self._planning.upstream(request.principal, planned.planned.region)
        sent = attempt_of(upstream, guardrail, {"source": "OUTPUT", "content": content})
        call = dataclasses.replace(planned.planned, resolved=RESOLVED, operation=OPERATION)
        return await attempts(request, call, 0, self._model.invoke, lambda number: sent)

    async def _asked(self, request: AdmittedRequest, planned: PlannedChat, call: int) -> Reply:
        await request.begin(planned.planned, call, 1)
        return await self._calls.plain(request, call, planned)


def _hit_outcome(outcome: AttemptOutcome, price: Any) -> AttemptOutcome:
    assert outcome.rated is not None, "what is settled is rated"
    rated = with_hit(outcome.rated, price)
    return dataclasses.replace(outcome, usage=outcome.usage + HIT, rated=rated)


def _message(body: bytes) -> list[Mapping[str, Any]]:
    """The blocks of a Converse answer; none of any other."""
    document = orjson.loads(body)
    output = document.get("output") if isinstance(document, dict) else None
    message = output.get("message") if isinstance(output, dict) else None
    content = message.get("content") if isinstance(message, dict) else None
    return [block for block in content or () if isinstance(block, dict)]
