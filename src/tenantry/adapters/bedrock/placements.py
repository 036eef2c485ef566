"""Where a placement's calls go: its own endpoint, or Amazon Bedrock's in its region."""

from __future__ import annotations

from tenantry.adapters.bedrock.connections import EndpointRefused
from tenantry.domain.region import is_region, partition_of
from tenantry.ports.model import Operation, Upstream


def endpoint_url(upstream: Upstream, operation: Operation) -> str:
    """The URL to call. Raises EndpointRefused for what cannot be a region's name.

    Hosts: botocore 1.44.5's endpoint rules for bedrock-runtime, bedrock-agent-runtime and bedrock,
    without FIPS and dual stack.
    """
    if upstream.endpoint_url is not None:
        return upstream.endpoint_url
    if not is_region(upstream.region):
        raise EndpointRefused(f"{upstream.region!r} is no region")
    suffix = partition_of(upstream.region).dns_suffix
    return f"https://{operation.service}.{upstream.region}.{suffix}"
