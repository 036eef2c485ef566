"""Whose the sealed objects are: asked before anything is deleted that no row names.

1. the file beside the objects is read, then the database: so the right one is never behind it
2. where neither was ever marked, the file is begun, so that a database is never found used and the
   file absent but where they are strange to each other, or where all of that happened between the
   two readings: then both are read once more
3. the database's instant is moved on, and then the file's: a crash in between leaves the database
   ahead, which is right
4. a database of before, or another one, moves nothing: it stays refused until the operator adopts
   the objects for it

Owns: the order, and a line of its own for each process (`domain/object_mark.py`). Nothing but a
round that passed moves the instant, so a restored database never catches up by itself, nor by what
it was started over.
"""

from __future__ import annotations

import logging
import secrets
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
        self._line = _a_line()

    async def strange(self) -> str | None:
        """Why nothing may be deleted; None: it may, or neither side was ever marked. Writes
        nothing.

        Unavailable where database or disk are not there.
        """
        return (await self._look())[2]

    async def holds(self) -> bool:
        """Whether what no row names may be deleted. Where not, a warning says why, once."""
        return self._heard(await self.strange())

    async def move_on(self) -> bool:
        """As `holds`; and where it does, both sides are moved on, or made. Idempotent."""
        mark, state, reason = await self._look()
        if mark is None and reason is None:
            await self._file.begin(ObjectMark(state.database, None, self._line))
            mark, state, reason = await self._look()  # another process may have been first
        if mark is not None and reason is None:
            # A first mark's line is what makes the database known to it, whoever goes on with it.
            line = mark.line if mark.at is None and mark.line is not None else self._line
            at = await self._database.advance(mark, line)
            if at is None:
                return False  # another database since this moment: the next round says so
            await self._file.write(ObjectMark(state.database, at, line))
        return self._heard(reason)

    async def adopt(self) -> str | None:
        """The operator's word that the objects are this database's. Returns what stood against it,
        if anything did."""
        _, state, reason = await self._look()
        self._line = _a_line()  # which the database that had them does not know
        at = await self._database.adopt(self._line)
        await self._file.write(ObjectMark(state.database, at, self._line))
        return reason

    async def _look(self) -> tuple[ObjectMark | None, DatabaseState, str | None]:
        try:
            mark = await self._file.read()
            state = await self._database.read(None if mark is None else mark.line)
            if mark is None and state.used:  # by another process since the file was read, perhaps
                mark = await self._file.read()
                state = await self._database.read(None if mark is None else mark.line)
        except Corrupt as damaged:
            return None, await self._database.read(None), damaged.message
        return mark, state, strangeness(mark, state)

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


def _a_line() -> str:
    return secrets.token_hex(16)


def of_ours(belonging: Belonging, sweeping: Round) -> Round:
    """A round that deletes objects by rows of the database: only where they belong to it."""

    async def work() -> object:
        return await sweeping.work() if await belonging.holds() else None

    return replace(sweeping, work=work)
