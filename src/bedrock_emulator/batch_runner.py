"""Runs batch jobs: records in from a folder that stands for S3, records out, billed at half price.

A record is billed once, whatever happens: all records are answered first, then billed, then the
output appears whole. Who bills again after a crash skips what stands on the bill already. A record
that fails is an error in the output and is not billed. Batch inference writes no invocation log.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import sys
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

import orjson

from bedrock_emulator.batch_jobs import BatchJobs, Job
from bedrock_emulator.bill import Bill, Charge
from bedrock_emulator.engine import errors
from bedrock_emulator.engine.native.openai import created
from bedrock_emulator.engine.types import Answer, Call, EmulatedError, Prepared, TokenUsage
from bedrock_emulator.files import replace_file
from bedrock_emulator.nesting import DEPTH_MAX, too_deep

TIER = "batch"
OPERATION = "CreateModelInvocationJob"
RECORDS_MIN = 100  # Bedrock's default quotas of a job
RECORDS_MAX = 50_000
INPUT_BYTES_MAX = 1_073_741_824
INTERNAL = "The system encountered an unexpected error during processing."
RECORDS_BETWEEN_LOOKS = 16  # whether the job was stopped
_URI = re.compile(r"s3://([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])/([^\x00-\x1f]{1,1024})")


class AnsweringEngine(Protocol):
    """What a job needs of an engine."""

    def prepare(self, call: Call) -> Prepared: ...
    def answer(self, call: Call, prepared: Prepared, usage: TokenUsage | None) -> Answer: ...


class Buckets:
    """S3 as folders: `s3://bucket/key` is `<root>/bucket/key`."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def path(self, uri: str) -> Path:
        """Raises ValueError for what is no object of a bucket."""
        found = _URI.fullmatch(uri)
        if found is None or any(part in ("", ".", "..") for part in found[2].split("/")[:-1]):
            raise ValueError(f"{uri!r} is no object of a bucket")
        if found[2].split("/")[-1] in (".", ".."):
            raise ValueError(f"{uri!r} is no object of a bucket")
        return self._root / found[1] / found[2]


@dataclass(frozen=True, slots=True)
class _Done:
    """One record's line of output, encoded; `answer` None where it failed."""

    record_id: str
    line: bytes
    model: str = ""
    answer: Answer | None = None


