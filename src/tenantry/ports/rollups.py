"""The roll-ups of the ledger: kept by the worker, read by whoever asks for usage.

Owns: the words. Rolling up is incremental and idempotent; a reader of usage never sees whether an
hour is rolled up yet.
"""

from __future__ import annotations

from datetime import datetime
from typing import Protocol


class Rollups(Protocol):
    async def advance(self, hours: int) -> bool:
        """Rolls up the next hours that are over, at most so many, in one transaction. False where
        nothing is left to do, or another worker does it.

        Hours that are yet to come, as after a clock that was ahead, count as rolled up no more:
        those are steps of their own, each of a month at most. What is archived or invoiced stays.
        """
        ...

    async def renew(self, hours: int) -> int:
        """Rolls up anew, each in a transaction, at most so many hours to which something was
        posted late; returns how many.
        """
        ...

    async def look_back(self, before: datetime | None, hours: int) -> datetime | None:
        """Rolls up anew, in one transaction, those of so many rolled up hours before an instant
        (None: before the newest that has begun) that do not hold as many postings as the ledger.
        What invoices have missed of them comes to the tenant's next one.

        Returns where they begin, to go on before it; None where nothing earlier is looked at; the
        same instant where another worker was in the way.
        """
        ...
