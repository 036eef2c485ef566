"""Reranking for one tenant: documents by their relevance to a query, metered by the query.

Owns: the request's way of a call that is billed by documents alone, by itself or as one call of a
request. Bedrock writes no invocation log of these calls: one whose answer was not seen stays
unknown, and is written off after the hold.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import orjson

from tenantry.application import metering
from tenantry.application.admission import PlannedCall
from tenantry.application.admitted import AdmittedRequest
from tenantry.application.attempts import attempts
from tenantry.application.context import RequestContext
from tenantry.application.gate import Gate
from tenantry.application.owned_tasks import OwnedTasks
from tenantry.application.planning import Planning
from tenantry.domain import normalise, rerank
from tenantry.domain.catalogue import Catalogue
from tenantry.domain.chunk import Passage
from tenantry.domain.errors import BadRequest
from tenantry.domain.price import STANDARD_TIER
from tenantry.domain.rating import Bound
from tenantry.domain.rerank import RankedPage, Reranking
from tenantry.domain.tenant import Principal
from tenantry.ports.model import Attempt, ModelPort, Operation

OPERATION = "Rerank"


@dataclass(frozen=True, slots=True)
class RerankCall:
    """A call as its wire understood it; `sources` are as they go upstream."""

    model: str
    query: str
    sources: Sequence[Mapping[str, Any]]
    most: int | None = None
    fields: Mapping[str, Any] = field(default_factory=dict)
    token: str | None = None  # upstream's, of the page after another


@dataclass(frozen=True, slots=True)
class Reranked:
    """Documents, best first, and what they were charged."""

    page: RankedPage
    charge: Decimal | None
    currency: str


class Reranker:
    """One for each worker."""

    def __init__(self, gate: Gate, planning: Planning, model: ModelPort, tasks: OwnedTasks) -> None:
        self._gate = gate
        self._planning = planning
        self._model = model
        self._tasks = tasks

    async def rerank(self, ctx: RequestContext, call: RerankCall) -> Reranked:
        """A request of its own, settled. The call survives its caller's cancellation."""
        return await asyncio.shield(self._tasks.start(self._rerank(ctx, call), name="rerank"))

    def plan(
        self, principal: Principal, catalogue: Catalogue, model: str, documents: int
    ) -> PlannedCall:
        """A call over so many documents: its bound is what it will use."""
        resolved = self._planning.resolve(principal, model, catalogue)
        if resolved.model.kind != "rerank":
            raise BadRequest(f"model {resolved.model.id} does not rerank")
        units = normalise.from_rerank(documents).usage.rerank_units
        return self._planning.call(principal, resolved, OPERATION, Bound(0, 0, rerank_units=units))

    async def run(
        self, request: AdmittedRequest, planned: PlannedCall, number: int, call: RerankCall
    ) -> RankedPage:
        """The results of a planned call of an admitted request. The caller settles, also what
        came of rubbish."""
        await request.begin(planned, number, 1)
        attempt = self._attempt(request.principal, planned, call)
        reply, made = await attempts(
            request, planned, number, self._model.invoke, lambda _: attempt
        )
        outcome = metering.settled(
            normalise.from_rerank(len(call.sources)),
            planned,
            request.admission.prices,
            request.principal.tenant.plan,
            call=number,
            attempt=made,
            tier=STANDARD_TIER,
            upstream_request_id=reply.request_id,
        )
        request.ended(outcome)
        return rerank.ranked_in(reply.document, len(call.sources))

    async def best(
        self,
        request: AdmittedRequest,
        planned: PlannedCall,
        number: int,
        query: str,
        passages: Sequence[Passage],
        wanted: Reranking,
    ) -> list[Passage]:
        """The passages that stay, most relevant first, with the reranker's scores."""
        sources = [rerank.passage_source(passage, wanted.metadata) for passage in passages]
        keep = len(passages) if wanted.keep is None else min(wanted.keep, len(passages))
        call = RerankCall(wanted.model, query, sources, keep, wanted.fields)
        page = await self.run(request, planned, number, call)
        return [rerank.rescored(passages[one.index], one.score) for one in page.results[:keep]]

    async def _rerank(self, ctx: RequestContext, call: RerankCall) -> Reranked:
        catalogue = await self._planning.catalogue()

        def planner(principal: Principal, most: int | None) -> list[PlannedCall]:
            return [self.plan(principal, catalogue, call.model, len(call.sources))]

        request = await self._gate.open(ctx, planner)
        (planned,) = request.admission.calls
        async with request:
            page = await self.run(request, planned, 0, call)
        charge = request.told_charge
        return Reranked(page, charge, request.principal.tenant.currency)

    def _attempt(self, principal: Principal, planned: PlannedCall, call: RerankCall) -> Attempt:
        upstream_id = planned.resolved.upstream_id
        arn = rerank.model_arn(upstream_id, planned.region)
        body = rerank.rerank_body(arn, call.query, call.sources, call.most, call.fields, call.token)
        upstream = self._planning.upstream(principal, planned.region)
        return Attempt(upstream, Operation.RERANK, upstream_id, orjson.dumps(body))
