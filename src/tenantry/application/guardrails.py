"""ApplyGuardrail for one tenant: texts and images judged without a model, metered by units.

Owns: the request's way of a call that is billed by a guardrail's units alone. Its attempts go by
the name and the price key `amazon.bedrock-guardrails`. Bedrock writes no invocation log of these
calls: one whose answer was not seen stays unknown, and is written off after the hold.
"""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Mapping
from typing import Any

import orjson

from tenantry.application import metering
from tenantry.application.admission import PlannedCall
from tenantry.application.admitted import AdmittedRequest
from tenantry.application.attempts import attempts
from tenantry.application.calls import Completed
from tenantry.application.context import RequestContext
from tenantry.application.gate import Gate
from tenantry.application.guarding import check_allowed
from tenantry.application.owned_tasks import OwnedTasks
from tenantry.application.planning import Planning
from tenantry.domain.errors import BadRequest, UpstreamRubbish
from tenantry.domain.guardrail import (
    RESOLVED,
    Guardrail,
    guardrail_of,
    looked_at,
    planned_guardrail,
)
from tenantry.domain.guardrail_usage import from_guardrail
from tenantry.domain.price import STANDARD_TIER
from tenantry.domain.rating import Bound
from tenantry.domain.tenant import Principal
from tenantry.ports.admission import AttemptOutcome
from tenantry.ports.model import Attempt, ModelPort, Operation, Reply, Upstream

OPERATION = "ApplyGuardrail"


def attempt_of(upstream: Upstream, guardrail: Guardrail, body: Mapping[str, Any]) -> Attempt:
    """ApplyGuardrail as it leaves."""
    name = f"{guardrail.identifier}:{guardrail.version}"
    return Attempt(upstream, Operation.APPLY_GUARDRAIL, name, orjson.dumps(body))


def outcome_of(
    reply: Reply, request: AdmittedRequest, *, call: int, attempt: int
) -> AttemptOutcome:
    """What an answer of ApplyGuardrail has cost."""
    document = reply.document if isinstance(reply.document, dict) else {}
    planned = dataclasses.replace(request.admission.calls[call], resolved=RESOLVED)
    return metering.settled(
        from_guardrail(document.get("usage")),
        planned,
        request.admission.prices,
        request.principal.tenant.plan,
        call=call,
        attempt=attempt,
        tier=STANDARD_TIER,
        upstream_request_id=reply.request_id,
    )


class Guardrails:
    """One for each worker."""

    def __init__(self, gate: Gate, planning: Planning, model: ModelPort, tasks: OwnedTasks) -> None:
        self._gate = gate
        self._planning = planning
        self._model = model
        self._tasks = tasks

    async def apply(
        self, ctx: RequestContext, identifier: str, version: str, body: Mapping[str, Any]
    ) -> Completed:
        """What the guardrail says, settled. The call survives its caller's cancellation."""
        guardrail = guardrail_of(identifier, version)
        work = self._apply(ctx, guardrail, body)
        return await asyncio.shield(self._tasks.start(work, name="apply-guardrail"))

    async def _apply(
        self, ctx: RequestContext, guardrail: Guardrail, body: Mapping[str, Any]
    ) -> Completed:
        def planner(principal: Principal, most: int | None) -> list[PlannedCall]:
            return [self._planned(principal, guardrail, body)]

        request = await self._gate.open(ctx, planner)
        (planned,) = request.admission.calls
        upstream = self._planning.upstream(request.principal, planned.region)
        sent = attempt_of(upstream, guardrail, body)
        async with request:
            reply, attempt = await attempts(
                request, planned, 0, self._model.invoke, lambda number: sent
            )
            request.ended(outcome_of(reply, request, call=0, attempt=attempt))
            if not isinstance(reply.document, dict) or not reply.document:
                raise UpstreamRubbish
        return Completed(
            request_id=ctx.request_id,
            body=reply.body,
            headers=reply.headers,
            usage=request.usage,
            charge=request.told_charge,
            currency=request.principal.tenant.currency,
        )

    def _planned(
        self, principal: Principal, guardrail: Guardrail, body: Mapping[str, Any]
    ) -> PlannedCall:
        plan = principal.tenant.plan
        if planned_guardrail(plan.guardrail) not in (None, guardrail):
            raise BadRequest("the plan has a guardrail, and no other can be asked for")
        if plan.guardrail is None:
            check_allowed(plan, guardrail, principal.tenant.placement.account)
        looked = looked_at(body.get("content"))
        bound = Bound(0, 0, guardrail_units=looked.units, guardrail_images=looked.images)
        return self._planning.call(principal, RESOLVED, OPERATION, bound)
