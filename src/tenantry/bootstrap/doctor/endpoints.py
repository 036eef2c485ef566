"""What `doctor --aws` finds: whether Bedrock is in reach from here, and takes our credentials.

For each endpoint that a placement's calls go to: name, TCP, TLS, as its calls do it; then, where
there are credentials of its account, one signed CountTokens, which Amazon does not charge for
(docs.aws.amazon.com/bedrock, CountTokens, read 2026-11). Nothing of a tenant is sent.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence, Set
from dataclasses import dataclass
from typing import Final

from tenantry.adapters.bedrock.client import BedrockModel
from tenantry.adapters.bedrock.connections import EndpointRefused
from tenantry.adapters.bedrock.placements import endpoint_url
from tenantry.adapters.bedrock.troubles import said_of, trouble_of
from tenantry.adapters.clock import SystemClock
from tenantry.bootstrap.deployment import credentials_of
from tenantry.bootstrap.upstream import model_of
from tenantry.config import Settings, SettingsError
from tenantry.domain.catalogue import Model
from tenantry.domain.placement import NO_ACCOUNT, Placement
from tenantry.ports.model import Attempt, Failure, Operation, Timeouts, Upstream

AT_ONCE_MAX: Final = 8
ANSWER_MS: Final = 10_000
_BODY: Final = b'{"input":{"converse":{"messages":[{"role":"user","content":[{"text":"?"}]}]}}}'
_COUNTED: Final = "anthropic"  # the family whose tokens Bedrock counts


@dataclass(frozen=True, slots=True)
class _Endpoint:
    placement: str
    upstream: Upstream
    is_known: bool  # whether there are credentials of its account

    @property
    def name(self) -> str:
        return f"Bedrock of {self.placement} in {self.upstream.region}"


async def reached(
    config: Settings, placements: Iterable[Placement], models: Iterable[Model]
) -> tuple[dict[str, str], list[str]]:
    """A fact for each endpoint, and a problem for each that does not answer as it must."""
    try:
        known = credentials_of(config).keys()
    except SettingsError:
        return {}, []  # told of by who reads the file
    endpoints = _endpoints(config, placements, known)
    counted = next((model.id for model in models if model.family == _COUNTED), None)
    model = model_of(config, SystemClock())
    turns = asyncio.Semaphore(AT_ONCE_MAX)

    async def one(endpoint: _Endpoint) -> tuple[str, str | None]:
        async with turns:
            return await _try(config, model, endpoint, counted)

    try:
        found = await asyncio.gather(*map(one, endpoints))
    finally:
        await model.close()
    facts = {each.name: fact for each, (fact, _) in zip(endpoints, found, strict=True)}
    return facts, [problem for _, problem in found if problem is not None]


def _endpoints(
    config: Settings, placements: Iterable[Placement], known: Set[str]
) -> Sequence[_Endpoint]:
    """Every region of a placement that has an account; one where it has an endpoint of its own."""
    found = []
    for each in placements:
        if each.account == NO_ACCOUNT:
            continue
        own = each.endpoint_url or config.bedrock_endpoint_url
        regions = {each.region} if own is not None else {each.region, *each.regions}
        for region in sorted(regions):
            upstream = Upstream(each.account, region, own, each.account)
            found.append(_Endpoint(each.id, upstream, each.account in known))
    return found


async def _try(
    config: Settings, model: BedrockModel, endpoint: _Endpoint, counted: str | None
) -> tuple[str, str | None]:
    """A fact, and a problem where there is one."""
    upstream, connect_ms = endpoint.upstream, config.upstream_connect_timeout_ms
    try:
        url = endpoint_url(upstream, Operation.COUNT_TOKENS)
    except EndpointRefused as refused:
        return str(refused), f"placement {endpoint.placement}: {refused}"
    trouble = await model.trouble_reaching(url, connect_ms)
    if trouble is not None:
        return f"{url} {trouble}", f"placement {endpoint.placement}: {url} {trouble}"
    if not endpoint.is_known or counted is None:
        return f"{url} is in reach; nothing was asked", None
    limits = Timeouts(connect_ms, ANSWER_MS, ANSWER_MS, ANSWER_MS)
    answer = await model.ask(
        Attempt(upstream, Operation.COUNT_TOKENS, counted, _BODY, timeouts=limits)
    )
    if not isinstance(answer, Failure):
        return f"{url} takes the credentials of {upstream.account}", None
    trouble = trouble_of(answer)
    if trouble is None:  # throttled, or it does not count this model's tokens
        return f"{url} is in reach and says {said_of(answer)} to CountTokens", None
    problem = f"placement {endpoint.placement}, account {upstream.account}: {url} {trouble}"
    return f"{url} {trouble}", f"{problem} (to CountTokens)"
