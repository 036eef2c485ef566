"""What knowledge sees of embedding: `ports.embedding.Embedder` over metered calls.

The handle that a use case passes along says on whose reservation the texts are embedded: a running
request's own (search, answers), or a request for each batch (uploads and reindexes: one batch is
the day's one request, none is paced by the minute).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Literal
from uuid import UUID

from tenantry.application.admitted import AdmittedRequest
from tenantry.application.context import RequestContext
from tenantry.application.embeddings import Embeddings, Vector
from tenantry.application.planning import PlannedChat
from tenantry.domain import money
from tenantry.domain.chunk import ChunkLimit
from tenantry.domain.errors import Conflict, Unavailable
from tenantry.domain.ids import RequestId, uuid7
from tenantry.domain.space import Space
from tenantry.domain.tenant import Principal
from tenantry.ports.admission import AttemptOutcome
from tenantry.ports.clock import Clock

# A planned call and its number, for each space that a query may be needed in.
QueryCalls = Mapping[Space, tuple[int, PlannedChat]]


class WithinRequest:
    """Embeds a query within an admitted request. The caller settles."""

    def __init__(
        self,
        request: AdmittedRequest,
        embeddings: Embeddings,
        planned: QueryCalls,
    ) -> None:
        self._request = request
        self._embeddings = embeddings
        self._planned = planned
        self._used: set[int] = set()

    async def vectors(
        self, principal: Principal, texts: Sequence[str], space: Space
    ) -> Sequence[Vector]:
        assert len(texts) == 1, "a request embeds its one query"
        if space not in self._planned:
            raise Unavailable("The documents have just been reindexed; ask again.")
        number, call = self._planned[space]
        self._used.add(number)
        return await self._embeddings.run(self._request, [call], number)

    def release_if_unused(self) -> None:
        """Ends the admitted call where nothing was embedded by it: a tenant without documents."""
        if 0 not in self._used:
            self._request.ended(AttemptOutcome(call=0, attempt=1, end="released"))


class Batches:
    """Embeds the batches of one upload or reindex, each a reservation of its own.

    The first that is admitted counts for the day: as the upload's own request, or, where nobody
    waits for it, under `request_id`, which another process may have had admitted already.
    """

    def __init__(
        self,
        ctx: RequestContext | None,
        clock: Clock,
        embeddings: Embeddings,
        *,
        request_id: UUID | None = None,
    ) -> None:
        self._ctx = ctx
        self._clock = clock
        self._embeddings = embeddings
        self._counting = request_id
        self.charge: Decimal | None = money.ZERO  # None from where not all of it is known

    async def vectors(
        self, principal: Principal, texts: Sequence[str], space: Space
    ) -> Sequence[Vector]:
        if self._counting is not None:
            first = RequestContext(RequestId(self._counting), principal)
            try:
                return await self._embed(first, texts, space, counts=True)
            except Conflict:
                self._counting = None  # it counts already
            finally:
                if first.progress.admitted:
                    self._counting = None
        if self._ctx is not None and not self._ctx.progress.admitted:
            return await self._embed(self._ctx, texts, space, counts=True)
        return await self._embed(self._following(principal), texts, space, counts=False)

    async def _embed(
        self, ctx: RequestContext, texts: Sequence[str], space: Space, *, counts: bool
    ) -> Sequence[Vector]:
        embedded = await self._embeddings.embed_in(ctx, space, texts, counts=counts)
        if self.charge is None or embedded.charge is None:
            self.charge = None
        else:
            self.charge = money.total((self.charge, embedded.charge))
        return embedded.vectors

    def _following(self, principal: Principal) -> RequestContext:
        """A context like the upload's own, for a batch after its first."""
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

    async def plan_space(self, principal: Principal) -> Space:
        return await self._embeddings.plan_space(principal)

    async def can_embed(self, principal: Principal, space: Space) -> bool:
        return await self._embeddings.can_plan_in(principal, space)

    async def chunk_limit(self, principal: Principal, space: Space) -> ChunkLimit:
        return await self._embeddings.chunk_limit(principal, space)

    def background(self, request_id: UUID) -> Batches:
        return Batches(None, self._clock, self._embeddings, request_id=request_id)

    async def embed(
        self,
        principal: Principal,
        texts: Sequence[str],
        purpose: Literal["document", "query"],
        request: object | None,
        space: Space,
    ) -> Sequence[Sequence[float]]:
        """See the port."""
        if not isinstance(request, (WithinRequest, Batches)):
            assert purpose == "document", "a query is embedded within its request"
            request = Batches(None, self._clock, self._embeddings)
        return await request.vectors(principal, texts, space)
