"""How batches end: asked for by a round, read from their output, each record settled once.

Owns: the way of a job from a note to its end, whoever took it in and whatever died since. A record
that was answered is rated at the batch tier by the prices pinned at its admission; one that failed,
or was never reached, is a row of zero. Invariants: a record is posted once, because an attempt ends
once; a job is over only when every record has an end; output that does not account for every
record that Bedrock says it processed gives nothing back: once their hold is over its records are
written off, and the job ends; so does one whose documents make no sense, whatever fault that is.
Nobody else writes off records of a job that has not ended, but an operator: what cannot be reached
may still hold answers. What one
job finds away holds back no other: a bucket that lets wait in vain is waited for once a round,
whoever else needs it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from tenantry.application import batch_job
from tenantry.domain.batch import (
    CODE_CHARACTERS_MAX,
    Answered,
    Failed,
    printable,
    read_record,
    records_uri,
    with_words,
)
from tenantry.domain.errors import NotFound, Unavailable
from tenantry.domain.normalise import Quarantined
from tenantry.domain.price import BATCH_TIER, Unpriced
from tenantry.domain.rating import rate
from tenantry.domain.usage import TokenClass
from tenantry.ports.admission import AttemptOutcome, Settlement
from tenantry.ports.batch import (
    BatchBook,
    BatchJob,
    BatchLedger,
    BatchState,
    Buckets,
    OpenJob,
)
from tenantry.ports.directory import Directory
from tenantry.ports.ledger import OpenAttempt
from tenantry.ports.model import Failure, FailureKind, ModelPort, Upstream

JOBS_A_PAGE = 100
GIVEN_UP_S = (batch_job.TIMEOUT_H + 1) * 3_600  # by when Bedrock has ended every job
HOLD_S = 72 * 3_600  # how long a record is waited for that nothing will be heard of
PLANNED_MAX_S = 900  # what takes longer to be taken in has been left by its worker
SUBMITTING_MIN_S = 60  # before that its own worker may still be asking
RECORDS_A_POSTING = 500
IN_VAIN_S = 3.0  # a bucket that took longer than that to fail is not waited for again in a round
ENDED = frozenset({"Completed", "PartiallyCompleted", "Failed", "Stopped", "Expired"})
_log = logging.getLogger(__name__)
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class BatchPorts:
    book: BatchBook
    ledger: BatchLedger
    buckets: Buckets
    directory: Directory
    model: ModelPort
    hold_s: int = HOLD_S


class _Away(Exception):
    """What this job needs is out of reach; the others may not need it."""


class _BucketsOfARound:
    """`Buckets` of which each that does not answer is waited for once. What denies one thing, and
    says so, may give another.
    """

    def __init__(self, buckets: Buckets) -> None:
        self._buckets = buckets
        self._away: set[tuple[str, ...]] = set()

    async def put(self, upstream: Upstream, uri: str, data: bytes) -> None:
        await self._once("put", upstream, uri, lambda: self._buckets.put(upstream, uri, data))

    async def get(self, upstream: Upstream, uri: str) -> bytes:
        return await self._once("get", upstream, uri, lambda: self._buckets.get(upstream, uri))

    async def delete(self, upstream: Upstream, uri: str) -> None:
        await self._once("delete", upstream, uri, lambda: self._buckets.delete(upstream, uri))

    async def _once(
        self, what: str, upstream: Upstream, uri: str, work: Callable[[], Awaitable[T]]
    ) -> T:
        bucket = uri.removeprefix("s3://").partition("/")[0]
        where = (what, upstream.account, upstream.region, bucket)
        if where in self._away:
            raise Unavailable("The bucket could not be reached a moment ago.")
        loop = asyncio.get_running_loop()
        begun = loop.time()
        try:
            return await work()
        except Unavailable:
            if loop.time() - begun >= IN_VAIN_S:
                self._away.add(where)
            raise


async def settle_batches(ports: BatchPorts) -> int:
    """One round over the jobs that have not ended; returns how many ended. Idempotent. Raises
    `Unavailable` where the database is away."""
    ports = replace(ports, buckets=_BucketsOfARound(ports.buckets))
    ended, last = 0, None
    while page := await ports.book.open_jobs(last, JOBS_A_PAGE):
        for found in page:
            ended += await _advance_alone(ports, found)
        last = page[-1].job
    return ended


async def _advance_alone(ports: BatchPorts, found: OpenJob) -> bool:
    try:
        return await _advance(ports, found)
    except Unavailable:
        raise
    except _Away as problem:
        _log.warning("alert: batch %s waits: %s", found.job.request_id, problem)
    except Exception as fault:  # of one job, which must not hold back the others
        _log.exception("batch %s cannot be advanced", found.job.request_id)
        return await _end_by_fault(ports, found, fault)
    return False


async def _end_by_fault(ports: BatchPorts, found: OpenJob, fault: Exception) -> bool:
    """A fault that comes again in each round shall not keep the job open for ever."""
    try:
        return await _end_if_given_up(ports, found, f"cannot be read: {type(fault).__name__}")
    except Unavailable:
        raise
    except Exception:
        _log.exception("batch %s cannot be ended", found.job.request_id)
        return False


async def _advance(ports: BatchPorts, found: OpenJob) -> bool:
    job = found.job
    if job.state == "planned":
        if found.age_s < PLANNED_MAX_S:
            return False
        if not await ports.book.advance(job, "refused", message="left"):
            return False
        await _give_back(ports, job, "never left", range(job.records))
        return True
    if job.state == "submitting":
        return found.age_s >= SUBMITTING_MIN_S and await _submit(ports, found)
    reply = await _needed(batch_job.ask(ports.model, job))
    if isinstance(reply, Failure):
        said = with_words("never told its end", reply.message)
        _log.warning("batch %s: its job cannot be asked for: %s", job.request_id, said)
        # No such job, it says; anything else may pass, such as rights that are missing.
        is_sure = reply.kind is FailureKind.REFUSED and reply.status in (400, 404)
        return await _end_if_given_up(ports, found, said, is_sure=is_sure)
    document = reply.document if isinstance(reply.document, dict) else {}
    status = printable(document.get("status"))
    if status not in ENDED:
        return await _end_if_given_up(ports, found, f"never ended: {status}")
    return await _settle(ports, found, document)


async def _submit(ports: BatchPorts, found: OpenJob) -> bool:
    job = found.job
    if not found.waits:  # a job that is made now would answer nobody
        await _forget_input(ports, found)
        return await ports.book.advance(job, "refused", message="never taken in by Bedrock")
    result = await _needed(batch_job.create(ports.model, job))
    if isinstance(result, Failure):
        if result.kind is not FailureKind.REFUSED:
            return False
        why = printable(result.error_type or "refused")[:CODE_CHARACTERS_MAX]
        await _give_back(ports, job, why, range(job.records))
        await _forget_input(ports, found)
        return await _end(ports, job, "refused", with_words("refused", result.message))
    arn = batch_job.arn_of(result)
    if arn is not None:
        await ports.book.advance(job, "running", job_arn=arn)
    return False


async def _settle(ports: BatchPorts, found: OpenJob, document: dict[str, Any]) -> bool:
    job, status = found.job, str(document["status"])
    why = None if status == "Completed" else document.get("message")
    try:
        output = await _output(ports, job)
    except _Away as problem:
        if not _given_up(found):
            raise
        message = with_words(f"{status}: no output was read: {problem}", why)
        return await _end_if_given_up(ports, found, message, is_sure=False)
    lines = [line for line in output.split(b"\n") if line.strip()]
    seen: dict[int, bool] = {}
    for first in range(0, len(lines), RECORDS_A_POSTING):
        seen = await _post(ports, job, lines[first : first + RECORDS_A_POSTING]) | seen
    answered = sum(seen.values())
    processed = _processed(document, job.records)
    if processed > len(seen):
        told = f"processed {processed} records, and its output tells of {len(seen)}"
        _log.warning("alert: batch %s %s", job.request_id, told)
        message = with_words(f"{status}: {told}", why)
        return await _end_if_given_up(ports, found, message, answered)
    missing = [call for call in range(job.records) if call not in seen]
    await _give_back(ports, job, status, missing)
    await _forget_input(ports, found)
    message = f"{status}: {len(seen)} of {job.records} records, {answered} answered"
    return await _end(ports, job, "settled", with_words(message, why), answered)


def _processed(document: dict[str, Any], records: int) -> int:
    """How many records Bedrock says that it processed: all, where what it says is no number."""
    said = document.get("processedRecordCount")
    if said is None:
        return 0
    return min(said, records) if type(said) is int and said >= 0 else records


async def _output(ports: BatchPorts, job: BatchJob) -> bytes:
    assert job.job_arn is not None, "a job that runs has an ARN"
    uri = records_uri(job.output_uri, job.job_arn, job.input_uri)
    try:
        return await _needed(ports.buckets.get(job.upstream, uri))
    except NotFound:
        return b""


def _given_up(found: OpenJob) -> bool:
    """Nothing is held for it any more, and whatever it did is done."""
    return not found.waits and found.age_s >= GIVEN_UP_S


async def _end_if_given_up(
    ports: BatchPorts, found: OpenJob, message: str, answered: int = 0, *, is_sure: bool = True
) -> bool:
    """`is_sure`: nothing more will be heard of its records, so they are written off in time."""
    if not _given_up(found):
        if not is_sure or found.age_s < max(GIVEN_UP_S, ports.hold_s):
            return False
        job = found.job
        ended = await ports.ledger.give_up_request(job.tenant_id, job.request_id)
        _log.warning("alert: batch %s: %d records were written off", job.request_id, ended)
        found = replace(found, waits=False)
    await _forget_input(ports, found)
    return await _end(ports, found.job, "settled", message, answered)


async def _end(
    ports: BatchPorts, job: BatchJob, to: BatchState, message: str, answered: int = 0
) -> bool:
    return await ports.book.advance(job, to, message=printable(message), answered=answered)


async def _needed(work: Awaitable[T]) -> T:
    """What lies outside of the database, where an outage is this job's alone."""
    try:
        return await work
    except Unavailable as problem:
        raise _Away(problem.message) from problem


