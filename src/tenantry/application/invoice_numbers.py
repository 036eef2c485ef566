"""That two customers never hold one number, though the database was restored to an earlier point.

1. the file is read, then the database: so the right one is never behind it
2. a database that is behind gives no number, until an operator says what stays a gap; nor does one
   that has another document of the file's last number, until an operator goes on after it
3. otherwise the file is brought up, the document is committed, and its number is written to the
   file before anybody gets it; a crash in between leaves the file behind, which refuses nothing

Several homes on one database have a file each. Each of them only lags: the round brings it up. A
home that lagged when the database was restored may give a number again; a home that knew the first
document of that number sees it by the digest.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from tenantry.application.round import Round
from tenantry.domain.errors import BadRequest, Conflict, Corrupt, Unavailable
from tenantry.domain.invoice import number_of
from tenantry.domain.invoice_numbers import (
    Given,
    given_again,
    parts_of,
    raised,
    refusal,
    unknown_to,
)
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
    is_another: bool  # the database's document of the file's last number


class InvoiceNumbers:
    """`ports.invoice_numbers.NumberGuard`, and what an operator asks and says."""

    def __init__(self, book: SeriesBook, file: NumberFile) -> None:
        self._book = book
        self._file = file
        self._told: str | None = None
        self._same: Mapping[str, Given] = {}  # as the database has it, by this process, of late

    async def check(self) -> None:
        told, known = await self._both()
        unknown = unknown_to(known, told)
        digests = {} if unknown else await self._digests(told, known, self._same)
        again = given_again(digests, told)
        if unknown or again:
            self._same = {}
            raise Conflict(refusal(unknown, again))
        found = {
            name: Given(last, digests.get(number_of(name, last))) for name, last in known.items()
        }
        now = raised(told, found)
        if now != told:
            await self._file.keep(now)
        self._same = now

    async def given(self, number: str, sha256: str) -> None:
        series, count = parts_of(number)
        given = {series: Given(count, sha256)}
        try:
            await self._file.keep(given)
            self._same = raised(self._same, given)
        except Unavailable as lost:
            raise Unavailable(
                f"{number} is final, but not kept beside the database. {lost.message}"
            ) from lost

    async def problem(self) -> str | None:
        """Why nothing can be made final, if anything; writes nothing."""
        try:
            told, known = await self._both()
            digests = await self._digests(told, known, {})
        except (Corrupt, Unavailable) as wrong:
            return wrong.message
        unknown, again = unknown_to(known, told), given_again(digests, told)
        return refusal(unknown, again) if unknown or again else None

    async def bring_up(self) -> None:
        """One round: the file knows what the database knows, or the log says why it does not.
        Raises `Unavailable`."""
        self._same = {}  # the database may have been restored meanwhile
        try:
            await self.check()
        except (Conflict, Corrupt) as refused:
            if self._told != refused.message:
                _log.warning("alert: %s", refused.message)
            self._told = refused.message
        else:
            self._told = None

    async def listed(self) -> tuple[list[Series], list[Gap]]:
        """Each series, and the latest gaps that were told."""
        told, known = await self._both()
        unknown = unknown_to(known, told)
        again = given_again(await self._digests(told, known, {}), told)
        lasts = {name: each.last for name, each in told.items()}
        rows = [
            Series(name, _last(name, known), file, name in unknown, file in again)
            for name in sorted({*lasts, *known})
            for file in (_last(name, lasts),)
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
        if series in told and told[series].last > last:
            raise Conflict(f"Numbers up to {number_of(series, told[series].last)} were given.")
        gap = await self._book.continue_after(series, last, by, reason)
        await self._file.keep({series: Given(last)})
        return gap

    async def _both(self) -> tuple[Mapping[str, Given], Mapping[str, int]]:
        told = (
            await self._file.read()
        )  # first, so that no number of the right database is behind it
        return told, await self._book.series()

    async def _digests(
        self, told: Mapping[str, Given], known: Mapping[str, int], same: Mapping[str, Given]
    ) -> Mapping[str, str]:
        """The database's, of the file's last numbers and its own, but for those that are `same`."""
        lasts = [(name, each.last) for name, each in told.items() if same.get(name) != each]
        for name, last in known.items():
            if last and (name not in told or told[name].last < last):
                lasts.append((name, last))
        numbers = sorted(number_of(name, last) for name, last in lasts if last)
        return await self._book.digests(numbers) if numbers else {}


def numbers_round(numbers: InvoiceNumbers) -> Round:
    """At the start and once a minute: what other homes have made final is known here too."""
    return Round("invoice-numbers", EVERY_S, numbers.bring_up)


def _last(name: str, lasts: Mapping[str, int]) -> str | None:
    return number_of(name, lasts[name]) if lasts.get(name) else None
