"""Reports of audits of isolation, as they are kept: added, never changed.

Owns: the words. Of no tenant: a report names canaries alone and holds no content.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from tenantry.domain.audit import Outcome, Report


@dataclass(frozen=True, slots=True)
class StoredAudit:
    """A report in a list: when, where, and how many attacks ended how."""

    id: str  # aud_
    stored_at: datetime
    started_at: datetime
    ended_at: datetime
    version: str
    url: str
    counts: Mapping[Outcome, int]


class AuditBook(Protocol):
    """All methods raise `Unavailable` where the database is out of reach."""

    async def add(self, report: Report) -> StoredAudit: ...

    async def page(self, *, before: str | None, limit: int) -> Sequence[StoredAudit]:
        """Newest first."""
        ...

    async def get(self, audit_id: str) -> tuple[StoredAudit, Report]:
        """Raises `NotFound`."""
        ...
