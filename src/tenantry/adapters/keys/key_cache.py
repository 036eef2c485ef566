"""Opened tenant keys: bounded in number, time and use, zeroed when they leave.

Zeroing covers the slots of this cache. Python and OpenSSL keep copies of their own for as long as a
cipher lives; only the end of the process clears those.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

CACHED_KEYS_MAX = 4_096
CACHED_KEY_TTL_S = 300.0  # how long a disabled or destroyed key can still be used by a worker
CACHED_KEY_USES_MAX = 10_000  # subkeys derived, before the KMS is asked again


@dataclass(slots=True)
class _Slot:
    expires_at: float
    uses_left: int
    key: bytearray


class KeyCache:
    def __init__(
        self,
        monotonic: Callable[[], float],
        *,
        count_max: int = CACHED_KEYS_MAX,
        ttl_s: float = CACHED_KEY_TTL_S,
        uses_max: int = CACHED_KEY_USES_MAX,
    ) -> None:
        assert count_max > 0, "a cache of no keys cannot hand one out"
        assert uses_max > 0, "a key that may not be used cannot be handed out"
        self._monotonic = monotonic
        self._count_max = count_max
        self._ttl_s = ttl_s
        self._uses_max = uses_max
        self._slots: OrderedDict[tuple[str, int], _Slot] = OrderedDict()

    def __len__(self) -> int:
        return len(self._slots)

    def get(self, tenant_id: str, version: int) -> bytearray | None:
        """The slot itself, not a copy: use it, once, before the next await."""
        name = (tenant_id, version)
        slot = self._slots.get(name)
        if slot is None:
            return None
        if slot.uses_left == 0 or self._monotonic() >= slot.expires_at:
            self._drop(name)
            return None
        slot.uses_left -= 1
        self._slots.move_to_end(name)
        return slot.key

    def holds(self, tenant_id: str, version: int, *, for_s: float = 0.0) -> bool:
        """Whether the key may be used now, and for some time more. No use of it."""
        slot = self._slots.get((tenant_id, version))
        return slot is not None and self._monotonic() + for_s < slot.expires_at

    def put(
        self, tenant_id: str, version: int, key: bytes, *, opened_at: float | None = None
    ) -> bytearray:
        """`opened_at`: by the cache's clock, when the KMS was asked; now where it is not said."""
        name = (tenant_id, version)
        self._drop(name)
        began = self._monotonic() if opened_at is None else opened_at
        slot = bytearray(key)
        self._slots[name] = _Slot(began + self._ttl_s, self._uses_max, slot)
        while len(self._slots) > self._count_max:
            self._drop(next(iter(self._slots)))
        return slot

    def forget(self, tenant_id: str) -> None:
        for name in [name for name in self._slots if name[0] == tenant_id]:
            self._drop(name)

    def expire(self) -> None:
        """Zero what has run out, though nobody asks for it."""
        now = self._monotonic()
        for name in [name for name, slot in self._slots.items() if now >= slot.expires_at]:
            self._drop(name)

    def clear(self) -> None:
        for name in list(self._slots):
            self._drop(name)

    def _drop(self, name: tuple[str, int]) -> None:
        slot = self._slots.pop(name, None)
        if slot is not None:
            slot.key[:] = bytes(len(slot.key))
