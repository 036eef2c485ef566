"""One call to a model for one tenant: the request's way.

| # | step | where | fails with |
|---|---|---|---|
| 1 | ingress | `entrypoints/http/` | 400, 413 |
| 2 | who: API key → principal with one tenant | `application/authenticate.py` | 401, 403 |
| 3 | may they: over the bound of all calls | `application/gate.py` | 402, 429 |
| 4 | what do they know | `application/retrieval.py` | 503 |
| 5 | prompt | `domain/prompt.py`, `grounding.py` | 400 |
| 6 | model: signed, attributed, attempted | `application/attempts.py` | 429, 503, 424 |
| 7 | what did it cost, durable before the last byte | `application/metering.py` | reconciled |
| 8 | response, tagged | `entrypoints/http/` | - |

Steps 4 and 5 belong to `application/grounded.py`. Invariants: nothing leaves before its intent is
committed; an answer is shown only after its settlement is; a client that leaves changes neither.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, Final

from tenantry.application import exact_json
from tenantry.application.admission import PlannedCall
from tenantry.application.admitted import AdmittedRequest
from tenantry.application.attempts import attempts, to_error
from tenantry.application.cached_answers import CachedAnswers
from tenantry.application.calls import ChatCall, Completed
from tenantry.application.chat_plans import ChatPlans
from tenantry.application.context import RequestContext
from tenantry.application.gate import Gate
from tenantry.application.model_calls import ModelCalls
from tenantry.application.owned_tasks import OwnedTasks
from tenantry.application.planning import PlannedChat, Planning
from tenantry.application.streaming import StreamedAnswer, StreamLimits
from tenantry.domain.rating import Bound
from tenantry.domain.tenant import Principal
from tenantry.ports.admission import AttemptOutcome
from tenantry.ports.clock import Clock
from tenantry.ports.model import Attempt, Failure, ModelPort, Operation

COUNT_TOKENS: Final = "CountTokens"


class Inference:
    """The use cases of one worker; holds ports, no state of any request."""

    def __init__(
        self,
        gate: Gate,
        planning: Planning,
        model: ModelPort,
        tasks: OwnedTasks,
        clock: Clock,
        limits: StreamLimits,
        cached: CachedAnswers | None = None,
    ) -> None:
        self._gate = gate
        self._planning = planning
        self._model = model
        self._calls = ModelCalls(model, planning)
        self._tasks = tasks
        self._clock = clock
        self._limits = limits
        self._cached = cached

    async def complete(self, ctx: RequestContext, chat: ChatCall) -> Completed:
        """A whole answer, settled. The call survives its caller's cancellation."""
        caches = self._cached is not None and ctx.principal.tenant.plan.answer_cache_ttl_s
        complete = self._cached.complete if self._cached and caches else self._complete
        return await asyncio.shield(self._tasks.start(complete(ctx, chat), name="complete"))

    async def stream(self, ctx: RequestContext, chat: ChatCall) -> StreamedAnswer:
        """An answer under way, returned once upstream has begun to answer."""
        answer = StreamedAnswer(
            ctx.request_id,
            chat,
            self._clock,
            self._limits,
            recorded=ctx.idempotency is not None,
        )
        self._tasks.start(self._stream(ctx, chat, answer), name="stream")
        try:
            await asyncio.shield(answer.started)
        except asyncio.CancelledError:
            answer.leave()
            raise
        return answer

    async def count_tokens(
        self, ctx: RequestContext, model: str, body: Mapping[str, Any]
    ) -> Completed:
        """Bedrock's own count, through the tenant's placement: free of charge and no request of the
        day, but paced by the minute's requests and by how many run at once."""
        work = self._count_tokens(ctx, model, body)
        return await asyncio.shield(self._tasks.start(work, name="count-tokens"))

    async def _count_tokens(
        self, ctx: RequestContext, model: str, body: Mapping[str, Any]
    ) -> Completed:
        catalogue = await self._planning.catalogue()
        found = self._planning.resolve(ctx.principal, model, catalogue).model
        self._planning.check_counted(found, body)

        def planner(principal: Principal, most: int | None) -> list[PlannedCall]:
            resolved = self._planning.resolve(principal, model, catalogue)
            return [self._planning.call(principal, resolved, COUNT_TOKENS, Bound(0, 0))]

        request = await self._gate.open(ctx, planner, counts_as_request=False)
        (planned,) = request.admission.calls
        async with request:
            upstream = self._planning.upstream(request.principal, planned.region)
            try:  # Bedrock counts by base id alone and refuses profiles here
                result = await self._model.invoke(
                    Attempt(upstream, Operation.COUNT_TOKENS, found.id, exact_json.write(body))
                )
            finally:  # however it ends, nothing was billed
                request.ended(AttemptOutcome(0, 1, "released", charged=False))
        if isinstance(result, Failure):
            raise to_error(result)
        return Completed(ctx.request_id, result.body, result.headers)

    async def _open(
        self, ctx: RequestContext, chat: ChatCall
    ) -> tuple[AdmittedRequest, PlannedChat]:
        catalogue = await self._planning.catalogue()
        salt = await self._planning.salt(ctx.principal)
        plans = ChatPlans(self._planning, lambda _: chat, catalogue, salt)
        planned: list[PlannedChat] = []

        def planner(principal: Principal, most: int | None) -> list[PlannedCall]:
            planned[:] = [plans.under(principal, ctx.clamp(principal, most))]
            return [planned[0].planned]

        request = await self._gate.open(ctx, planner)
        return request, planned[0]

    async def _complete(self, ctx: RequestContext, chat: ChatCall) -> Completed:
        request, planned = await self._open(ctx, chat)
        async with request:
            reply = await self._calls.plain(request, 0, planned)
        return Completed(
            request_id=ctx.request_id,
            body=reply.body,
            headers=reply.headers,
            usage=request.usage,
            charge=request.told_charge,
            currency=request.principal.tenant.currency,
            max_tokens=planned.max_tokens,
        )

    async def _stream(self, ctx: RequestContext, chat: ChatCall, answer: StreamedAnswer) -> None:
        with answer.told():
            request, planned = await self._open(ctx, chat)
            answer.max_tokens = planned.max_tokens
            try:
                leave = self._planning.departure(request.principal, ctx.request_id, 0, planned)
                reply, attempt = await attempts(
                    request, planned.planned, 0, self._model.stream, leave.attempt
                )
            except BaseException as failure:
                await request.settle_failed(failure)
                raise
            await answer.run(request, planned.planned, reply, attempt)