@dataclass(slots=True)
class BatchRunner:
    jobs: BatchJobs
    buckets: Buckets
    engine: AnsweringEngine
    executor: Executor | None
    bill: Bill
    now: Callable[[], datetime]
    delay_s: float
    hurry: asyncio.Event = field(default_factory=asyncio.Event)  # set: what waits starts now

    async def run(self, job: Job) -> None:
        """To the job's end; raises nothing that its input can cause."""
        try:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self.delay_s):
                    await self.hurry.wait()
            if self.jobs.status(job) != "Submitted" and self.jobs.status(job) != "InProgress":
                self.jobs.change(job, "Stopped")
                return
            if self.jobs.overdue(job):
                self.jobs.change(job, "Expired")
                return
            self.jobs.change(job, "InProgress")
            lines = await asyncio.to_thread(self._records, job)
            await self._answer_all(job, lines)
        except ValueError as error:
            self.jobs.change(job, "Failed", message=str(error)[:1_000])
        except OSError:  # whose words name this machine's paths
            traceback.print_exc(file=sys.stderr)
            message = f"The output cannot be written to {job.wanted.output_uri}."
            self.jobs.change(job, "Failed", message=message)
        except Exception:  # a fault of the emulator, which must not leave the job under way
            traceback.print_exc(file=sys.stderr)
            self.jobs.change(job, "Failed", message=INTERNAL)

    def _records(self, job: Job) -> list[bytes]:
        uri = job.wanted.input_uri
        path = self.buckets.path(uri)
        try:
            if path.stat().st_size > INPUT_BYTES_MAX:
                raise ValueError("The input is too large.")
            content = path.read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            raise ValueError(f"The input object {uri} does not exist.") from None
        except OSError:  # whose words name this machine's paths
            raise ValueError(f"The input object {uri} cannot be read.") from None
        lines = [line for line in content.split(b"\n") if line.strip()]
        if not RECORDS_MIN <= len(lines) <= RECORDS_MAX:
            raise ValueError(
                f"The number of records must be from {RECORDS_MIN} to {RECORDS_MAX:,}, "
                f"not {len(lines):,}."
            )
        return lines

    async def _answer_all(self, job: Job, lines: list[bytes]) -> None:
        done: list[_Done] = []
        for number, line in enumerate(lines):
            if number % RECORDS_BETWEEN_LOOKS == 0:
                await asyncio.sleep(0)
                if self.jobs.status(job) == "Stopping":
                    break
            if self.executor is None:
                done.append(self._answer(job, number, line))
            else:
                loop = asyncio.get_running_loop()
                done.append(
                    await loop.run_in_executor(self.executor, self._answer, job, number, line)
                )
        await self._bill(job, done)
        counts = {
            "total": len(lines),
            "processed": len(done),
            "success": sum(one.answer is not None for one in done),
            "error": sum(one.answer is None for one in done),
        }
        self._write(job, done, counts)
        stopped = len(done) < len(lines)
        self.jobs.change(job, "Stopped" if stopped else "Completed", counts=counts)

    def _answer(self, job: Job, number: int, line: bytes) -> _Done:
        """Raises nothing: whatever goes wrong with a record is its line, and is not billed."""
        record_id = f"{number:011d}"
        try:
            record = orjson.loads(line)
            record_id = str(record["recordId"]) if "recordId" in record else record_id
            if too_deep(record, line):  # which cannot be repeated in the output
                return _failed(record_id, None, 400, f"Nested deeper than {DEPTH_MAX} levels.")
            body = record["modelInput"]
        except (orjson.JSONDecodeError, KeyError, TypeError, RecursionError):
            return _failed(record_id, None, 400, "The record is malformed.")
        try:
            return self._generated(job, record_id, body)
        except EmulatedError as error:
            return _failed(record_id, record, error.status, error.message)
        except Exception:  # of one record, which must not hold up the others
            traceback.print_exc(file=sys.stderr)
            return _failed(record_id, record, 500, INTERNAL)

    def _generated(self, job: Job, record_id: str, body: Any) -> _Done:
        call = Call(
            operation=job.wanted.operation,  # type: ignore[arg-type]
            model_id=job.wanted.model_id,
            account=job.account,
            region=job.region,
            body=body,
            request_id=f"{job.id}/{record_id}",
        )
        if isinstance(body, dict) and "guardrailConfig" in body:
            raise errors.validation("Batch inference takes no guardrails.")
        prepared = self.engine.prepare(call)
        answer = created(self.engine.answer(call, prepared, None), int(self.now().timestamp()))
        output = {"recordId": record_id, "modelInput": body, "modelOutput": answer.body}
        return _Done(record_id, orjson.dumps(output), prepared.model, answer)

    async def _bill(self, job: Job, done: list[_Done]) -> None:
        known = {record.get("record_id") for record in self.bill.of_job(job.arn)}
        for one in done:
            if one.answer is None or one.record_id in known:
                continue
            self.bill.append(
                Charge(
                    account=job.account,
                    region=job.region,
                    request_id=f"{job.id}/{one.record_id}",
                    operation=OPERATION,
                    model_id=job.wanted.model_id,
                    model=one.model,
                    usage=one.answer.usage,
                    guardrail={},
                    service_tier=TIER,
                    inference_region=one.answer.inference_region,
                    request_metadata=dict(job.wanted.tags),
                    invocation_id=None,
                    error_code=None,
                    timestamp=self.now(),
                    job_arn=job.arn,
                    record_id=one.record_id,
                )
            )
        await self.bill.settled()

    def _write(self, job: Job, done: list[_Done], counts: dict[str, int]) -> None:
        base = job.wanted.output_uri.rstrip("/") + f"/{job.id}"
        name = job.wanted.input_uri.rpartition("/")[2]
        content = b"".join(one.line + b"\n" for one in done)
        replace_file(self.buckets.path(f"{base}/{name}.out"), content)
        manifest = {f"{count}RecordCount": value for count, value in counts.items()}
        answers = [one.answer.usage for one in done if one.answer is not None]
        manifest["inputTokenCount"] = sum(usage.input for usage in answers)
        manifest["outputTokenCount"] = sum(usage.output for usage in answers)
        replace_file(self.buckets.path(f"{base}/manifest.json.out"), orjson.dumps(manifest))


def _failed(record_id: str, record: dict[str, Any] | None, status: int, message: str) -> _Done:
    line = {"recordId": record_id, "error": {"errorCode": status, "errorMessage": message}}
    if record is not None:
        line["modelInput"] = record["modelInput"]
    return _Done(record_id, orjson.dumps(line))


class RunningJobs:
    """The tasks of all jobs under way; those of an earlier start go on."""

    def __init__(self, runner: BatchRunner) -> None:
        self._runner = runner
        self._tasks: set[asyncio.Task[None]] = set()

    def resume(self) -> None:
        for job in self._runner.jobs.unfinished():
            self.start(job)

    def start_all(self) -> int:
        """Starts every job that waits for its delay; returns how many are under way."""
        self._runner.hurry.set()
        self._runner.hurry = asyncio.Event()
        return len(self._tasks)

    def start(self, job: Job) -> None:
        task = asyncio.create_task(self._runner.run(job), name=f"batch {job.id}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """Jobs under way are left to the next start."""
        for task in list(self._cancelled()):
            await asyncio.wait([task])

    def _cancelled(self) -> Iterator[asyncio.Task[None]]:
        for task in self._tasks:
            task.cancel()
            yield task
