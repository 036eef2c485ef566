"""How a call goes upstream: which account and region, with which attribution.

Owns: region rules (refused before dispatch), the `requestMetadata` that marks our attempts,
timeouts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import orjson

from tenantry.application import exact_json
from tenantry.application.calls import ChatCall
from tenantry.domain.catalogue import Resolved
from tenantry.domain.errors import BadRequest, ModelNotAllowed, ModelNotFound, RegionNotAllowed
from tenantry.domain.model_ids import parse_model_id
from tenantry.domain.record import record
from tenantry.domain.tenant import Principal
from tenantry.ports.model import Attempt, Operation, Timeouts, Upstream

LATENCY_HEADER = "x-amzn-bedrock-performanceconfig-latency"
METADATA_HEADER = "x-amzn-bedrock-request-metadata"
CLIENT_METADATA_MAX = 12  # Bedrock takes 16, four are ours
OWN_METADATA = frozenset({"tid", "rid", "att", "env"})

_OPERATIONS: Mapping[str, Operation] = {
    "Converse": Operation.CONVERSE,
    "ConverseStream": Operation.CONVERSE_STREAM,
    "InvokeModel": Operation.INVOKE,
    "InvokeModelWithResponseStream": Operation.INVOKE_STREAM,
}


@dataclass(frozen=True, slots=True)
class UpstreamRules:
    """What is the same for all calls of a deployment."""

    env: str = "local"
    endpoint_url: str | None = None  # where a placement names none; None: Amazon Bedrock's own
    timeouts: Timeouts = field(default_factory=Timeouts)


def check_model(principal: Principal, resolved: Resolved) -> None:
    """Raises `ModelNotAllowed` where plan or API key name other models."""
    names = {resolved.model.id, resolved.upstream_id}
    if resolved.model.alias:
        names.add(resolved.model.alias)
    for allowed in (principal.tenant.plan.models_allowed, principal.models_allowed):
        if allowed is not None and not names & allowed:
            said = f"model {resolved.model.id} is not allowed for this API key"
            raise ModelNotAllowed(said, of="model")


def region_for(principal: Principal, resolved: Resolved) -> str:
    """The region that is called; raises `RegionNotAllowed` before anything is sent.

    A cross-region profile runs outside of the region it is called in, so where regions are
    restricted its prefix (`eu`, `global`, …) must be among those allowed.
    """
    tenant = principal.tenant
    placement = tenant.placement
    reference = parse_model_id(resolved.upstream_id)
    region = placement.region
    if reference is not None and reference.region is not None:
        region = reference.region
    usable = placement.regions or frozenset({placement.region})
    if region not in usable:
        raise RegionNotAllowed(f"region {region} is not one of this tenant's placement")
    if reference is not None and reference.account not in (None, placement.account):
        raise ModelNotFound(f"unknown model: {resolved.upstream_id[:200]}", of="model")
    for allowed in (tenant.regions_allowed, tenant.plan.regions_allowed):
        if allowed is None:
            continue
        if region not in allowed:
            raise RegionNotAllowed(f"region {region} is not allowed for this tenant")
        prefix = resolved.profile_prefix
        if prefix is not None and prefix not in allowed:
            said = f"profile {prefix} runs outside of the allowed regions"
            raise RegionNotAllowed(said, of="model")
    return region


def upstream_of(principal: Principal, region: str, rules: UpstreamRules) -> Upstream:
    """The tenant's account in one region; its credentials are found by the account's number."""
    placement = principal.tenant.placement
    endpoint = placement.endpoint_url or rules.endpoint_url
    return Upstream(placement.account, region, endpoint, placement.account)


def check_metadata(metadata: Mapping[str, str]) -> None:
    """Refuses our own keys and more than Bedrock leaves room for."""
    taken = OWN_METADATA & metadata.keys()
    if taken:
        raise BadRequest(f"requestMetadata key {sorted(taken)[0]} is reserved")
    if len(metadata) > CLIENT_METADATA_MAX:
        raise BadRequest(f"requestMetadata takes at most {CLIENT_METADATA_MAX} keys here")


@record
class Departure:
    """All that the attempts of one call share; `attempt(n)` is what leaves."""

    upstream: Upstream
    operation: Operation
    model_id: str
    body: Mapping[str, Any]
    headers: Mapping[str, str]
    metadata: Mapping[str, str]
    timeouts: Timeouts
    in_header: bool  # InvokeModel carries its metadata in a header
    call: int

    def attempt(self, number: int) -> Attempt:
        metadata = {**self.metadata, "att": f"{self.call}:{number}"}
        headers = dict(self.headers)
        body = self.body
        if self.in_header:
            headers[METADATA_HEADER] = orjson.dumps(metadata).decode()
        else:
            body = {**body, "requestMetadata": metadata}
        return Attempt(
            self.upstream,
            self.operation,
            self.model_id,
            exact_json.write(body),
            headers,
            self.timeouts,
        )


def departure(
    principal: Principal,
    request_id: UUID,
    call: int,
    resolved: Resolved,
    region: str,
    chat: ChatCall,
    body: Mapping[str, Any],
    rules: UpstreamRules,
) -> Departure:
    operation = _OPERATIONS[chat.operation]
    native = operation in (Operation.INVOKE, Operation.INVOKE_STREAM)
    headers = {"content-type": "application/json", **chat.headers}
    if chat.service_tier is not None:
        if native:
            headers["x-amzn-bedrock-service-tier"] = chat.service_tier
        else:
            body = {**body, "serviceTier": {"type": chat.service_tier}}
    ours = {"tid": principal.tenant_id, "rid": str(request_id), "env": rules.env}
    return Departure(
        upstream=upstream_of(principal, region, rules),
        operation=operation,
        model_id=resolved.upstream_id,
        body=body,
        headers=headers,
        metadata={**chat.request_metadata, **ours},
        timeouts=rules.timeouts,
        in_header=native,
        call=call,
    )
