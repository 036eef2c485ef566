"""Wrapped tenant keys at rest: one small file for each version, and nothing that keeps copies."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from tenantry.domain.document import Home


class KeyFiles(Protocol):
    """Whole files only; each is durable on return. A store out of reach is Unavailable."""

    async def versions(self, home: Home) -> Sequence[int]:
        """In ascending order; none where the tenant has no key."""
        ...

    async def read(self, home: Home, version: int) -> bytes:
        """NotFound for an absent file."""
        ...

    async def create(self, home: Home, version: int, data: bytes) -> bool:
        """False, and nothing changed, where the version exists."""
        ...

    async def replace(self, home: Home, version: int, old: bytes, new: bytes) -> bool:
        """False, and nothing changed, where the file is not, or no longer, exactly `old`.

        What has been removed is so never brought back.
        """
        ...

    async def remove(self, home: Home) -> None:
        """Every file of the tenant, also what a crash left half written. Idempotent."""
        ...

    async def bar(self, home: Home) -> None:
        """Mark that the tenant gets no key any more. For good and idempotent."""
        ...

    async def barred(self, home: Home) -> bool: ...

    async def check(self) -> None:
        """Unavailable where files cannot be kept, or where removed ones would live on."""
        ...
