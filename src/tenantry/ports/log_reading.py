"""How far the invocation logs of each account and region were read: what may be written off goes by
it. Bedrock logs each region of an account by itself.

Owns: the words. Durable, and shared by all worker processes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol

from tenantry.ports.outbox import Notice

LOGGED_ON = timedelta(hours=1)  # at most, where a log was until it was seen to be set up no more


@dataclass(frozen=True, slots=True)
class Waiting:
    """An account's attempts of unknown end in one region: not those kept for a person to look at,
    and not those of batch jobs that have not ended.
    """

    account: str
    region: str
    attempts: int
    oldest_at: datetime  # when the first of them began
    logs: frozenset[str]  # by name, those that it was logged to when it was last read; none: no log
    read_at: datetime | None = None  # when the last whole reading began
    away_since: datetime | None = None  # since when it cannot be read to its end
    problem: str = ""  # why not
    # Of `logs`: since when one is not set up any more.
    gone: Mapping[str, datetime] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Reading:
    """A whole reading of an account's logs of a region, or that it has none.

    Of attempts that began in [`told_from`, `told_to`) every record was read that came within the
    hold.
    """

    account: str
    region: str
    logs: frozenset[str]
    read_at: datetime
    told_from: datetime
    told_to: datetime


class LogReadings(Protocol):
    """Raises `Unavailable` where the database is away."""

    async def waiting(self) -> list[Waiting]:
        """Every account and region that an unknown attempt waits in, in their order."""
        ...

    async def note(self, reading: Reading) -> None: ...

    async def note_away(
        self, account: str, region: str, logs: frozenset[str], since: datetime, problem: str
    ) -> None:
        """What was read before stands; `since` counts where it was not away before."""
        ...

    async def tell(self, notice: Notice) -> bool:
        """False: it was told before."""
        ...
