"""Batch inference jobs: what was asked for, how far each is, kept over restarts.

A job is `<data>/batch-jobs/<id>.json`; what it has made so far is not kept, a job that a crash cut
short runs again from its input and bills no record twice (`batch_runner`).
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import orjson

from bedrock_emulator.engine import errors
from bedrock_emulator.engine.types import EmulatedError
from bedrock_emulator.files import reading_again, replace_file
from bedrock_emulator.regions import bedrock_arn

KIND = "model-invocation-job"
ENDED = frozenset({"Completed", "PartiallyCompleted", "Failed", "Stopped", "Expired"})
JOBS_MAX = 10_000  # in one emulator
_ID_CHARS = 12
_ID_ALPHABET = "abcdefghijklmnopqrstuvwxyz0123456789"


@dataclass(frozen=True, slots=True)
class WantedJob:
    """What a CreateModelInvocationJob asks for."""

    name: str
    role_arn: str
    model_id: str
    operation: str  # Converse or InvokeModel
    input_uri: str
    output_uri: str
    timeout_h: int
    tags: Mapping[str, str]
    token: str | None


@dataclass(frozen=True, slots=True)
class Job:
    id: str
    arn: str
    account: str
    region: str
    wanted: WantedJob
    caller: str  # the ARN that made it
    status: str
    submitted_at: str
    changed_at: str
    ended_at: str | None = None
    message: str | None = None
    counts: Mapping[str, int] | None = None  # total, processed, success, error

    def to_document(self) -> dict[str, Any]:
        """As GetModelInvocationJob answers."""
        wanted = self.wanted
        document: dict[str, Any] = {
            "jobArn": self.arn,
            "jobName": wanted.name,
            "modelId": wanted.model_id,
            "roleArn": wanted.role_arn,
            "status": self.status,
            "submitTime": self.submitted_at,
            "lastModifiedTime": self.changed_at,
            "inputDataConfig": {
                "s3InputDataConfig": {"s3InputFormat": "JSONL", "s3Uri": wanted.input_uri}
            },
            "outputDataConfig": {"s3OutputDataConfig": {"s3Uri": wanted.output_uri}},
            "timeoutDurationInHours": wanted.timeout_h,
            "modelInvocationType": wanted.operation,
        }
        optional = {
            "clientRequestToken": wanted.token,
            "endTime": self.ended_at,
            "message": self.message,
        }
        for name, count in (self.counts or {}).items():
            document[f"{name}RecordCount"] = count
        return document | {name: value for name, value in optional.items() if value is not None}


class BatchJobs:
    """Every job of every account; changes are durable when they return."""

    def __init__(self, folder: Path, now: Callable[[], datetime]) -> None:
        self._folder = folder
        self._now = now
        self._jobs: dict[str, Job] = {}
        for path in sorted(folder.glob("*.json")):
            with reading_again(path):
                document = orjson.loads(path.read_bytes())
                wanted = WantedJob(**document.pop("wanted"))
                self._jobs[path.stem] = Job(wanted=wanted, **document)

    def create(self, account: str, region: str, caller: str, wanted: WantedJob) -> Job:
        """A new job, or the one that the same request made before. Raises EmulatedError."""
        for job in self._jobs.values():
            same = (job.account, job.region, job.wanted.token) == (account, region, wanted.token)
            if wanted.token is not None and same:
                if job.wanted == wanted:
                    return job
                raise EmulatedError(
                    "ConflictException",
                    400,
                    "The client request token was used with other parameters.",
                )
        if len(self._jobs) >= JOBS_MAX:
            raise EmulatedError("ServiceQuotaExceededException", 400, "There are too many jobs.")
        job_id = "".join(secrets.choice(_ID_ALPHABET) for _ in range(_ID_CHARS))
        arn = bedrock_arn(region, account, f"{KIND}/{job_id}")
        at = self._instant()
        return self._keep(Job(job_id, arn, account, region, wanted, caller, "Submitted", at, at))

    def find(self, account: str, region: str, job_id: str) -> Job:
        job = self._jobs.get(job_id)
        if job is None or (job.account, job.region) != (account, region):
            raise errors.not_found(f"Could not find the model invocation job {job_id}.")
        return job

    def all_of(self, account: str, region: str) -> list[Job]:
        """In no order."""
        return [j for j in self._jobs.values() if (j.account, j.region) == (account, region)]

    def unfinished(self) -> list[Job]:
        return [job for job in self._jobs.values() if job.status not in ENDED]

    def status(self, job: Job) -> str:
        """As it is by now: a job may have been stopped meanwhile."""
        return self._jobs[job.id].status

    def change(
        self,
        job: Job,
        status: str,
        *,
        message: str | None = None,
        counts: Mapping[str, int] | None = None,
    ) -> Job:
        at = self._instant()
        return self._keep(
            replace(
                self._jobs[job.id],
                status=status,
                changed_at=at,
                ended_at=at if status in ENDED else None,
                message=message,
                counts=counts,
            )
        )

    def overdue(self, job: Job) -> bool:
        """Whether the job's time is over."""
        begun = datetime.fromisoformat(job.submitted_at.replace("Z", "+00:00"))
        return self._now() > begun + timedelta(hours=job.wanted.timeout_h)

    def _instant(self) -> str:
        return self._now().isoformat(timespec="milliseconds").replace("+00:00", "Z")

    def _keep(self, job: Job) -> Job:
        replace_file(self._folder / f"{job.id}.json", orjson.dumps(asdict(job)))
        self._jobs[job.id] = job
        return job
