"""The ledger held against Bedrock's own log, request by request.

1. The log's records, late and in any order, are normalised and sorted on disk.
2. The provider's book is read once, in the same order, in one snapshot that is younger than the
   records: every call was committed before it left, so a record without an attempt has none.
3. Both are merged; what does not agree is told by id, with its money.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from typing import Any, Final
from uuid import UUID

from tenantry.application.true_up import attempt_of
from tenantry.domain import money, normalise
from tenantry.domain.archive import refuse_archived
from tenantry.domain.errors import NotFound
from tenantry.domain.model_ids import MODEL_ID_CHARS_MAX
from tenantry.domain.price import PriceEdition
from tenantry.domain.reconciliation import (
    Booked,
    Break,
    BreakKind,
    Logged,
    Reconciliation,
    Tally,
    Terms,
    attempt_key,
    stranger_key,
)
from tenantry.domain.usage import Usage
from tenantry.ports.directory import Directory
from tenantry.ports.invocation_log import CountingLog
from tenantry.ports.ledger import ProviderBook
from tenantry.ports.sorting import LineSorter

LOG_DELAY: Final = timedelta(hours=1)  # what Bedrock takes to deliver is minutes
EDGE: Final = timedelta(hours=24)  # how much later than its admission a call may still be logged
FILES_MAX: Final = 1_000_000
LISTED_MAX: Final = 10_000  # breaks of each kind; all are counted, and so is their money
NAMED_MAX: Final = 20  # unreadable files; all are counted
INSTEAD: Final = "hold it against its files by `tenantry ledger verify`"
_LOOKED_FOR = "….json.gz at any depth, but for folders `data`, where bodies lie"
_UUID_TIME_SHIFT = 80  # the first 48 bits of a UUIDv7 are its time in milliseconds
_UPSTREAM_ID_CHARS_MAX = 128
_REGION_CHARS_MAX = 32
_MODELS_CACHED = 4_096  # model ids as called
_SEPARATOR = "\x1f"  # sorts before whatever an id may contain
_COUNTS: Final[Mapping[str, tuple[str, ...]]] = {
    "input": ("inputTokenCount", "cacheReadInputTokenCount", "cacheWriteInputTokenCount"),
    "output": ("outputTokenCount",),
}
_HOUR = re.compile(r"(?:^|/)([0-9]{4})/([0-9]{2})/([0-9]{2})/([0-9]{2})/[^/]+$", re.ASCII)


class TooManyFiles(ValueError):
    """The log has more files than one reconciliation reads; ask for a shorter period."""


class NoLog(ValueError):
    """Where a person said that a log lies, there is no file of one."""


@dataclass(slots=True)
class LogRead:
    files: int = 0
    records: int = 0  # of the period and a day on either side
    unreadable: int = 0  # lines that are no record of an invocation
    unreadable_files: int = 0  # that are no log, or not the whole of one
    unreadable_named: list[str] = field(default_factory=list)  # the first NAMED_MAX


@dataclass(slots=True)
class ByKind:
    """Breaks of one kind: how many, and the log's cost less the ledger's in USD."""

    count: int = 0
    difference_usd: Decimal = money.ZERO
    unpriced: int = 0  # of them without a price on the log's side


@dataclass(slots=True)
class Report:
    """`breaks` has the first LISTED_MAX of each kind, in the order of tenant and request."""

    start: datetime
    end: datetime
    log: LogRead
    tally: Tally
    by_kind: dict[BreakKind, ByKind] = field(default_factory=dict)
    breaks: list[Break] = field(default_factory=list)
    archived_through: datetime | None = None
    archived: int = 0  # records of attempts that were admitted just before, in an archived month

    @property
    def break_count(self) -> int:
        return sum(kind.count for kind in self.by_kind.values())

    def take(self, found: Break) -> None:
        if _is_of_archived(found, self.archived_through):
            self.archived += 1
            return
        of_kind = self.by_kind.setdefault(found.kind, ByKind())
        of_kind.count += 1
        if found.difference_usd is None:
            of_kind.unpriced += 1
        else:
            of_kind.difference_usd = money.total((of_kind.difference_usd, found.difference_usd))
        if of_kind.count <= LISTED_MAX:
            self.breaks.append(found)


@dataclass(frozen=True, slots=True)
class Sides:
    """What is held against what. `sorter` is used up by one reconciliation.

    `named`: a person named the logs, so that each has to be one.
    """

    book: ProviderBook
    directory: Directory
    logs: Sequence[CountingLog]
    sorter: LineSorter
    named: bool = False


async def reconcile(
    sides: Sides, start: datetime, end: datetime, now: datetime, log_delay: timedelta = LOG_DELAY
) -> Report:
    """What of the attempts admitted in [start, end) is not the same in ledger and log.

    Raises `OSError` where a file of the log cannot be read now: without it the answer would be
    wrong; `NoLog`; `Conflict` where the period begins in an archived month.
    """
    archived = await sides.book.archived_through()
    refuse_archived(start, archived, INSTEAD)
    edges = (start - EDGE, end + EDGE)
    reader = _Reader(sides.sorter, await _models(sides), *edges)
    for log in sides.logs:
        read = await _read(log, reader)
        if sides.named and not read and not await log.has_files():
            raise NoLog(f"{log.where}: there is no file of an invocation log ({_LOOKED_FOR})")
    terms = Terms(start, end, now - log_delay, await sides.directory.prices())
    merge = Reconciliation(map(_from_line, sides.sorter.in_order()), terms)
    report = Report(start, end, reader.read, merge.tally, archived_through=archived)
    async for batch in sides.book.booked(*edges):
        editions = await _editions(sides.directory, batch)
        for booked in batch:
            for found in merge.feed(booked, editions[booked.price_version]):
                report.take(found)
    for found in merge.finish():
        report.take(found)
    # Asked again: a month that was archived before the book was read has left none of its rows.
    refuse_archived(start, await sides.book.archived_through(), INSTEAD)
    return report


def _is_of_archived(found: Break, archived_through: datetime | None) -> bool:
    """A record of a call that ran over the end of the last archived month, or was logged after it:
    the attempt that it names was made before, and its rows lie in the archive."""
    if archived_through is None or found.kind is not BreakKind.UNATTRIBUTED:
        return False
    if found.tenant_id is None or found.at is None or found.at >= archived_through + EDGE:
        return False
    request_id = UUID(found.id.partition("/")[0])
    return (
        request_id.version == 7
        and request_id.int >> _UUID_TIME_SHIFT < archived_through.timestamp() * 1_000
    )


async def _editions(directory: Directory, batch: Sequence[Booked]) -> dict[int, PriceEdition]:
    versions = sorted({booked.price_version for booked in batch})
    return {version: await directory.edition(version) for version in versions}


async def _read(log: CountingLog, reader: _Reader) -> bool:
    """False: there was no file."""
    done: set[str] = set()
    # Not by time of delivery: copying a log may have changed it, in either direction.
    while names := await log.files(datetime.fromtimestamp(0, UTC), done):
        for name in names:
            if _may_concern(name, reader.since):
                reader.take((await log.records(name)).records)
        done.update(names)
        if len(done) > FILES_MAX:
            raise TooManyFiles(f"the log has more than {FILES_MAX:,} files")
    read = reader.read
    read.unreadable += log.skipped_lines
    read.unreadable_files += len(log.unreadable_files)
    read.unreadable_named += [f"{name} in {log.where}" for name in log.unreadable_files]
    del read.unreadable_named[NAMED_MAX:]
    return bool(done)


def _may_concern(name: str, since: datetime) -> bool:
    """Bedrock's keys name the hour; a file of an hour has nothing of a later one."""
    hour = _HOUR.search(name)
    if hour is None:
        return True
    try:
        begin = datetime(*map(int, hour.groups()), tzinfo=UTC)  # type: ignore[arg-type, misc]
    except ValueError:
        return True
    return begin + timedelta(hours=1) > since


