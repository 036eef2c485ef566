"""What the conformance suite is held against: the emulator, or Amazon Bedrock itself.

Both are reached through unmodified boto3. Against AWS a run costs a few cents.
"""

from __future__ import annotations

import gzip
import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any, Protocol

from tests.support.emulator import Emulator

TARGET_VARIABLE = "BEDROCK_CONFORMANCE_TARGET"  # `emulator` (the default) or `aws`
DEFAULT_REGION = "us-east-1"
LOG_PATIENCE_S = 900.0  # AWS delivers most records within a few minutes
LOG_POLL_S = 15.0


class Target(Protocol):
    region: str

    def client(self, service: str, **config: Any) -> Any:
        """A boto3 client with the target's own credentials; nothing is sent twice."""

    def stranger(self) -> Any:
        """A `bedrock-runtime` client whose access key nobody knows."""

    def logged(self, request_id: str) -> dict[str, Any]:
        """The invocation log's record of a request; waits for it."""


class EmulatorTarget:
    region = DEFAULT_REGION

    def __init__(self, emulator: Emulator) -> None:
        self._emulator = emulator

    def client(self, service: str, **config: Any) -> Any:
        return self._emulator.client(service, **config)

    def stranger(self) -> Any:
        return _stranger(self.region, self._emulator.url)

    def logged(self, request_id: str) -> dict[str, Any]:
        [record] = [r for r in self._emulator.logged() if r["requestId"] == request_id]
        return record


class AwsTarget:
    """Amazon Bedrock with the credentials and region that boto3 finds."""

    def __init__(self) -> None:
        import boto3

        self._session = boto3.Session()
        self.region: str = self._session.region_name or DEFAULT_REGION

    def has_credentials(self) -> bool:
        return self._session.get_credentials() is not None

    def client(self, service: str, **config: Any) -> Any:
        from botocore.config import Config

        settings = {"retries": {"total_max_attempts": 1}, **config}
        return self._session.client(service, region_name=self.region, config=Config(**settings))

    def stranger(self) -> Any:
        return _stranger(self.region, None)

    @cached_property
    def log_bucket(self) -> dict[str, str] | None:
        """Bucket and key prefix of the invocation log; None where S3 gets none."""
        answer = self.client("bedrock").get_model_invocation_logging_configuration()
        config: dict[str, str] | None = answer.get("loggingConfig", {}).get("s3Config")
        return config

    def logged(self, request_id: str) -> dict[str, Any]:
        started = datetime.now(UTC)
        deadline = time.monotonic() + LOG_PATIENCE_S
        while time.monotonic() < deadline:
            for record in self._records(started):
                if record["requestId"] == request_id:
                    return record
            time.sleep(LOG_POLL_S)
        raise TimeoutError(f"no record of {request_id} came in {LOG_PATIENCE_S} s")

    def _records(self, started: datetime) -> Iterator[dict[str, Any]]:
        assert self.log_bucket is not None
        account = self.client("sts").get_caller_identity()["Account"]
        store, bucket = self.client("s3"), self.log_bucket["bucketName"]
        root = self.log_bucket.get("keyPrefix", "").strip("/")
        folder = f"AWSLogs/{account}/BedrockModelInvocationLogs/{self.region}"
        for hour in {started, started - timedelta(hours=1), datetime.now(UTC)}:
            prefix = f"{root}/{folder}/{hour:%Y/%m/%d/%H}/".lstrip("/")
            pages = store.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
            for entry in (entry for page in pages for entry in page.get("Contents", ())):
                if (
                    entry["LastModified"] < started - timedelta(minutes=5)
                    or "/data/" in entry["Key"]
                ):
                    continue
                content = store.get_object(Bucket=bucket, Key=entry["Key"])["Body"].read()
                yield from map(json.loads, gzip.decompress(content).splitlines())


def _stranger(region: str, url: str | None) -> Any:
    import boto3
    from botocore.config import Config

    return boto3.Session().client(
        "bedrock-runtime",
        region_name=region,
        endpoint_url=url,
        aws_access_key_id="AKIAIOSFODNN7EXAMPLE",  # the example of AWS's own documentation
        aws_secret_access_key="nobody",
        config=Config(retries={"total_max_attempts": 1}, signature_version="v4"),
    )
