"""Archiving months of the ledger.

1. What stands in the way is asked of the books: open requests, periods that are not final.
2. The month is written to files from one snapshot, and a signed manifest after them.
3. The files are read back and held against the manifest: bytes, rows, sums.
4. One transaction posts the carry-forward and drops the month, if the books still say the same.

Whatever dies in between, the next try goes on: a complete archive of the same sums is used again,
an incomplete one is written over, one that the books have moved on from stays where it is.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from tenantry.application.round import Round
from tenantry.domain.archive import (
    BOOKS,
    ArchiveBroken,
    ArchivedFile,
    BookSum,
    Manifest,
    Tally,
    carried,
    compare,
    manifest_from,
)
from tenantry.domain.errors import Conflict, NotFound
from tenantry.ports.archive import (
    ArchiveFiles,
    Carried,
    LedgerMonths,
    MonthReader,
    Obstacles,
    SignedManifest,
    Signer,
)

MONTHS_MAX = 600  # of one round
NAMED_MAX = 3  # requests and tenants in one line
ARCHIVE_EVERY_S = 3_600.0
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Archive:
    """What archiving works with."""

    months: LedgerMonths
    files: ArchiveFiles
    signer: Signer


@dataclass(frozen=True, slots=True)
class Verified:
    """A month whose files, signatures and entries agree."""

    month: date
    place: str
    rows: int
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Held:
    """A month that could be archived by its age, and what holds it up; all later ones wait, too."""

    month: date
    obstacles: Obstacles

    def words(self, named_max: int) -> str:
        """In one line, with so many of those that are named."""
        told, named = self.obstacles, list(self.obstacles.named[:named_max])
        more = told.more + len(told.named) - len(named)
        if more:
            named.append(f"and {more} more")
        listed = f" ({'; '.join(named)})" if named else ""
        return f"{self.month:%Y-%m} cannot be archived: {'; '.join(told.reasons)}{listed}"


@dataclass(frozen=True, slots=True)
class Closed:
    """What was archived by age, oldest first. `held`: what is due and was not; None: nothing is."""

    done: Sequence[Verified]
    held: Held | None


async def archive_month(archive: Archive, month: date) -> Verified:
    """Idempotent. Raises `Conflict` with all that stands in the way; `ArchiveBroken` where the
    files, read back, are not what was written."""
    for known in await archive.months.archived():
        if known.month == month:
            manifest = await asyncio.to_thread(_signed, archive, known.manifest)
            return _verified(known.manifest, manifest)
    obstacles = await archive.months.obstacles(month)
    if obstacles is not None:
        raise Conflict(f"{Held(month, obstacles).words(NAMED_MAX)}.")
    async with archive.months.reading(month) as reader:
        sums = await reader.sums()
        place = await asyncio.to_thread(_complete, archive, month, sums)
        if place is None:
            place = await _write(archive, month, reader, sums)
    manifest = await asyncio.to_thread(_read_back, archive, place)
    entries = []
    for each in manifest.sums:
        content = carried(each, month, manifest.sha256)
        entries.append(Carried(each, content, archive.signer.sign(content)))
    await archive.months.replace(month, place, manifest.sha256, entries)
    return _verified(place, manifest)


async def archive_closed(archive: Archive, after_months: int) -> Closed:
    """Archives, oldest first, the months that ended so many months ago, up to the first that
    something holds up."""
    done: list[Verified] = []
    for _ in range(MONTHS_MAX):
        month = await _due(archive.months, after_months)
        if month is None:
            break
        obstacles = await archive.months.obstacles(month)
        if obstacles is not None:
            return Closed(done, Held(month, obstacles))
        done.append(await archive_month(archive, month))
    return Closed(done, None)


async def held_up(months: LedgerMonths, after_months: int) -> Held | None:
    """The oldest month, where it ended so many months ago and something holds it up."""
    month = await _due(months, after_months)
    obstacles = None if month is None else await months.obstacles(month)
    return None if month is None or obstacles is None else Held(month, obstacles)


async def _due(months: LedgerMonths, after_months: int) -> date | None:
    month, now = await months.oldest(), await months.now()
    if month is None or months_between(month, now.date()) <= after_months:
        return None
    return month


def archive_round(archive: Archive, after_months: int) -> Round:
    """What archives by age; 0 months: never. What is held up is told when it changes, and once a
    day."""
    told: tuple[str, date] | None = None

    async def work() -> object:
        nonlocal told
        if after_months == 0:
            return None
        closed = await archive_closed(archive, after_months)
        for each in closed.done:
            _log.info("%s: %d rows are archived in %s", each.month, each.rows, each.place)
        if closed.held is None:
            told = None
            return closed
        now = closed.held.words(NAMED_MAX), (await archive.months.now()).date()
        if now != told:
            _log.warning("alert: %s: tenantry ledger archive", now[0])
            told = now
        return closed

    return Round("archive", ARCHIVE_EVERY_S, work)


def months_between(month: date, today: date) -> int:
    """How many months after `month` the present one is."""
    return (today.year - month.year) * 12 + today.month - month.month


async def verify_archives(archive: Archive) -> list[Verified]:
    """Reads every archived month again. Raises `ArchiveBroken` at the first that differs."""
    found = []
    for known in await archive.months.archived():
        manifest = await asyncio.to_thread(_read_back, archive, known.manifest)
        if manifest.sha256 != known.manifest_sha256 or manifest.month != known.month:
            raise ArchiveBroken(f"{known.manifest}: not the manifest that the ledger names.")
        entries = await archive.months.carried(known.month)
        compare(
            [each.total for each in entries], manifest.sums, f"{known.month:%Y-%m}: the entries"
        )
        for each in entries:
            expected = carried(each.total, known.month, manifest.sha256)
            good = archive.signer.verifies(each.content, each.signature)
            if each.content != expected or not good:
                who = f"{each.total.tenant_id} {each.total.book}"
                raise ArchiveBroken(f"{known.month:%Y-%m} {who}: the entry is not what was signed.")
        found.append(_verified(known.manifest, manifest))
    return found


def _complete(archive: Archive, month: date, sums: Sequence[BookSum]) -> str | None:
    """The archive that an earlier try completed, where it holds the same."""
    place = archive.files.latest(month)
    if place is None:
        return None
    try:
        manifest = _read_back(archive, place)
        compare(sums, manifest.sums, f"{place}: the books")
    except (ArchiveBroken, NotFound):
        return None
    return place


async def _write(
    archive: Archive, month: date, reader: MonthReader, sums: Sequence[BookSum]
) -> str:
    place = await asyncio.to_thread(archive.files.next_place, month)
    files: list[ArchivedFile] = []
    for book in BOOKS:
        with archive.files.writing(place, book, month) as writer:
            async for batch in reader.rows(book):
                await asyncio.to_thread(writer.write, batch)
            files.append(await asyncio.to_thread(writer.close))
    content = Manifest(month, files, sums).canonical()
    signed = SignedManifest(content, archive.signer.sign(content))
    await asyncio.to_thread(archive.files.put_manifest, place, signed)
    return place


def _signed(archive: Archive, place: str) -> Manifest:
    signed = archive.files.manifest(place)
    if not archive.signer.verifies(signed.content, signed.signature):
        raise ArchiveBroken(f"{place}: the signature is not of this deployment's key.")
    return manifest_from(signed.content)


def _read_back(archive: Archive, place: str) -> Manifest:
    manifest = _signed(archive, place)
    tally = Tally()
    for file in manifest.files:
        archive.files.check(place, file)
        before = tally.rows
        for row in archive.files.rows(place, file):
            tally.add(file.book, row)
        if tally.rows - before != file.rows:
            raise ArchiveBroken(f"{place}: {file.name} has {tally.rows - before} rows.")
    compare(tally.sums(), manifest.sums, f"{place}: the rows")
    return manifest


def _verified(place: str, manifest: Manifest) -> Verified:
    return Verified(
        manifest.month,
        place,
        sum(each.rows for each in manifest.files),
        sum(each.size_bytes for each in manifest.files),
    )
