"""Embedding texts: through the tenant's placement, admitted and metered like any other call."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, Protocol
from uuid import UUID

from tenantry.domain.chunk import ChunkLimit
from tenantry.domain.space import Space
from tenantry.domain.tenant import Principal

EMBED_BATCH = 64  # texts in one call, which is reserved for as a whole


class Embedder(Protocol):
    async def plan_space(self, principal: Principal) -> Space:
        """The space of the plan's embedding model: where a tenant's first document is put.

        Raises what resolving a model raises: an unknown, retired or forbidden one.
        """
        ...

    async def can_embed(self, principal: Principal, space: Space) -> bool:
        """Whether the space's model can be called and priced now, for this principal."""
        ...

    async def chunk_limit(self, principal: Principal, space: Space) -> ChunkLimit:
        """What the space's model takes of one text. For one that is not known, what most take: it
        is refused when it is to embed.
        """
        ...

    def background(self, request_id: UUID) -> object:
        """A handle for batches that nobody waits for: together one request of the day.

        They count once under this id, whichever process has which of them.
        """
        ...

    async def embed(
        self,
        principal: Principal,
        texts: Sequence[str],
        purpose: Literal["document", "query"],
        request: object | None,
        space: Space,
    ) -> Sequence[Sequence[float]]:
        """One vector a text, in order, as the model returned them for the space's dimensions.

        Called with at most `EMBED_BATCH` texts. `request` is the handle of the request that is
        admitted for them; None: batches that count as no request. Raises the refusals of any
        metered call.
        """
        ...
