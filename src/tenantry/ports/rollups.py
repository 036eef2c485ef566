"""The roll-ups of the ledger: kept by the worker, read by whoever asks for usage.

Owns: the words. Rolling up is incremental and idempotent; a reader of usage never sees whether an
hour is rolled up yet.
"""

from __future__ import annotations

from typing import Protocol


class Rollups(Protocol):
    async def advance(self, hours: int) -> bool:
        """Rolls up the next hours that are over, at most so many, in one transaction. False where
        nothing is left to do, or another worker does it.
        """
        ...

    async def renew(self, hours: int) -> int:
        """Rolls up anew, each in a transaction, at most so many hours to which something was
        posted late; returns how many.
        """
        ...
