"""Whose the sealed objects are: asked before anything is deleted that no row names.

1. the file beside the objects is read, then the database: so the right one is never behind it
2. the database's instant is moved on, and then the file's: a crash in between leaves the database
   ahead, which is right
3. a database of before, or another one, moves nothing: it stays refused until the operator adopts
   the objects for it

Owns: the order. Nothing but a round that passed moves the instant, so a restored database never
catches up by itself.
"""

from __future__ import annotations

import logging
from dataclasses import replace

from tenantry.application.round import Round
from tenantry.domain.errors import Corrupt
from tenantry.domain.object_mark import DatabaseState, ObjectMark, strangeness
from tenantry.ports.object_mark import DatabaseMark, MarkFile

WORD = "tenantry objects adopt"
_log = logging.getLogger(__name__)


class Belonging:
    """One a process."""

    def __init__(self, database: DatabaseMark, file: MarkFile) -> None:
        self._database = database
        self._file = file
        self._told: str | None = None

    async def strange(self) -> str | None:
        """Why nothing may be deleted; None: it may, or there was never a mark. Writes nothing.

        Unavailable where database or disk are not there.
        """
        return (await self._look())[2]

    async def holds(self) -> bool:
        """Whether what no row names may be deleted. Where not, a warning says why, once."""
        return self._heard(await self.strange())

    async def move_on(self) -> bool:
        """As `holds`; and where it does, both sides are moved on, or made. Idempotent."""
        mark, state, reason = await self._look()
        if reason is None:
            at = await self._database.advance(None if mark is None else mark.at)
            if at is None:
                return False  # another database since this moment: the next round says so
            await self._file.write(ObjectMark(state.database, at))
        return self._heard(reason)

    async def adopt(self) -> str | None:
        """The operator's word that the objects are this database's. Returns what stood against it,
        if anything did."""
        mark, state, reason = await self._look()
        at = await self._database.adopt(None if mark is None else mark.at)
        await self._file.write(ObjectMark(state.database, at))
        return reason

    async def _look(self) -> tuple[ObjectMark | None, DatabaseState, str | None]:
        try:
            mark = await self._file.read()
        except Corrupt as damaged:
            return None, await self._database.read(), damaged.message
        state = await self._database.read()
        return mark, state, None if mark is None else strangeness(mark, state)

    def _heard(self, reason: str | None) -> bool:
        if reason is not None and reason != self._told:
            _log.warning(
                "nothing that no row names is deleted: the sealed objects are not this database's,"
                " %s. `%s` says that they are",
                reason,
                WORD,
            )
        self._told = reason
        return reason is None


def of_ours(belonging: Belonging, sweeping: Round) -> Round:
    """A round that deletes objects by rows of the database: only where they belong to it."""

    async def work() -> object:
        return await sweeping.work() if await belonging.holds() else None

    return replace(sweeping, work=work)
