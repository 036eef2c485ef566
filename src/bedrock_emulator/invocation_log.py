"""Bedrock's model invocation log: gzipped JSON lines, delivered late and out of order.

Keys: `[<prefix>/]AWSLogs/<account>/BedrockModelInvocationLogs/<region>/YYYY/MM/DD/HH/*.json.gz`
under the account's log folder. A record is spooled to disk before its answer's last byte leaves,
its long bodies with it, so neither a signal nor a crash loses it; after a crash one may be
delivered twice, as S3 logs may be.
"""

from __future__ import annotations

import asyncio
import gzip
import heapq
import os
import random
import sys
import time
from base64 import b64decode, b64encode
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from bedrock_emulator.files import append_whole, reading_again, replace_file

TICK_S = 0.2
FILE_RECORDS_MAX = 5_000
SEGMENT_RECORDS = 5_000  # a spool file is removed once all of so many are delivered
_NO_OBJECTS: Mapping[str, bytes] = {}


@dataclass(frozen=True, slots=True)
class Delivery:
    """How late and how shuffled records arrive."""

    delay_s: float = 2.0
    jitter_s: float = 2.0
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Entry:
    """A record, encoded; its long bodies are gzipped, by their path in the record's folder."""

    folder: str  # where the record's file will lie
    line: bytes
    objects: Mapping[str, bytes]


@dataclass(slots=True)
class _Segment:
    """One spool file; `open_records` are not delivered yet."""

    path: Path
    file: int | None
    records: int = 0
    open_records: int = 0


@dataclass(frozen=True, slots=True)
class _Pending:
    entry: Entry
    segment: _Segment


