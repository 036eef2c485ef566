"""What Bedrock's own log says of attempts whose answer we never saw to its end.

Owns: matching log records to open attempts, rating them at the prices pinned at admission, and
the end of those that no record ever comes for. Reading a file twice is harmless: an attempt
ends once.
"""

from __future__ import annotations

import logging
import re
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from tenantry.domain import guardrail, normalise
from tenantry.domain.log_place import place_of
from tenantry.domain.price import STANDARD_TIER, Unpriced
from tenantry.domain.rating import NOTHING, rate
from tenantry.domain.usage import TokenClass, Usage
from tenantry.ports.admission import AttemptOutcome
from tenantry.ports.directory import Directory
from tenantry.ports.invocation_log import InvocationLog
from tenantry.ports.ledger import AttemptKey, LedgerKeeper, OpenAttempt

_log = logging.getLogger(__name__)
KEYS_PER_QUERY = 1_000
NUMBER_MAX = 32_767  # of a call, of an attempt: as the ledger keeps them
_ATTEMPT = re.compile(r"([0-9]{1,5}):([0-9]{1,5})", re.ASCII)
TRUED_UP = "trued_up"
ESTIMATED = "estimated"
TENANT_CHARS_MAX = 64  # an id of ours has 30
SCANS_MAX = 100
FEW_FILES = 1_000  # of one scan: then there are no more than those that must be read again
SOON = timedelta(minutes=1)
AGAIN_AFTER_MAX = timedelta(minutes=10)  # until a file that is not whole is looked at again
ESTIMATES_MAX = 1_000  # a pass; what is left comes with the next


@dataclass(frozen=True, slots=True)
class LogRead:
    """What one pass did."""

    files: int  # read to their end
    records: int
    trued_up: int
    # By log: why it was not read to its end; empty where it was, but for `unread`.
    left: Mapping[str, str] = field(default_factory=dict, compare=False)
    # By log and name of a file: why it was not read to its end.
    unread: Mapping[str, Mapping[str, str]] = field(default_factory=dict, compare=False)

    def problem(self, log: str, account: str, region: str) -> str:
        """Why an account's calls in a region are not all known of a log; empty: they are."""
        if log not in self.left:
            return "it was taken away before it was read"
        if self.left[log]:
            return self.left[log]
        places = (None, (account, region))
        names = [name for name in self.unread.get(log, {}) if place_of(name) in places]
        if not names:
            return ""
        more = f", and {len(names) - 1} more files" if len(names) > 1 else ""
        return f"{names[0]} {self.unread[log][names[0]]}{more}"