@dataclass(frozen=True, slots=True)
class _Called:
    """What a record's model id stands for; None where the catalogue does not know it."""

    model: str = ""
    price_key: str = ""
    family: str = ""


async def _models(sides: Sides) -> Callable[[str], _Called]:
    catalogue = await sides.directory.catalogue()
    profiles = await sides.book.inference_profiles()

    @lru_cache(maxsize=_MODELS_CACHED)
    def resolve(model_id: str) -> _Called:
        try:  # on the first of days, when none was retired
            found = catalogue.resolve(model_id, profiles, today=date.min)
        except NotFound:
            return _Called()
        return _Called(found.model.id, found.price_key, found.model.family)

    return resolve


class _Reader:
    """Takes records into the sorter, those of [since, until)."""

    def __init__(
        self,
        sorter: LineSorter,
        resolve: Callable[[str], _Called],
        since: datetime,
        until: datetime,
    ) -> None:
        self.since, self._until = since, until
        self._sorter = sorter
        self._resolve = resolve
        self.read = LogRead()

    def take(self, records: Sequence[Mapping[str, Any]]) -> None:
        self.read.files += 1
        for record in records:
            line = self._line(record)
            if line is None:
                self.read.unreadable += 1
            elif line:
                self.read.records += 1
                self._sorter.add(line)

    def _line(self, record: Mapping[str, Any]) -> str | None:
        """Empty where it is of another time, None where it is no record."""
        upstream_id = _word(record.get("requestId"), _UPSTREAM_ID_CHARS_MAX)
        model_id = _word(record.get("modelId"), MODEL_ID_CHARS_MAX)
        if not upstream_id or not model_id:
            return None
        at = _instant(record.get("timestamp"))
        if at is not None and not self.since <= at < self._until:
            return ""
        called = self._resolve(model_id)
        named = attempt_of(record)
        key = stranger_key(upstream_id) if named is None else attempt_key(*named)
        reading = normalise.from_invocation_log(_counts_of(record), called.family)
        figures, note = "", ""
        if isinstance(reading, normalise.Quarantined):
            note = _word(reading.reason, _UPSTREAM_ID_CHARS_MAX) or "its usage cannot be read"
        else:
            figures = " ".join(f"{of}={count}" for of, count in reading.usage.items()) or "-"
        when = "" if at is None else at.isoformat()
        region = _word(record.get("region"), _REGION_CHARS_MAX)
        named_by = (upstream_id, model_id, called.model, called.price_key)
        return _SEPARATOR.join((key, when, *named_by, figures, note, region))