async def _post(ports: BatchPorts, job: BatchJob, lines: Sequence[bytes]) -> dict[int, bool]:
    """Posts what the lines say of records; returns which they are, and whether it is an answer."""
    # Family and write class are pinned, and the same for all records of one model.
    told: dict[int, bytes] = {}
    answered: dict[int, bool] = {}
    for line in lines:
        found = read_record(line, job.operation, "", TokenClass.CACHE_WRITE_5M)
        if found is not None and found.call < job.records and found.call not in told:
            told[found.call] = line
            answered[found.call] = isinstance(found, Answered)
    attempts = {a.call: a for a in await ports.ledger.find_open(_keys(job, list(told)))}
    outcomes = [
        await _read(ports.directory, job, attempt, told[call]) for call, attempt in attempts.items()
    ]
    try:
        await _posted(ports, job, outcomes)
    except Unavailable:
        raise
    except Exception:  # of one record, which must not hold back the others
        _log.exception("batch %s: records are posted one by one", job.request_id)
        for outcome in outcomes:
            await _posted_alone(ports, job, outcome)
    return answered


async def _posted_alone(ports: BatchPorts, job: BatchJob, outcome: AttemptOutcome) -> None:
    try:
        await _posted(ports, job, [outcome])
    except Unavailable:
        raise
    except Exception:
        await _posted(ports, job, [_unreadable(outcome)])


