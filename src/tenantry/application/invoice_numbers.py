"""That two customers never hold one number, though the database was restored to an earlier point.

1. the file is read, then the database: so the right one is never behind it
2. a database that is behind gives no number, until an operator says what stays a gap
3. otherwise the file is brought up, the document is committed, and its number is written to the
   file before anybody gets it; a crash in between leaves the file behind, which refuses nothing

Several homes on one database have a file each. Each of them only lags: the round brings it up.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from tenantry.application.round import Round
from tenantry.domain.errors import BadRequest, Conflict, Corrupt, TenantryError, Unavailable
from tenantry.domain.invoice import number_of
from tenantry.domain.invoice_numbers import parts_of, raised, refusal, unknown_to
from tenantry.domain.remark import REMARK_CHARS_MAX, check_reason
from tenantry.ports.invoice_numbers import Gap, NumberFile, SeriesBook

EVERY_S: Final = 60.0
GAPS_SHOWN_MAX: Final = 100
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Series:
    """Last numbers; None: no document of the series is known there."""

    series: str
    database: str | None
    file: str | None
    is_behind: bool  # the database


class InvoiceNumbers:
    """`ports.invoice_numbers.NumberGuard`, and what an operator asks and says."""

    def __init__(self, book: SeriesBook, file: NumberFile) -> None:
        self._book = book
        self._file = file
        self._told: str | None = None

    async def check(self) -> None:
        told, known = await self._both()
        if unknown := unknown_to(known, told):
            raise Conflict(refusal(unknown))
        if raised(told, known) != told:
            await self._file.keep(known)

    async def given(self, number: str) -> None:
        series, count = parts_of(number)
        try:
            await self._file.keep({series: count})
        except Unavailable as lost:
            raise Unavailable(
                f"{number} is final, but not kept beside the database. {lost.message}"
            ) from lost

    async def problem(self) -> str | None:
        """Why nothing can be made final, if anything; writes nothing."""
        try:
            told, known = await self._both()
        except (Corrupt, Unavailable) as wrong:
            return wrong.message
        unknown = unknown_to(known, told)
        return refusal(unknown) if unknown else None

    async def bring_up(self) -> None:
        """One round: the file knows what the database knows, or the log says why it does not."""
        try:
            await self.check()
        except TenantryError as refused:
            if self._told != refused.message:
                _log.warning("alert: %s", refused.message)
            self._told = refused.message
        else:
            self._told = None

    async def listed(self) -> tuple[list[Series], list[Gap]]:
        """Each series, and the latest gaps that were told."""
        told, known = await self._both()
        unknown = unknown_to(known, told)
        rows = [
            Series(name, _last(name, known), _last(name, told), name in unknown)
            for name in raised(told, known)
        ]
        return rows, await self._book.gaps(GAPS_SHOWN_MAX)

    async def continue_after(self, number: str, by: str, reason: str) -> Gap:
        """The next document of the series gets the number after this one. Raises `BadRequest`;
        `Conflict` where a later number was given, or there is no gap up to this one."""
        try:
            series, last = parts_of(number)
            check_reason(reason, REMARK_CHARS_MAX)
        except ValueError as wrong:
            words = str(wrong)
            raise BadRequest(words if number in words else f"The reason {words}.") from None
        told = await self._file.read()
        if told.get(series, 0) > last:
            raise Conflict(f"Numbers up to {number_of(series, told[series])} were given.")
        gap = await self._book.continue_after(series, last, by, reason)
        await self._file.keep({series: last})
        return gap

    async def _both(self) -> tuple[Mapping[str, int], Mapping[str, int]]:
        told = (
            await self._file.read()
        )  # first, so that no number of the right database is behind it
        return told, await self._book.series()


def numbers_round(numbers: InvoiceNumbers) -> Round:
    """At the start and once a minute: what other homes have made final is known here too."""
    return Round("invoice-numbers", EVERY_S, numbers.bring_up)


def _last(name: str, lasts: Mapping[str, int]) -> str | None:
    return number_of(name, lasts[name]) if lasts.get(name) else None