def _counts_of(record: Mapping[str, Any]) -> dict[str, object]:
    """Of a record, what its usage is read from: it may hold a prompt and its answer."""
    counts: dict[str, object] = {"errorCode": record.get("errorCode")}
    for side, names in _COUNTS.items():
        inner = record.get(side)
        if isinstance(inner, dict):
            inner = {name: inner[name] for name in names if name in inner}
        counts[side] = inner
    return counts


def _from_line(line: str) -> Logged:
    cells = line.split(_SEPARATOR)
    key, when, upstream_id, model_id, model, price_key, figures, note, region = cells
    counts = {}
    for figure in figures.split() if figures != "-" else ():
        name, _, count = figure.partition("=")
        counts[name] = int(count)
    return Logged(
        key=key,
        at=datetime.fromisoformat(when) if when else None,
        upstream_request_id=upstream_id,
        model_id=model_id,
        model=model or None,
        price_key=price_key or None,
        usage=Usage(**counts) if figures else None,
        note=note,
        region=region,
    )


def _word(value: object, chars_max: int) -> str:
    """A text that can stand in a line; empty where it is none."""
    if not isinstance(value, str) or not value.isprintable():
        return ""
    return value[:chars_max]


def _instant(value: object) -> datetime | None:
    if not isinstance(value, str):
        return None
    try:
        at = datetime.fromisoformat(value)
    except ValueError:
        return None
    return at if at.tzinfo is not None else at.replace(tzinfo=UTC)
