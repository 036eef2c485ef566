"""Embedding texts: through the tenant's placement, admitted and metered like any other call."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, Protocol

from tenantry.domain.tenant import Principal

EMBED_BATCH = 64  # texts a reservation: metering reserves per batch of 64 chunks (interface.md)


class Embedder(Protocol):
    async def embed(
        self,
        principal: Principal,
        texts: Sequence[str],
        purpose: Literal["document", "query"],
        request: object | None,
    ) -> Sequence[Sequence[float]]:
        """One vector a text, in order, by the plan's embedding model and dimensions.

        Called with at most `EMBED_BATCH` texts. `request` is the running request's own handle, or
        None in the background. Raises the refusals of any metered call.
        """
        ...
