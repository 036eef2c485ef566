"""Where a tenant is answered: the pool's account or one of its own, and in which regions."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal
from urllib.parse import urlsplit

from tenantry.domain.masks import without_userinfo
from tenantry.domain.region import is_region

PlacementKind = Literal["pool", "silo"]
NO_ACCOUNT: Final = "000000000000"  # of a fresh deployment's pool, until it is told one
_S3 = re.compile(r"s3://(?P<bucket>[a-z0-9][a-z0-9.-]{1,61}[a-z0-9])(?:/(?P<prefix>.*))?")
_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_ACCOUNT: Final = re.compile(r"[0-9]{12}")


def check_endpoint(url: str) -> None:
    """Raises `ValueError` where it is no http or https URL of a host alone; repeats nothing of it,
    since a user in it would be a secret."""
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable or re.search(r"[^!-~]", url):
        raise ValueError("must be an http or https URL")
    if "@" in parts.netloc or parts.path not in ("", "/") or parts.query or parts.fragment:
        raise ValueError("must be a URL of a host alone, with no user and no path")


def is_on_this_machine(url: str) -> bool:
    """Whether nobody else can answer there: a loopback address, or the name of one."""
    host = urlsplit(url).hostname or ""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def s3_location(url: str) -> tuple[str, str]:
    """Bucket and prefix of `s3://bucket/prefix`. Raises `ValueError`."""
    found = _S3.fullmatch(url)
    if found is None or not url.isprintable():
        raise ValueError(f"{without_userinfo(url)[:200]!r} is no S3 location: s3://bucket/prefix")
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

    def check(self) -> None:
        """Raises `ValueError` that names the field which nothing could be called with."""
        if _ID.fullmatch(self.id) is None:
            raise ValueError(
                "`id` must be 1 to 64 of A-Z, a-z, 0-9, '.', '_' and '-',"
                " and begin with a letter or digit"
            )
        if _ACCOUNT.fullmatch(self.account) is None:
            raise ValueError("`account` must be 12 digits")
        if not is_region(self.region):
            raise ValueError("`region` must be an AWS region such as eu-central-1")
        if not all(is_region(region) for region in self.regions):
            raise ValueError("`regions` must be AWS regions such as eu-central-1")
        if self.regions and self.region not in self.regions:
            raise ValueError("`region` must be one of `regions`, which are all that may be used")
        if self.endpoint_url is not None:
            try:
                check_endpoint(self.endpoint_url)
            except ValueError as wrong:
                raise ValueError(f"`endpoint_url` {wrong}") from None
        if self.invocation_log is not None:
            try:
                s3_location(self.invocation_log)
            except ValueError as wrong:
                raise ValueError(f"`invocation_log`: {wrong}") from None
