"""The control plane's batch jobs: reads what is asked, as Bedrock checks it, and answers."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bedrock_emulator.batch_jobs import ENDED, BatchJobs, Job, WantedJob
from bedrock_emulator.batch_runner import Buckets, RunningJobs
from bedrock_emulator.engine import errors
from bedrock_emulator.engine.catalogue import ArnLookup, resolve
from bedrock_emulator.engine.types import EmulatedError
from bedrock_emulator.wire.batch_listing import JobPage
from bedrock_emulator.wire.profile_requests import given_tags

TIMEOUT_MIN_H, TIMEOUT_MAX_H = 24, 168
# As in the service model of `bedrock`, botocore 1.44.5, in patterns that never look back.
_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9+.-]{0,62}")
_ROLE = re.compile(r"arn:aws(?:-[a-z-]{1,16})?:iam::[0-9]{12}:role/.{1,512}")
_TOKEN = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9-]{0,255}")
_OPERATIONS = ("InvokeModel", "Converse")


@dataclass(frozen=True, slots=True)
class BatchRequests:
    """Create, get, list and stop, for one account and region at a time."""

    jobs: BatchJobs
    running: RunningJobs
    buckets: Buckets
    lookup: ArnLookup

    def create(self, account: str, region: str, caller: str, document: Mapping[str, Any]) -> Any:
        wanted = self._wanted(document)
        resolved = resolve(wanted.model_id, account, region, self.lookup)
        model = resolved.model
        if model.reranks or (model.embeds and wanted.operation == "Converse"):
            raise errors.validation("The provided model doesn't support this operation.")
        before = len(self.jobs.all_of(account, region))
        job = self.jobs.create(account, region, caller, wanted)
        if len(self.jobs.all_of(account, region)) > before:
            self.running.start(job)
        return {"jobArn": job.arn}

    def get(self, account: str, region: str, identifier: str) -> Any:
        return self._find(account, region, identifier).to_document()

    def list(self, account: str, region: str, raw_query: str) -> Any:
        return JobPage(raw_query).answer(self.jobs.all_of(account, region))

    def stop(self, account: str, region: str, identifier: str) -> Any:
        job = self._find(account, region, identifier)
        if job.status in ENDED:
            raise EmulatedError("ConflictException", 400, "The job has ended.")
        self.jobs.change(job, "Stopping")
        return {}

    def _find(self, account: str, region: str, identifier: str) -> Job:
        return self.jobs.find(account, region, identifier.rpartition("/")[2])

    def _wanted(self, document: Mapping[str, Any]) -> WantedJob:
        operation = document.get("modelInvocationType", "InvokeModel")
        if operation not in _OPERATIONS:
            raise errors.validation(f"modelInvocationType must be one of {', '.join(_OPERATIONS)}.")
        hours = document.get("timeoutDurationInHours", TIMEOUT_MIN_H)
        if type(hours) is not int or not TIMEOUT_MIN_H <= hours <= TIMEOUT_MAX_H:
            raise errors.validation(
                f"timeoutDurationInHours must be from {TIMEOUT_MIN_H} to {TIMEOUT_MAX_H}."
            )
        token = document.get("clientRequestToken")
        return WantedJob(
            name=_matching(document, "jobName", _NAME),
            role_arn=_matching(document, "roleArn", _ROLE),
            model_id=_matching(document, "modelId", re.compile(r".{1,2048}")),
            operation=operation,
            input_uri=self._uri(document, "inputDataConfig", "s3InputDataConfig"),
            output_uri=self._uri(document, "outputDataConfig", "s3OutputDataConfig"),
            timeout_h=hours,
            tags={} if document.get("tags") is None else given_tags(document),
            token=None if token is None else _matching(document, "clientRequestToken", _TOKEN),
        )

    def _uri(self, document: Mapping[str, Any], config: str, member: str) -> str:
        outer = document.get(config)
        inner = outer.get(member) if isinstance(outer, dict) else None
        uri = inner.get("s3Uri") if isinstance(inner, dict) else None
        if isinstance(inner, dict) and inner.get("s3InputFormat") not in (None, "JSONL"):
            raise errors.validation(f"{config}.{member}.s3InputFormat must be JSONL.")
        try:
            self.buckets.path(str(uri))
        except ValueError:
            raise errors.validation(f"{config}.{member}.s3Uri is no S3 URI.") from None
        return str(uri)


def _matching(document: Mapping[str, Any], name: str, pattern: re.Pattern[str]) -> str:
    value = document.get(name)
    if not isinstance(value, str) or not pattern.fullmatch(value):
        raise errors.validation(f"Value at '{name}' failed to satisfy constraint: a valid {name}.")
    return value
