"""Idempotency keys of the control plane.

Owns: the words. A key decides for all processes; it is kept for `KEPT_S` after its first use.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, Protocol
from uuid import UUID

KEPT_S: Final = 86_400
LEASE_S: Final = 120  # longer than any request of the control plane may take


@dataclass(frozen=True, slots=True)
class OperatorClaim:
    """What became of a claim. `claimed`: the caller runs it. `other_body`: the key stands for
    another request. `running`: somebody else runs it. `lost`: its run ended without an answer.
    `kept`: `sealed` is the answer.
    """

    outcome: Literal["claimed", "other_body", "running", "lost", "kept"]
    sealed: bytes | None = None


class OperatorKeys(Protocol):
    """All methods raise `Unavailable` where the database is out of reach."""

    async def claim(self, key_hmac: bytes, body_hmac: bytes, run_id: UUID) -> OperatorClaim: ...

    async def keep(self, key_hmac: bytes, run_id: UUID, sealed: bytes) -> None:
        """Keeps the answer of the run that holds the key."""
        ...

    async def free(self, key_hmac: bytes, run_id: UUID) -> None:
        """Gives the key back: nothing was done under it."""
        ...
