"""When a shred that could not go on is tried again: ever later, and at once where what it waits for
has changed.

A try may read the keys of all tenants and a tenant's whole ledger; what it waits for are the keys
of a few, which are looked at each time. Invariant: it is tried again after at most `WAIT_MAX_S`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from typing import Final

from tenantry.domain.document import Home
from tenantry.domain.errors import TenantryError
from tenantry.domain.ids import TenantId
from tenantry.domain.shred import Shred
from tenantry.ports.keys import RestingKeys
from tenantry.ports.shred import ShredBook, TenantKeys

WAIT_S: Final = 2.0  # after the first failure; doubled with each
WAIT_MAX_S: Final = 300.0
AWAITED_MAX: Final = 5  # tenants whose keys are looked at


@dataclass(frozen=True, slots=True)
class _Seen:
    """How far a shred is, which commands move too, and the keys that it waits for: None where they
    cannot be looked at, as where the key store is throttled."""

    shred: Shred | None
    keys: Sequence[RestingKeys | None]

    def differs(self, before: _Seen) -> bool:
        pairs = zip(self.keys, before.keys, strict=True)
        return self.shred != before.shred or any(a != b for a, b in pairs if a and b)

    def or_else(self, before: _Seen) -> _Seen:
        pairs = zip(self.keys, before.keys, strict=True)
        return _Seen(self.shred, [now or then for now, then in pairs])


@dataclass(frozen=True, slots=True)
class _Wait:
    wait_s: float
    until: float
    homes: Sequence[Home]
    seen: _Seen


class ShredTurns:
    """Of the shreds of one process. `monotonic`: seconds."""

    def __init__(self, book: ShredBook, keys: TenantKeys, monotonic: Callable[[], float]) -> None:
        self._book = book
        self._keys = keys
        self._monotonic = monotonic
        self._waits: dict[TenantId, _Wait] = {}

    def keep(self, unfinished: Collection[TenantId]) -> None:
        """Forget the others."""
        self._waits = {each: self._waits[each] for each in unfinished if each in self._waits}

    async def is_due(self, tenant_id: TenantId) -> bool:
        wait = self._waits.get(tenant_id)
        if wait is None or self._monotonic() >= wait.until:
            return True
        return (await self._see(tenant_id, wait.homes)).differs(wait.seen)

    async def failed(self, tenant_id: TenantId, problem: Exception) -> None:
        """`problem`: its detail `awaits` are the homes whose keys have to change."""
        details = problem.details if isinstance(problem, TenantryError) else {}
        awaits = details.get("awaits")
        homes: Sequence[Home] = awaits[:AWAITED_MAX] if isinstance(awaits, list) else []
        seen, wait_s = await self._see(tenant_id, homes), WAIT_S
        before = self._waits.get(tenant_id)
        if before is not None and before.homes == homes:
            if not seen.differs(before.seen):
                wait_s = min(before.wait_s * 2, WAIT_MAX_S)
            seen = seen.or_else(before.seen)
        self._waits[tenant_id] = _Wait(wait_s, self._monotonic() + wait_s, homes, seen)

    def went_on(self, tenant_id: TenantId) -> None:
        self._waits.pop(tenant_id, None)

    async def _see(self, tenant_id: TenantId, homes: Sequence[Home]) -> _Seen:
        shred = await self._book.get(tenant_id)
        # At once: while the key store does not answer, each costs its whole time-out.
        keys = await asyncio.gather(*(self._resting(home) for home in homes))
        return _Seen(None if shred is None else replace(shred, trouble=None), keys)

    async def _resting(self, home: Home) -> RestingKeys | None:
        try:
            return await self._keys.resting(home)
        except Exception:  # of one tenant, which must not hold back other shreds
            return None
