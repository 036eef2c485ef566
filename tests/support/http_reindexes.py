"""Reindexes in memory, for tests of the HTTP edge: begun, shown and cancelled."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from tenantry.application.context import RequestContext
from tenantry.domain.document import Progress
from tenantry.domain.errors import NotFound
from tenantry.domain.ids import ReindexId
from tenantry.domain.space import Space
from tenantry.ports.reindexing import Reindex, ReindexState

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)


class MemoryReindexes:
    """One for each tenant."""

    def __init__(self) -> None:
        self.reindexes: dict[str, Reindex] = {}

    async def reindex(
        self, ctx: RequestContext, model: str | None, dimensions: int | None, *, again: bool = False
    ) -> Reindex:
        self.reindexes[ctx.principal.tenant_id] = Reindex(
            ReindexId("rdx_" + "0" * 26),
            ReindexState.RUNNING,
            Space(model or "as it is" * again, dimensions or 512),
            ctx.principal.api_key_id,
            ctx.request_id,
            Progress(0, 1),
            Progress(0, 3),
            NOW,
            NOW,
        )
        return self.reindexes[ctx.principal.tenant_id]

    async def latest_reindex(self, ctx: RequestContext) -> Reindex:
        found = self.reindexes.get(ctx.principal.tenant_id)
        if found is None:
            raise NotFound("The documents were never reindexed.")
        return found

    async def cancel_reindex(self, ctx: RequestContext) -> Reindex:
        ended = replace(await self.latest_reindex(ctx), state=ReindexState.CANCELLED)
        self.reindexes[ctx.principal.tenant_id] = ended
        return ended
