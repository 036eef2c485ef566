"""Where a placement's calls go: its own endpoint, or Amazon Bedrock's in its region."""

from __future__ import annotations

import re

from tenantry.adapters.bedrock.connections import EndpointRefused
from tenantry.ports.model import Operation, Upstream

_REGION = re.compile(r"[a-z]{2,4}(?:-[a-z]{1,12}){1,3}-[0-9]{1,2}", re.ASCII)


def endpoint_url(upstream: Upstream, operation: Operation) -> str:
    """The URL to call. Raises EndpointRefused for what cannot be a region's name.

    Hosts: botocore 1.44.5's endpoint rules for bedrock-runtime, bedrock-agent-runtime and bedrock,
    without FIPS and dual stack.
    """
    if upstream.endpoint_url is not None:
        return upstream.endpoint_url
    if _REGION.fullmatch(upstream.region) is None:
        raise EndpointRefused(f"{upstream.region!r} is no region")
    suffix = "amazonaws.com.cn" if upstream.region.startswith("cn-") else "amazonaws.com"
    return f"https://{operation.service}.{upstream.region}.{suffix}"
