"""Reading the accounts' invocation logs, and writing off what they do not tell of.

Owns: how far back each log is read, and which logs must have been read before an attempt of an
account and region is written off. Invariants: an attempt is written off only after a whole reading,
begun when it was in doubt and its hold was over, of every log that its account is logged to in its
region, or after all logs said that they are none of its; a log that cannot be asked holds back
those that are known to be logged to it, and those that nobody else says to log. What began before
a log was set up no more is told of there: it waits until that was read, or for an operator's word,
as does what had a log and has none any more.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from tenantry.application.true_up import LogRead, TrueUp
from tenantry.ports.ledger import LedgerKeeper
from tenantry.ports.log_reading import LOGGED_ON, LogReadings, Reading, Waiting
from tenantry.ports.outbox import PLATFORM, Notice

BACK_MAX = timedelta(days=100)  # what began before is left to an operator's word
CLOCKS_DIFFER = timedelta(hours=1)  # at most, whoever dates a file and who dates an attempt
UNREAD_NOTICE = "platform.log_unread"
NONE_ANY_MORE = "it had a log, and none is set up any more"
GONE = "it is not set up any more, and was not read to its end"
Place = tuple[str, str]  # account, region
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What must be read of one account and region."""

    waiting: Waiting
    logs: frozenset[str]  # by name
    lost: frozenset[str]  # of those that it was logged to: what cannot be read any more
    since: datetime


class LogReader:
    """One for each worker process."""

    def __init__(self, keeper: LedgerKeeper, true_up: TrueUp, readings: LogReadings) -> None:
        self._keeper = keeper
        self._true_up = true_up
        self._readings = readings
        self._turn = asyncio.Lock()
        self._told = frozenset[Place]()  # without a log

    async def read(self, now: datetime, hold: timedelta) -> LogRead:
        """Settles what the logs tell of, and notes how far they were read.

        Each is read from the oldest attempt on that waits for it. Raises `Unavailable`.
        """
        async with self._turn:
            wanted = [
                await self._wanted(each, now, hold) for each in await self._readings.waiting()
            ]
            since: dict[str, datetime] = {}
            for each in wanted:
                for name in each.logs:
                    since[name] = min(each.since, since.get(name, each.since))
            read = await self._true_up.read_logs(now, hold, since)
            for each in wanted:
                await self._note(each, read, now, hold)
            self._tell_of_none(wanted, hold)
            return read

    async def write_off(self, now: datetime, hold: timedelta) -> int:
        """Reads, then ends what no log tells of within the hold; returns how many. Idempotent.
        Raises `Unavailable`."""
        await self.read(now, hold)
        ended = await self._keeper.write_off(now - hold)
        if ended:
            _log.warning("alert: %d attempts were written off: no log record in %s", ended, hold)
        for held in await self._readings.waiting():
            if held.oldest_at < now - hold and held.away_since is not None:
                await self._tell_of_held(held, held.away_since, now)
        return ended

    async def _wanted(self, waiting: Waiting, now: datetime, hold: timedelta) -> _Wanted:
        asked = await self._true_up.asked(waiting.account, waiting.region)
        logs = {name for name, covers in asked.items() if covers}
        away = {name for name, covers in asked.items() if covers is None}
        logs |= away & waiting.logs if logs else away
        over = {n for n, at in waiting.gone.items() if waiting.oldest_at > at + LOGGED_ON}
        lost = (waiting.logs | waiting.gone.keys()) - asked.keys() - over
        oldest = max(waiting.oldest_at, now - BACK_MAX)
        since = min(oldest, now - hold) - CLOCKS_DIFFER
        return _Wanted(waiting, frozenset(logs - over), lost, since)

    async def _note(self, wanted: _Wanted, read: LogRead, now: datetime, hold: timedelta) -> None:
        waiting, logs = wanted.waiting, wanted.logs
        place = waiting.account, waiting.region
        problems = [f"{name}: {GONE}" for name in sorted(wanted.lost)]
        problems += [
            f"{name}: {problem}" for name in sorted(logs) if (problem := read.problem(name, *place))
        ]
        if waiting.logs and not logs - waiting.gone.keys():
            problems, logs = [NONE_ANY_MORE], waiting.logs
        if problems:
            told = "; ".join(problems)
            await self._readings.note_away(*place, logs | wanted.lost, now, told)
            return
        told_from = wanted.since + CLOCKS_DIFFER
        await self._readings.note(Reading(*place, logs, now, told_from, now - hold))

    def _tell_of_none(self, wanted: list[_Wanted], hold: timedelta) -> None:
        none = frozenset(
            (each.waiting.account, each.waiting.region) for each in wanted if not each.logs
        )
        for account, region in sorted(none - self._told):
            _log.warning(
                "no invocation log of account %s in %s is set up: what is unknown in it, and was"
                " not seen in part, is written off after %s",
                account, region, hold,
            )  # fmt: skip
        self._told = none

    async def _tell_of_held(self, held: Waiting, since: datetime, now: datetime) -> None:
        summary = (
            f"{held.attempts} attempts of account {held.account} in {held.region} wait: its"
            f" invocation log cannot be read since {since:%Y-%m-%d %H:%M}Z"
        )
        _log.warning("alert: %s: %s", summary, held.problem)
        body = {
            "summary": summary,
            "account": held.account,
            "region": held.region,
            "attempts": held.attempts,
            "oldest_at": held.oldest_at.astimezone(UTC).isoformat(),
            "since": since.astimezone(UTC).isoformat(),
            "problem": held.problem,
            "at": now.astimezone(UTC).isoformat(),
        }
        once_key = f"{now.astimezone(UTC).date().isoformat()} {held.account} {held.region}"
        await self._readings.tell(Notice(PLATFORM, UNREAD_NOTICE, once_key, body))


def log_facts(waiting: list[Waiting], now: datetime) -> tuple[str, list[str]]:
    """What `doctor` says of them: a line, and a problem for each whose log is away."""
    told, problems = [], []
    for each in waiting:
        if each.away_since is not None:
            state = f"away since {each.away_since.astimezone(UTC):%Y-%m-%d %H:%M}Z"
            if now - each.away_since >= CLOCKS_DIFFER:
                problems.append(
                    f"the invocation log of account {each.account} in {each.region} cannot be read"
                    f" ({each.problem}): {each.attempts} attempts wait for it. Where it is gone for"
                    f" good: tenantry ledger write-off --account {each.account}"
                )
        elif each.read_at is None:
            state = "not read yet"
        else:
            at = f"{each.read_at.astimezone(UTC):%Y-%m-%d %H:%M}Z"
            state = f"read at {at}" if each.logs else "none set up"
        told.append(f"{each.account} {each.region}: {state}, {each.attempts} attempts wait")
    return "; ".join(told) or "nothing waits for one", problems
