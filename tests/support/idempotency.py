"""Idempotency in memory: a store that decides as the one in PostgreSQL, and keys of no disk."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass

from tenantry.adapters.keys.labels import TenantLabels
from tenantry.adapters.sealed.sealer import TenantSealer
from tenantry.application.idempotency import Idempotent
from tenantry.application.owned_tasks import OwnedTasks
from tenantry.domain.document import Home
from tenantry.ports.idempotency import (
    Claim,
    Claimed,
    ClaimResult,
    IdempotencyStore,
    KeptAnswer,
    Lost,
    Running,
    UsedKey,
)
from tenantry.ports.keys import Purpose


@dataclass(slots=True)
class Row:
    claim: Claim
    state: str = "running"
    sealed: bytes = b""
    user_hash: str | None = None


class MemoryIdempotency:
    """Leases and expiry are told, not waited for: `die` and `forget`."""

    def __init__(self) -> None:
        self._rows: dict[UsedKey, Row] = {}
        self._forgot = False

    def rows(self) -> list[Row]:
        return list(self._rows.values())

    def die(self) -> None:
        """The worker that runs things has gone, and its leases have run out."""
        for row in self._rows.values():
            row.state = "lost" if row.state == "running" else row.state

    def forget(self) -> None:
        """A crash of the server: implied keys are gone, and it is known that they are."""
        self._rows = {key: row for key, row in self._rows.items() if key.kind == "given"}
        self._forgot = True

    async def claim(self, claim: Claim) -> ClaimResult:
        row = self._rows.get(claim.key)
        if row is None and claim.resent and self._forgot:
            return Lost(None)
        if row is None or row.state == "free":
            self._rows[claim.key] = Row(claim)
            return Claimed()
        if row.state == "kept":
            return KeptAnswer(row.claim.body_hmac, row.claim.request_id, row.sealed)
        return (Running if row.state == "running" else Lost)(row.claim.body_hmac)

    async def keep(self, claim: Claim, sealed: bytes, user_hash: str | None = None) -> None:
        self._note(claim, "kept", sealed, user_hash)

    async def lose(self, claim: Claim) -> None:
        self._note(claim, "lost")

    async def free(self, claim: Claim) -> None:
        self._note(claim, "free")

    async def prolong(self, claims: Sequence[Claim]) -> None:
        return None

    def _note(
        self, claim: Claim, state: str, sealed: bytes = b"", user_hash: str | None = None
    ) -> None:
        row = self._rows.setdefault(claim.key, Row(claim))
        if row.claim.request_id == claim.request_id and row.state == "running":
            row.state, row.sealed, row.user_hash = state, sealed, user_hash


class MemoryKeys:
    """`ports.keys.KeyStore`: a key for each tenant, made of its name."""

    async def create(self, home: Home) -> None:
        return None

    async def version(self, home: Home) -> int:
        return 1

    async def subkey(self, home: Home, version: int, purpose: Purpose, context: bytes) -> bytes:
        label = f"{home.tenant_id}/{version}/{purpose}/".encode() + context
        return hmac.new(b"a test's root key", label, hashlib.sha256).digest()

    async def check(self, home: Home) -> None:
        return None

    async def forget(self, home: Home) -> None:
        return None

    async def destroy(self, home: Home) -> None:
        return None


def idempotent_over(store: IdempotencyStore, tasks: OwnedTasks | None = None) -> Idempotent:
    keys = MemoryKeys()
    sealer = TenantSealer(keys)
    labels = TenantLabels(sealer, keys)
    return Idempotent(store, sealer, keys, labels, tasks or OwnedTasks())
