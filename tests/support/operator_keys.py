"""The control plane's idempotency keys in memory, which decide as those in PostgreSQL."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from tenantry.adapters.keys.control_plane import ControlPlaneKey
from tenantry.application.operator_once import OperatorOnce
from tenantry.ports.operator_keys import OperatorClaim, OperatorKeys


@dataclass(slots=True)
class _Row:
    body_hmac: bytes
    run_id: UUID
    sealed: bytes | None = None


class MemoryOperatorKeys:
    """No lease runs out."""

    def __init__(self) -> None:
        self._rows: dict[bytes, _Row] = {}

    async def claim(self, key_hmac: bytes, body_hmac: bytes, run_id: UUID) -> OperatorClaim:
        row = self._rows.setdefault(key_hmac, _Row(body_hmac, run_id))
        if row.run_id == run_id:
            return OperatorClaim("claimed")
        if row.body_hmac != body_hmac:
            return OperatorClaim("other_body")
        return OperatorClaim("running" if row.sealed is None else "kept", row.sealed)

    async def keep(self, key_hmac: bytes, run_id: UUID, sealed: bytes) -> None:
        self._rows[key_hmac].sealed = sealed

    async def free(self, key_hmac: bytes, run_id: UUID) -> None:
        del self._rows[key_hmac]


def operator_once(keys: OperatorKeys) -> OperatorOnce:
    key = ControlPlaneKey(b"k" * 32)
    return OperatorOnce(keys, pepper=key.pepper, seal=key.seal, open_sealed=key.open)


def operator_once_in_memory() -> OperatorOnce:
    return operator_once(MemoryOperatorKeys())
