"""Reindexes: a second index of a tenant's documents, built beside the one that is searched.

Each method is one transaction of one tenant. At most one reindex of a tenant is open, `running` or
`paused`; nothing of it is searched before `switch`, which makes it the index in one commit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol
from uuid import UUID

from tenantry.domain.document import DocumentRow, Progress
from tenantry.domain.ids import ApiKeyId, DocumentId, ReindexId, TenantId
from tenantry.domain.space import Space


class ReindexState(StrEnum):
    RUNNING = "running"
    PAUSED = "paused"  # a refusal stopped it; what it has is kept, and it can go on
    DONE = "done"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class Reindex:
    id: ReindexId
    state: ReindexState
    space: Space
    api_key_id: ApiKeyId  # who asked: every batch is metered to it
    request_id: UUID  # the request that counts for the day
    documents: Progress
    passages: Progress
    created_at: datetime
    updated_at: datetime
    failure: str | None = None  # an error's stable code
    failed_document_id: DocumentId | None = None  # where one document was the reason


class Switched(StrEnum):
    DONE = "done"
    MORE = "more"  # documents came or changed meanwhile: they are to be embedded first
    WAIT = "wait"  # uploads under way would have to be embedded again
    GONE = "gone"  # it was cancelled or paused


class Reindexes(Protocol):
    """Errors: Unavailable for a database out of reach."""

    async def begin(
        self,
        tenant_id: TenantId,
        reindex_id: ReindexId,
        space: Space,
        pin: str,
        api_key_id: ApiKeyId,
        request_id: UUID,
        lease_s: float,
        *,
        again: bool = False,
    ) -> tuple[Reindex, bool]:
        """Open a reindex, claimed by the caller, whose vectors the manifest will pin as the engine
        names them; or go on with the paused one of this space, now
        at the caller's expense. The flag says whether the caller has work to do: False for one
        that is running already.

        Conflict: another space is being built, or the documents are in this space already and it
        is not `again`. Where there are none, the next ones are put where the reindex ends.
        """
        ...

    async def latest(self, tenant_id: TenantId) -> Reindex | None: ...

    async def claim(self, tenant_id: TenantId, lease_s: float) -> Reindex | None:
        """A running one that nobody works on; now the caller does."""
        ...

    async def keep(self, tenant_id: TenantId, reindex_id: ReindexId, lease_s: float) -> bool:
        """Prolong a claim. False: it is not running any more."""
        ...

    async def pending(
        self, tenant_id: TenantId, after: DocumentId | None, limit: int
    ) -> Sequence[DocumentRow]:
        """`ready` documents that the new index does not hold, oldest first, newer than `after`."""
        ...

    async def is_pending(self, tenant_id: TenantId, row: DocumentRow) -> bool:
        """Whether a document is still that version, and not in the new index."""
        ...

    async def switch(
        self, tenant_id: TenantId, reindex_id: ReindexId, *, patient: bool
    ) -> Switched:
        """Model, dimensions and segments at once, where no ready document is missing; where there
        is none, model and dimensions are those of the next one.

        `patient`: not while somebody embeds an upload for the old index.
        """
        ...

    async def pause(
        self,
        tenant_id: TenantId,
        reindex_id: ReindexId,
        failure: str,
        document_id: DocumentId | None = None,
    ) -> None: ...

    async def cancel(self, tenant_id: TenantId) -> Reindex | None:
        """End the open one and forget what it built. None: there is none."""
        ...