async def _read(
    directory: Directory, job: BatchJob, attempt: OpenAttempt, line: bytes
) -> AttemptOutcome:
    """What becomes of a record; one that makes no sense is kept for a person to look at."""
    try:
        family = str(attempt.pinned.get("family", ""))
        klass = TokenClass(attempt.pinned.get("write_class", TokenClass.CACHE_WRITE_5M))
        record = read_record(line, job.operation, family, klass)
        assert record is not None, "it was read a moment ago"
        return await _outcome(directory, attempt, record)
    except Unavailable:
        raise
    except Exception:
        _log.exception("batch %s: record %d cannot be read", job.request_id, attempt.call)
        return _unreadable(attempt)


def _unreadable(of: OpenAttempt | AttemptOutcome) -> AttemptOutcome:
    return AttemptOutcome(
        of.call,
        of.attempt,
        "unknown",
        charged=of.charged,
        service_tier=BATCH_TIER,
        quarantined="its record of the batch's output cannot be kept",
    )


async def _outcome(
    directory: Directory, attempt: OpenAttempt, record: Answered | Failed
) -> AttemptOutcome:
    outcome = AttemptOutcome(
        attempt.call,
        attempt.attempt,
        "released",
        charged=attempt.charged,
        service_tier=BATCH_TIER,
    )
    if isinstance(record, Failed):
        return replace(outcome, charged=False, error=record.code)
    reading = record.reading
    outcome = replace(outcome, raw=reading.raw, normaliser_version=reading.version)
    if isinstance(reading, Quarantined):
        return replace(outcome, end="unknown", quarantined=reading.reason)
    outcome = replace(outcome, usage=reading.usage, flags=reading.flags)
    try:
        edition = await directory.edition(attempt.price_version)
        price = edition.of(attempt.price_key)
        rated = rate(reading.usage, price, tier=BATCH_TIER, markup=attempt.markup)
    except Unpriced as problem:
        return replace(outcome, end="unknown", quarantined=f"unpriced: {problem}")
    return replace(outcome, end="settled", rated=rated)


async def _give_back(ports: BatchPorts, job: BatchJob, why: str, calls: Sequence[int]) -> None:
    """Rows of zero for records that used nothing."""
    for first in range(0, len(calls), RECORDS_A_POSTING):
        some = calls[first : first + RECORDS_A_POSTING]
        found = await ports.ledger.find_open(_keys(job, some))
        outcomes = [
            AttemptOutcome(
                a.call, a.attempt, "released", charged=False, service_tier=BATCH_TIER, error=why
            )
            for a in found
        ]
        await _posted(ports, job, outcomes)


async def _posted(ports: BatchPorts, job: BatchJob, outcomes: Sequence[AttemptOutcome]) -> None:
    if outcomes:
        settlement = Settlement(job.request_id, job.tenant_id, tuple(outcomes), final=False)
        await ports.ledger.post(settlement)


async def _forget_input(ports: BatchPorts, found: OpenJob) -> None:
    """What cannot be deleted is tried again until the job is given up."""
    job = found.job
    try:
        await _needed(ports.buckets.delete(job.upstream, job.input_uri))
    except _Away as problem:
        if not _given_up(found):
            raise
        _log.warning(
            "alert: batch %s has ended, and %s is still there: %s",
            job.request_id, job.input_uri, problem,
        )  # fmt: skip


def _keys(job: BatchJob, calls: Sequence[int]) -> list[tuple[str, Any, int, int]]:
    return [(job.tenant_id, job.request_id, call, 1) for call in calls]