class InvocationLog:
    """Takes records, delivers them when they are due. Bodies too long for a line go beside it."""

    def __init__(
        self,
        spool_dir: Path,
        delivery: Delivery,
        clock_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._spool_dir = spool_dir
        self._delivery = delivery
        self._clock_s = clock_s
        self._random = random.Random(delivery.seed)
        self._heap: list[tuple[float, int, _Pending]] = []
        self._order = 0
        self._segment: _Segment | None = None
        self._delivering = asyncio.Lock()
        self._task: asyncio.Task[None] | None = None
        spool_dir.mkdir(parents=True, exist_ok=True)
        self._recover()

    def start(self) -> None:
        self._task = asyncio.create_task(self._run())

    @property
    def pending(self) -> int:
        return len(self._heap)

    def append(self, entry: Entry) -> None:
        """Spools one record with its long bodies."""
        segment = self._open_segment()
        assert segment.file is not None
        spooled = {path: b64encode(content).decode() for path, content in entry.objects.items()}
        document = [entry.folder, entry.line.decode(), spooled]
        append_whole(segment.file, orjson.dumps(document) + b"\n")
        segment.records += 1
        self._queue(entry, segment)
        if segment.records >= SEGMENT_RECORDS:
            self._seal_segment()

    def _queue(self, entry: Entry, segment: _Segment) -> None:
        segment.open_records += 1
        jitter_s = self._random.random() * self._delivery.jitter_s
        due_s = self._clock_s() + self._delivery.delay_s + jitter_s
        self._order += 1
        heapq.heappush(self._heap, (due_s, self._order, _Pending(entry, segment)))

    async def flush(self) -> int:
        """Delivers everything now; returns how many records.

        Raises OSError where a folder cannot be written to; its records stay.
        """
        return await self._deliver(float("inf"))

    async def close(self) -> None:
        """Delivers everything and ends. What cannot be delivered is after the next start."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait((self._task,))
        try:
            await self.flush()
        except OSError as error:
            _tell(error)
        self._seal_segment()

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(TICK_S)
            try:
                await self._deliver(self._clock_s())
            except OSError as error:
                # The records stay queued and spooled; the next tick tries again.
                _tell(error)

    async def _deliver(self, until_s: float) -> int:
        async with self._delivering:
            due = []
            while self._heap and self._heap[0][0] <= until_s:
                due.append(heapq.heappop(self._heap))
            if not due:
                return 0
            batch = [pending for _, _, pending in due]
            self._random.shuffle(batch)
            names = random.Random(self._random.random())
            # Shielded: a cancelled delivery goes on, it must not be half counted.
            writing = asyncio.create_task(asyncio.to_thread(_write_batch, batch, names))
            try:
                await asyncio.shield(writing)
            finally:
                await asyncio.wait((writing,))
                broken = writing.exception() is not None
                failures = {} if broken else writing.result()
                stay = [item for item in due if broken or item[2].entry.folder in failures]
                for item in stay:
                    heapq.heappush(self._heap, item)
                if len(stay) < len(due):
                    self._delivered([one for one in batch if one.entry.folder not in failures])
            if failures:
                raise next(iter(failures.values()))
            return len(batch)

    def _delivered(self, batch: list[_Pending]) -> None:
        if self._segment is not None and self._segment.records:
            self._seal_segment()
        for pending in batch:
            pending.segment.open_records -= 1
            _remove_if_done(pending.segment)

    def _open_segment(self) -> _Segment:
        if self._segment is None:
            path = self._spool_dir / f"{time.time_ns():020d}-{self._order:08d}.jsonl"
            file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL, 0o600)
            self._segment = _Segment(path, file)
        return self._segment

    def _seal_segment(self) -> None:
        segment, self._segment = self._segment, None
        if segment is not None and segment.file is not None:
            os.close(segment.file)
            segment.file = None
            _remove_if_done(segment)

    def _recover(self) -> None:
        """Queues what an earlier run spooled and did not deliver."""
        for path in sorted(self._spool_dir.glob("*.jsonl")):
            segment = _Segment(path, None)
            with reading_again(path), path.open("rb") as file:
                for entry in file:
                    if entry.endswith(b"\n"):
                        folder, line, *rest = orjson.loads(entry)  # older ones have no objects
                        spooled = rest[0] if rest else _NO_OBJECTS
                        objects = {key: b64decode(text) for key, text in spooled.items()}
                        self._queue(Entry(folder, line.encode(), objects), segment)
            _remove_if_done(segment)


def entry_of(
    root: Path, record: dict[str, Any], objects: Mapping[str, bytes] = _NO_OBJECTS
) -> Entry:
    """Encodes a record; `root` is the account's log folder with the key prefix, if any.

    `objects` are its long bodies by their path in the record's folder.
    """
    packed = {path: gzip.compress(content, mtime=0) for path, content in objects.items()}
    return Entry(f"{root}/{record_folder(record)}", orjson.dumps(record), packed)


def record_folder(record: dict[str, Any]) -> str:
    """The folder of a record: account, region and hour, in Bedrock's key layout."""
    day, _, clock = record["timestamp"].partition("T")
    return (
        f"AWSLogs/{record['accountId']}/BedrockModelInvocationLogs/{record['region']}/"
        f"{day.replace('-', '/')}/{clock[:2]}"
    )


def _tell(error: OSError) -> None:
    print(f"invocation log: {error}", file=sys.stderr)  # noqa: T201


def _remove_if_done(segment: _Segment) -> None:
    if segment.file is None and segment.open_records == 0:
        segment.path.unlink(missing_ok=True)


def _write_batch(batch: list[_Pending], names: random.Random) -> dict[str, OSError]:
    """Writes each folder's records; returns what failed by folder: the others are not held up."""
    by_folder: dict[str, list[Entry]] = defaultdict(list)
    for pending in batch:
        by_folder[pending.entry.folder].append(pending.entry)
    failures = {}
    for folder, records in by_folder.items():
        try:
            _write_folder(Path(folder), records, names)
        except OSError as error:
            failures[folder] = error
    return failures


def _write_folder(folder: Path, records: list[Entry], names: random.Random) -> None:
    """Bodies first, so that a record never names one that is not there."""
    for entry in records:
        for path, content in entry.objects.items():
            replace_file(folder / path, content)
    for start in range(0, len(records), FILE_RECORDS_MAX):
        lines = [entry.line for entry in records[start : start + FILE_RECORDS_MAX]]
        content = b"\n".join(lines) + b"\n"
        stamp = time.strftime("%Y%m%dT%H%M%S", time.gmtime())
        millis = time.time_ns() // 1_000_000 % 1_000
        name = f"{stamp}{millis:03d}Z_{names.getrandbits(64):016x}.json.gz"
        replace_file(folder / name, gzip.compress(content, 6, mtime=0), mode=0o644)
