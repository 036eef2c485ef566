"""Opened tenant keys: bounded in number and time, zeroed when they leave.

Zeroing covers the slots of this cache. Python and OpenSSL keep copies of their own for as long as a
cipher lives; only the end of the process clears those.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

CACHED_KEYS_MAX = 4_096
CACHED_KEY_TTL_S = 300.0  # how long a disabled or destroyed key can still be used by a worker


class KeyCache:
    def __init__(
        self,
        monotonic: Callable[[], float],
        *,
        count_max: int = CACHED_KEYS_MAX,
        ttl_s: float = CACHED_KEY_TTL_S,
    ) -> None:
        assert count_max > 0, "a cache of no keys cannot hand one out"
        self._monotonic = monotonic
        self._count_max = count_max
        self._ttl_s = ttl_s
        self._slots: OrderedDict[tuple[str, int], tuple[float, bytearray]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._slots)

    def get(self, tenant_id: str, version: int) -> bytearray | None:
        """The slot itself, not a copy: use it before the next await."""
        found = self._slots.get((tenant_id, version))
        if found is None:
            return None
        expires_at, key = found
        if self._monotonic() >= expires_at:
            self._drop((tenant_id, version))
            return None
        self._slots.move_to_end((tenant_id, version))
        return key

    def put(self, tenant_id: str, version: int, key: bytes) -> bytearray:
        name = (tenant_id, version)
        self._drop(name)
        slot = bytearray(key)
        self._slots[name] = (self._monotonic() + self._ttl_s, slot)
        while len(self._slots) > self._count_max:
            self._drop(next(iter(self._slots)))
        return slot

    def forget(self, tenant_id: str) -> None:
        for name in [name for name in self._slots if name[0] == tenant_id]:
            self._drop(name)

    def clear(self) -> None:
        for name in list(self._slots):
            self._drop(name)

    def _drop(self, name: tuple[str, int]) -> None:
        found = self._slots.pop(name, None)
        if found is not None:
            found[1][:] = bytes(len(found[1]))
