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
    SignedManifest,
    Signer,
)

MONTHS_MAX = 600  # of one round
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


async def archive_month(archive: Archive, month: date) -> Verified:
    """Raises `Conflict` with all that stands in the way; `ArchiveBroken` where the files, read
    back, are not what was written."""
    obstacles = await archive.months.obstacles(month)
    if obstacles:
        raise Conflict(f"{month:%Y-%m} cannot be archived: {'; '.join(obstacles)}.")
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


async def archive_closed(archive: Archive, after_months: int) -> list[Verified]:
    """Archives, oldest first, the months that ended so many months ago and nothing holds up."""
    done: list[Verified] = []
    for _ in range(MONTHS_MAX):
        month = await archive.months.oldest()
        now = await archive.months.now()
        if month is None or months_between(month, now.date()) <= after_months:
            break
        if await archive.months.obstacles(month):
            break
        done.append(await archive_month(archive, month))
    return done


def archive_round(archive: Archive, after_months: int) -> Round:
    """What archives by age; 0 months: never."""

    async def work() -> object:
        if after_months == 0:
            return None
        done = await archive_closed(archive, after_months)
        for each in done:
            _log.info("%s: %d rows are archived in %s", each.month, each.rows, each.place)
        return done

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


def _read_back(archive: Archive, place: str) -> Manifest:
    signed = archive.files.manifest(place)
    if not archive.signer.verifies(signed.content, signed.signature):
        raise ArchiveBroken(f"{place}: the signature is not of this deployment's key.")
    manifest = manifest_from(signed.content)
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
