"""Where a tenant is answered: the pool's account or one of its own, and in which regions."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

PlacementKind = Literal["pool", "silo"]
_S3 = re.compile(r"s3://(?P<bucket>[a-z0-9][a-z0-9.-]{1,61}[a-z0-9])(?:/(?P<prefix>.*))?")


def s3_location(url: str) -> tuple[str, str]:
    """Bucket and prefix of `s3://bucket/prefix`. Raises `ValueError`."""
    found = _S3.fullmatch(url)
    if found is None or not url.isprintable():
        raise ValueError(f"{url[:200]!r} is no S3 location: s3://bucket/prefix")
    return found["bucket"], (found["prefix"] or "").strip("/")


@dataclass(frozen=True, slots=True)
class Placement:
    """Data, not code: account, regions, how the account's credentials are found, extra profiles.

    `endpoint_url` is None for Amazon Bedrock itself. `inference_profiles` maps the ARN of an
    application inference profile or provisioned model to the catalogue's model id.
    `invocation_log` is where the account's log is delivered, `s3://bucket/prefix`; None: where the
    settings say, or in the account's own folder.
    Batches need a bucket of the account, `batch_s3_uri`, and the role under which Bedrock reads and
    writes it.
    """

    id: str
    kind: PlacementKind
    account: str  # 12 digits
    region: str  # where calls go unless the request names another that is allowed
    regions: frozenset[str] = frozenset()  # all regions that this placement can use
    endpoint_url: str | None = None
    inference_profiles: Mapping[str, str] = field(default_factory=dict)
    kms_key: Literal["shared", "own"] = "shared"
    invocation_log: str | None = None
    batch_s3_uri: str | None = None  # s3://<bucket>/<prefix>
    batch_role_arn: str | None = None
