"""What knowledge sees of embedding: `ports.embedding.Embedder` over metered calls.

The handle that a use case passes along says on whose reservation the texts are embedded: a running
request's own (search, answers), or a request for each batch (uploads: the first batch is the day's
one request, none is paced by the minute).
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Literal

from tenantry.application.admitted import AdmittedRequest
from tenantry.application.context import RequestContext
from tenantry.application.embeddings import Embeddings, Vector
from tenantry.application.planning import PlannedChat
from tenantry.domain import money
from tenantry.domain.ids import RequestId, uuid7
from tenantry.domain.tenant import Principal
from tenantry.ports.admission import AttemptOutcome
from tenantry.ports.clock import Clock


class WithinRequest:
    """Embeds a query as call 0 of an admitted request. The caller settles."""

    def __init__(
        self, request: AdmittedRequest, embeddings: Embeddings, planned: PlannedChat
    ) -> None:
        self._request = request
        self._embeddings = embeddings
        self._planned = planned
        self._used = False

    async def vectors(self, principal: Principal, texts: Sequence[str]) -> Sequence[Vector]:
        assert len(texts) == 1, "a request embeds its one query"
        self._used = True
        return await self._embeddings.run(self._request, [self._planned])

    def release_if_unused(self) -> None:
        """Ends the admitted call where nothing was embedded: a tenant without documents."""
        if not self._used:
            self._request.ended(AttemptOutcome(call=0, attempt=1, end="released"))


class Batches:
    """Embeds the batches of one upload, each a reservation of its own."""

    def __init__(self, ctx: RequestContext | None, clock: Clock, embeddings: Embeddings) -> None:
        self._ctx = ctx
        self._clock = clock
        self._embeddings = embeddings
        self._batches = 0
        self.charge: Decimal = money.ZERO

    async def vectors(self, principal: Principal, texts: Sequence[str]) -> Sequence[Vector]:
        first = self._batches == 0 and self._ctx is not None
        self._batches += 1
        plan = principal.tenant.plan
        embedded = await self._embeddings.embed(
            self._context(principal, first),
            plan.embedding_model,
            texts,
            plan.embedding_dimensions,
            purpose="document",
            counts_as_request=first,
            paced_by_minute=False,
        )
        self.charge = money.total((self.charge, embedded.charge))
        return embedded.vectors

    def _context(self, principal: Principal, first: bool) -> RequestContext:
        """The upload's own context for its first batch, one like it for those that follow."""
        if first and self._ctx is not None:
            return self._ctx
        now_ms = int(self._clock.now().timestamp() * 1_000)
        request_id = RequestId(uuid7(now_ms, self._clock.random(10)))
        if self._ctx is None:
            return RequestContext(request_id, principal)
        return RequestContext(
            request_id,
            principal,
            user=self._ctx.user,
            groups=self._ctx.groups,
            tags=self._ctx.tags,
            run_id=self._ctx.run_id,
            wire=self._ctx.wire,
        )


class MeteredEmbedder:
    """`ports.embedding.Embedder` of one worker."""

    def __init__(self, embeddings: Embeddings, clock: Clock) -> None:
        self._embeddings = embeddings
        self._clock = clock

    async def embed(
        self,
        principal: Principal,
        texts: Sequence[str],
        purpose: Literal["document", "query"],
        request: object | None,
    ) -> Sequence[Sequence[float]]:
        """See the port. Without a handle the work is a document's, in the background."""
        if isinstance(request, (WithinRequest, Batches)):
            return await request.vectors(principal, texts)
        assert purpose == "document", "a query is embedded within its request"
        background = Batches(None, self._clock, self._embeddings)
        return await background.vectors(principal, texts)