@dataclass(slots=True)
class _Pass:
    """A `LogRead` while it is made."""

    files: int = 0
    records: int = 0
    posted: int = 0
    left: dict[str, str] = field(default_factory=dict)
    unread: dict[str, dict[str, str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _NotWhole:
    """A file of which a part is missing. Somebody may yet put the whole one in its place."""

    why: str
    first_at: datetime
    last_at: datetime

    def is_due(self, now: datetime) -> bool:
        """From the second minute on each wait is as long as all before it."""
        waited = self.last_at - self.first_at
        return waited < SOON or now - self.last_at >= min(waited, AGAIN_AFTER_MAX)


class TrueUp:
    """One for each worker process; remembers, for the hold's time, which files it is done with."""

    def __init__(
        self, keeper: LedgerKeeper, directory: Directory, logs: Mapping[str, InvocationLog]
    ) -> None:
        self._keeper = keeper
        self._directory = directory
        self._logs = logs
        self._read: dict[str, dict[str, datetime]] = {}
        self._not_whole: dict[str, dict[str, _NotWhole]] = {}

    async def read_logs(
        self, now: datetime, hold: timedelta, since: Mapping[str, datetime] | None = None
    ) -> LogRead:
        """Reads every file that is new since the longest hold began, of every log; of those in
        `since` from there on, where that is earlier. A file that is not whole is read again."""
        made = _Pass()
        for log in tuple(self._logs):
            start = min(now - hold, (since or {}).get(log, now))
            await self._read_log(log, start, now, made)
        return LogRead(made.files, made.records, made.posted, made.left, made.unread)

    async def _read_log(self, name: str, start: datetime, now: datetime, made: _Pass) -> None:
        log = self._logs.get(name)
        if log is None:
            return  # taken away meanwhile
        known = self._read.get(name, {})
        done = {file: at for file, at in known.items() if at >= start}
        self._read[name] = done
        try:
            files = await log.files(start, done)
        except OSError as problem:
            _log.warning("the log of %s cannot be reached now: %s", name, problem)
            made.left[name] = f"it cannot be reached: {problem}"
            return
        made.left[name] = "there is more of it to read" if len(files) >= FEW_FILES else ""
        before = self._not_whole.get(name, {})
        unread = made.unread[name] = {}
        parts = self._not_whole[name] = {file: before[file] for file in files if file in before}
        for file in files:
            part = parts.get(file)
            if part is not None and not part.is_due(now):
                unread[file] = part.why
                continue
            try:
                found = await log.records(file)
            except OSError as problem:
                _log.warning("log file %s cannot be read now: %s", file, problem)
                unread[file] = f"cannot be read: {problem}"
                continue
            count, early = await self._post(found.records)
            made.posted += count
            made.records += len(found.records)
            if found.unread:
                _log.warning("log file %s cannot be read to its end: %s", file, found.unread)
                unread[file] = f"cannot be read to its end: {found.unread}"
                parts[file] = _NotWhole(unread[file], part.first_at if part else now, now)
                continue
            parts.pop(file, None)
            made.files += 1
            if not early:
                done[file] = now
                _tell_of_skipped(name, file, found.skipped_lines)

    async def asked(self, account: str, region: str) -> Mapping[str, bool | None]:
        """By log: whether calls of an account in a region are logged there; None where it cannot
        be asked."""
        found: dict[str, bool | None] = {}
        for name, log in tuple(self._logs.items()):
            try:
                found[name] = await log.covers(account, region)
            except OSError as problem:
                _log.warning("the log of %s cannot be reached now: %s", name, problem)
                found[name] = None
        return found

    async def read_all(self, now: datetime, hold: timedelta) -> LogRead:
        """`read_logs` again and again, until no file is new: for logs of any length."""
        files = records = posted = 0
        for _ in range(SCANS_MAX):
            read = await self.read_logs(now, hold)
            files, records = files + read.files, records + read.records
            posted += read.trued_up
            if read.files < FEW_FILES:
                break
        return LogRead(files, records, posted)

    async def settle_by_estimate(self, now: datetime, after: timedelta) -> int:
        """Ends what is unknown for so long where no log covers it: input counted, output seen,
        flagged `estimated`. Returns how many.
        """
        ended = 0
        for attempt in await self._keeper.open_attempts(ESTIMATES_MAX):
            seen = attempt.estimate and not attempt.quarantined
            fresh = attempt.admitted_at > now - after
            if not seen or fresh or await self._covered(attempt.account, attempt.region):
                continue  # nothing seen is never settled at nothing: it is written off
            usage = Usage(**attempt.estimate)
            outcome = AttemptOutcome(
                call=attempt.call,
                attempt=attempt.attempt,
                end="unknown",
                charged=attempt.charged,
                service_tier=str(attempt.pinned.get("tier", STANDARD_TIER)),
                flags=frozenset({ESTIMATED}),
            )
            ended += await self._keeper.true_up(attempt, await self._rated(attempt, outcome, usage))
        return ended

    async def _covered(self, account: str, region: str) -> bool:
        """A log that cannot be asked covers everything: an outage is no reason to guess."""
        asked = await self.asked(account, region)
        return any(covers is not False for covers in asked.values())

    async def _post(self, records: Sequence[Mapping[str, Any]]) -> tuple[int, bool]:
        """How many were trued up, and whether a record came before its attempt was in doubt:
        of a worker that died, and that the sweep has not yet found."""
        by_key = {key: record for record in records if (key := attempt_of(record)) is not None}
        keys, posted, early = list(by_key), 0, False
        for start in range(0, len(keys), KEYS_PER_QUERY):
            some = keys[start : start + KEYS_PER_QUERY]
            # Asked first: what is no longer under way has ended, or is found open.
            early = bool(await self._keeper.under_way(some)) or early
            for attempt in await self._keeper.find_open(some):
                record = by_key[
                    attempt.tenant_id, attempt.request_id, attempt.call, attempt.attempt
                ]
                posted += await self._keeper.true_up(attempt, await self._outcome(attempt, record))
        return posted, early

    async def _outcome(self, attempt: OpenAttempt, record: Mapping[str, Any]) -> AttemptOutcome:
        family = str(attempt.pinned.get("family", ""))
        klass = TokenClass(attempt.pinned.get("write_class", TokenClass.CACHE_WRITE_5M))
        units = attempt.pinned.get("rerank_units")
        if isinstance(units, int) and record.get("errorCode") is None:
            reading: normalise.Reading = normalise.from_rerank_units(units)
        else:
            reading = normalise.from_invocation_log(record, family, klass)
        outcome = AttemptOutcome(
            call=attempt.call,
            attempt=attempt.attempt,
            end="unknown",
            # What failed upstream was nobody's answer, whether or not its worker lived to see it.
            charged=attempt.charged and record.get("errorCode") is None,
            service_tier=str(attempt.pinned.get("tier", STANDARD_TIER)),
            upstream_request_id=str(record.get("requestId", ""))[:128] or None,
            raw=reading.raw,
            normaliser_version=reading.version,
            flags=frozenset({TRUED_UP}),
        )
        if isinstance(reading, normalise.Quarantined):
            return replace(outcome, quarantined=reading.reason)
        usage, flags = reading.usage, outcome.flags | reading.flags
        if normalise.FAILED not in reading.flags:
            looked = guardrail.estimated(attempt.pinned, usage.out)
            usage, flags = usage + looked, flags | ({ESTIMATED} if looked.items() else set())
        if not usage.items():
            return replace(outcome, end="released", rated=NOTHING)
        return await self._rated(attempt, replace(outcome, flags=flags), usage)

    async def _rated(
        self, attempt: OpenAttempt, outcome: AttemptOutcome, usage: Usage
    ) -> AttemptOutcome:
        """Settled at the prices pinned at admission; quarantined where one is missing."""
        try:
            edition = await self._directory.edition(attempt.price_version)
            rated = rate(
                usage,
                edition.of(attempt.price_key),
                tier=outcome.service_tier,
                markup=attempt.markup,
                guardrails=edition.guardrails,
            )
        except Unpriced as problem:
            return replace(outcome, usage=usage, quarantined=f"unpriced: {problem}")
        return replace(outcome, end="settled", usage=usage, rated=rated)


def _tell_of_skipped(log: str, file: str, lines: int) -> None:
    if lines:
        _log.warning(
            "alert: %d lines of log file %s (%s) are no records: what they told of, if anything,"
            " is written off after its hold", lines, file, log,
        )  # fmt: skip


def attempt_of(record: Mapping[str, Any]) -> AttemptKey | None:
    """The attempt that a log record names in its `requestMetadata`; None for calls not ours."""
    metadata = record.get("requestMetadata")
    if not isinstance(metadata, Mapping):
        return None
    numbers = _ATTEMPT.fullmatch(str(metadata.get("att")))
    if numbers is None or max(call := int(numbers[1]), attempt := int(numbers[2])) > NUMBER_MAX:
        return None
    tenant = metadata.get("tid")
    if not isinstance(tenant, str) or len(tenant) > TENANT_CHARS_MAX or not tenant.isprintable():
        return None
    try:
        return tenant, uuid.UUID(str(metadata.get("rid"))), call, attempt
    except ValueError:
        return None
