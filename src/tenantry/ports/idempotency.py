"""Used idempotency keys and the answers they replay.

Owns: the words. An implementation decides each claim in one place for all workers, keeps `given`
keys for `GIVEN_KEPT_S` durably, and may forget `implied` ones in a crash, but then answers `Lost`
to whoever may have been forgotten. It sees keys and bodies as HMACs and answers as ciphertext.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal, Protocol
from uuid import UUID

from tenantry.domain.ids import ApiKeyId, TenantId

GIVEN_KEPT_S: Final = 24 * 3_600
IMPLIED_KEPT_S: Final = 15 * 60
LEASE_S: Final = 60  # a worker that does not prolong a claim for so long is dead

KeyKind = Literal["given", "implied"]


@dataclass(frozen=True, slots=True)
class UsedKey:
    """An idempotency key as it is stored: its scope is tenant and API key."""

    kind: KeyKind
    tenant_id: TenantId
    api_key_id: ApiKeyId
    key_hmac: bytes  # 32 bytes, under a subkey of the tenant key


@dataclass(frozen=True, slots=True)
class Claim:
    """A request that wants to run under a key. `resent`: its client says it was sent before."""

    key: UsedKey
    body_hmac: bytes  # 32 bytes; of the body, its route and what else decides the answer
    request_id: UUID
    resent: bool = False


@dataclass(frozen=True, slots=True)
class Claimed:
    """The caller runs it, and must say how it ended."""


@dataclass(frozen=True, slots=True)
class Running:
    """Another request runs under this key, on this worker or another."""

    body_hmac: bytes


@dataclass(frozen=True, slots=True)
class KeptAnswer:
    body_hmac: bytes
    request_id: UUID  # of the run that made it
    sealed: bytes


@dataclass(frozen=True, slots=True)
class Lost:
    """It ran, or may have run, and there is no answer. `body_hmac` None: nothing is known."""

    body_hmac: bytes | None


ClaimResult = Claimed | Running | KeptAnswer | Lost


class IdempotencyStore(Protocol):
    """All methods raise `Unavailable` where the store is out of reach."""

    async def claim(self, claim: Claim) -> ClaimResult:
        """Committed on return. Of any number of claims of one key, one is `Claimed`."""
        ...

    async def keep(self, claim: Claim, sealed: bytes, user_hash: str | None = None) -> None:
        """The run ended with this answer; `user_hash`: of the end user whose it is. Of one who was
        erased it is not kept, and the key is used up."""
        ...

    async def lose(self, claim: Claim) -> None:
        """The run ended and its answer is not kept: the key is used up."""
        ...

    async def free(self, claim: Claim) -> None:
        """It was refused before it ran: the key may be claimed again, with any body."""
        ...

    async def prolong(self, claims: Sequence[Claim]) -> None:
        """The runs are still under way: their leases begin anew."""
        ...


class ExpiredKeys(Protocol):
    async def sweep(self, limit: int) -> int:
        """Deletes at most so many expired keys, answers and all; returns how many."""
        ...
