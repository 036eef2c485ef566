"""A stand-in for AWS KMS and S3 as a process of its own: `roto-server`, in memory, on loopback.

Its KMS enforces the encryption context, refuses what was changed or belongs to another key, and
does not use keys that are disabled or about to be deleted; its S3 has conditional writes and
versions. It does not check who asks: rights are AWS's own matter.
"""

from __future__ import annotations

import contextlib
import socket
import subprocess
import sysconfig
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
from tests.support.ports import free_port

ACCOUNT = "123456789012"
REGION = "eu-central-1"
KEYS = {"aws_access_key_id": "AKIATEST", "aws_secret_access_key": "a-secret"}
START_TIMEOUT_S = 20.0


@dataclass(frozen=True, slots=True)
class AwsServer:
    url: str

    def client(self, service: str, region: str = REGION) -> Any:
        return boto3.client(service, endpoint_url=self.url, region_name=region, **KEYS)

    def kms_key(self, *, made_for: str | None = None) -> str:
        """The ARN of a new KMS key; `made_for`: with the tags of a tenant's own, by this id."""
        tags = {"tenantry:managed": "true", "tenantry:kms-key": made_for} if made_for else {}
        given = [{"TagKey": tag, "TagValue": value} for tag, value in tags.items()]
        arn: str = self.client("kms").create_key(Tags=given)["KeyMetadata"]["Arn"]
        return arn

    def state_of(self, arn: str) -> str:
        state: str = self.client("kms").describe_key(KeyId=arn)["KeyMetadata"]["KeyState"]
        return state

    def bucket(self, name: str, *, versions: bool = False) -> str:
        """The name of a new bucket."""
        s3 = self.client("s3")
        s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": REGION})
        if versions:
            status = {"Status": "Enabled"}
            s3.put_bucket_versioning(Bucket=name, VersioningConfiguration=status)
        return name

    def environment(self) -> Mapping[str, str]:
        """What points an AWS client at it."""
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ALLOW_HTTP": "true",
            "AWS_ACCESS_KEY_ID": KEYS["aws_access_key_id"],
            "AWS_SECRET_ACCESS_KEY": KEYS["aws_secret_access_key"],
            "AWS_REGION": REGION,
        }


@contextlib.contextmanager
def aws_server(account: str = ACCOUNT) -> Iterator[AwsServer]:
    port = free_port()
    binary = Path(sysconfig.get_path("scripts"), "roto-server")
    command = [str(binary), "--ephemeral", "--port", str(port), "--account-id", account]
    with subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL
    ) as process:
        try:
            _await(port, process)
            yield AwsServer(f"http://127.0.0.1:{port}")
        finally:
            process.terminate()


def _await(port: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    while True:
        assert process.poll() is None, "the AWS stand-in ended at once"
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        assert time.monotonic() < deadline, "the AWS stand-in does not listen"
        time.sleep(0.02)
