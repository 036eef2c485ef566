"""From what a client asked for to a planned call: model, region, tier, body, bound.

Owns: every refusal that needs no database: unknown, retired or forbidden model, region, tier, size.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from uuid import UUID

import orjson

from tenantry.application.admission import PlannedCall
from tenantry.application.calls import ChatCall
from tenantry.application.guarding import bounded, guard
from tenantry.application.metering import write_class
from tenantry.application.upstream import (
    LATENCY_HEADER,
    Departure,
    UpstreamRules,
    check_metadata,
    check_model,
    departure,
    region_for,
    upstream_of,
)
from tenantry.domain.bound import bound_of_converse
from tenantry.domain.catalogue import Catalogue, Model, Resolved
from tenantry.domain.chat_request import (
    AS_ASKED,
    Clamp,
    bound_of_native,
    prepare_converse,
    prepare_native,
)
from tenantry.domain.errors import Forbidden, ModelUnpriced
from tenantry.domain.price import STANDARD_TIER, Unpriced
from tenantry.domain.rating import Bound
from tenantry.domain.record import record
from tenantry.domain.tenant import Principal
from tenantry.ports.clock import Clock
from tenantry.ports.directory import Directory
from tenantry.ports.labels import Labels
from tenantry.ports.model import Upstream

DEADLINE_SLACK_MS = 60_000  # past the total time-out the sweeper may take an intent


@record
class PlannedChat:
    """A chat call as it will leave, and the most it can use."""

    planned: PlannedCall
    chat: ChatCall
    body: Mapping[str, Any]
    max_tokens: int | None = None  # the output limit, where it was lowered
    asked: int = 0  # the output limit before it was


class Planning:
    """One for each worker."""

    def __init__(
        self, directory: Directory, labels: Labels, clock: Clock, rules: UpstreamRules
    ) -> None:
        self._directory = directory
        self._labels = labels
        self._clock = clock
        self._rules = rules

    async def catalogue(self) -> Catalogue:
        return await self._directory.catalogue()

    async def check_priced(self, planned: PlannedCall) -> None:
        """Raises `ModelUnpriced` where a call would be refused for want of a price."""
        prices = await self._directory.prices()
        try:
            prices.of(planned.price_key(prices))
        except Unpriced as problem:
            raise ModelUnpriced(str(problem)) from None

    async def salt(self, principal: Principal) -> str:
        """The tenant's salt line; `chat` uses it where a cache is shared."""
        return await self._labels.salt(principal)

    def resolve(self, principal: Principal, model: str, catalogue: Catalogue) -> Resolved:
        """The model that is named, allowed for this principal."""
        resolved = catalogue.resolve(
            model,
            principal.tenant.placement.inference_profiles,
            today=self._clock.now().date(),
        )
        check_model(principal, resolved)
        return resolved

    def chat(
        self,
        principal: Principal,
        chat: ChatCall,
        catalogue: Catalogue,
        salt: str | None,
        clamp: Clamp = AS_ASKED,
    ) -> PlannedChat:
        resolved = self.resolve(principal, chat.model, catalogue)
        check_metadata(chat.request_metadata)
        tier = chat.service_tier or STANDARD_TIER
        if tier not in principal.tenant.plan.service_tiers_allowed | {STANDARD_TIER}:
            raise Forbidden(f"the plan does not allow service tier {tier}", of="tier")
        _refuse_unpriced(chat)
        plan = principal.tenant.plan
        guarded = guard(plan, chat, resolved.model, principal.tenant.placement.account)
        chat = guarded.chat
        prepare = prepare_converse if chat.operation.startswith("Converse") else prepare_native
        shared = principal.tenant.placement.kind == "pool"
        prepared = prepare(chat.body, resolved.model, plan, salt if shared else None, clamp)
        planned = self.call(principal, resolved, chat.operation, prepared.bound, tier)
        planned = replace(planned, output_least=prepared.least)
        if guarded.guardrail is not None:
            planned = bounded(planned, prepared, hides_trace=not guarded.shows_trace)
        return PlannedChat(planned, chat, prepared.body, prepared.lowered_to, prepared.asked)

    def check_counted(self, model: Model, body: Mapping[str, Any]) -> None:
        """Raises `BadRequest` for a CountTokens body that no call could send."""
        for kind, value in (body.get("input") or {}).items():
            if kind == "converse":
                bound_of_converse(value, model)
            else:
                bound_of_native(model)(orjson.loads(base64.b64decode(value["body"])), model)

    def call(
        self,
        principal: Principal,
        resolved: Resolved,
        operation: str,
        bound: Bound,
        tier: str = STANDARD_TIER,
    ) -> PlannedCall:
        """A planned call of a given bound, where its region is allowed."""
        planned = PlannedCall(
            resolved=resolved,
            operation=operation,
            region=region_for(principal, resolved),
            bound=bound,
            deadline_ms=self._rules.timeouts.total_timeout_ms + DEADLINE_SLACK_MS,
            tiers=frozenset({tier}),
        )
        planned.pinned.update(
            family=resolved.model.family, tier=tier, write_class=str(write_class(planned))
        )
        if bound.rerank_units:  # which no log tells
            planned.pinned["rerank_units"] = bound.rerank_units
        return planned

    def upstream(self, principal: Principal, region: str) -> Upstream:
        return upstream_of(principal, region, self._rules)

    def departure(
        self, principal: Principal, request_id: UUID, call: int, planned: PlannedChat
    ) -> Departure:
        return departure(
            principal,
            request_id,
            call,
            planned.planned.resolved,
            planned.planned.region,
            planned.chat,
            planned.body,
            self._rules,
        )


def _refuse_unpriced(chat: ChatCall) -> None:
    """What would be billed by something else than tokens."""
    if chat.headers.get(LATENCY_HEADER, "standard") != "standard":
        raise ModelUnpriced("optimised latency has no price")
