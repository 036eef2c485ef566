"""Models, regions and sizes that cannot be: refused before anything leaves, at no cost."""

from dataclasses import replace
from typing import Any

import pytest
from tests.support.metered import NOVA, RETIRED, TITAN, UNPRICED, MeteredStack, text_of
from tests.support.refusals import (
    ASKS,
    DEFAULT,
    DENIED,
    INVALID,
    NO_TRACE,
    NOT_FOUND,
    PAID,
    Ask,
    Refusal,
    refused,
    traces,
    upstream_requests,
)
from tests.support.stack import Tenant

from tenantry.domain.tenant import Scope

every_ask = pytest.mark.parametrize("ask", ASKS, ids=str)
every_paid_ask = pytest.mark.parametrize("ask", PAID, ids=str)


def paid_asks_but(*names: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("ask", [ask for ask in PAID if ask.name not in names], ids=str)


NATIVE = ("invoke", "invoke-stream")  # takes models of every kind
EMBED = ("embeddings", "documents", "search", "retrieve")
UNKNOWN = {
    "chat": "no.such-model-v1:0",
    "embedding": "no.such-embed-v1:0",
    "rerank": "no.such-rerank-v1:0",
}


def visitor(metered: MeteredStack, ask: Ask, model: str, **options: Any) -> Tenant:
    """A tenant whose plan names the model, where the request cannot: as plans were stored before
    their models were looked up."""
    tenant = metered.tenant({}, **options)
    if not ask.names_model:
        metered.rows(
            "UPDATE tenantry.plan SET definition = definition || jsonb_build_object("
            "'embedding_model', $1::text) WHERE name = $2",
            model,
            f"plan-of-{tenant.name}",
        )
    return tenant


def check(metered: MeteredStack, ask: Ask, tenant: Tenant, model: str, refusal: Refusal) -> str:
    before = upstream_requests(metered)
    message = refused(ask.family, ask.send(metered, tenant, model), refusal)
    assert traces(metered, tenant) == NO_TRACE
    assert upstream_requests(metered) == before, "something left"
    return message


class TestModels:
    """Nothing leaves, and nothing is charged."""

    @every_ask
    def test_an_unknown_model(self, metered: MeteredStack, ask: Ask) -> None:
        model = UNKNOWN[ask.kind]
        tenant = visitor(metered, ask, model)
        assert model in check(metered, ask, tenant, model, NOT_FOUND)

    @every_ask
    def test_a_retired_model(self, metered: MeteredStack, ask: Ask) -> None:
        model = RETIRED[ask.kind]
        tenant = visitor(metered, ask, model)
        assert "2026-01-01" in check(metered, ask, tenant, model, INVALID)

    @every_paid_ask
    def test_an_unpriced_model(self, metered: MeteredStack, ask: Ask) -> None:
        model = UNPRICED[ask.kind]
        tenant = visitor(metered, ask, model)
        assert "price" in check(metered, ask, tenant, model, INVALID)

    @paid_asks_but(*NATIVE)
    def test_a_model_of_another_kind(self, metered: MeteredStack, ask: Ask) -> None:
        model = {"chat": TITAN, "embedding": NOVA, "rerank": NOVA}[ask.kind]
        tenant = visitor(metered, ask, model)
        check(metered, ask, tenant, model, INVALID)

    @every_ask
    def test_a_model_that_the_plan_does_not_allow(self, metered: MeteredStack, ask: Ask) -> None:
        tenant = metered.tenant({"models_allowed": ["claude-sonnet-4-6", "nova-pro"]})
        check(metered, ask, tenant, DEFAULT[ask.kind], DENIED)

    @every_ask
    def test_a_model_that_the_key_does_not_allow(self, metered: MeteredStack, ask: Ask) -> None:
        tenant = metered.tenant()
        key = metered.control(
            lambda control: control.create_key(
                tenant.id,  # type: ignore[arg-type]
                scopes=frozenset(Scope),
                models_allowed=frozenset({"nova-pro"}),
            )
        )
        limited = replace(tenant, key=key)
        check(metered, ask, limited, DEFAULT[ask.kind], DENIED)

    @every_ask
    def test_a_region_that_is_not_allowed(self, metered: MeteredStack, ask: Ask) -> None:
        tenant = metered.tenant(regions_allowed=["eu-central-1"])
        model = DEFAULT[ask.kind]
        assert "us-east-1" in check(metered, ask, tenant, model, DENIED)

    @paid_asks_but(*EMBED, "rerank")
    def test_a_profile_that_runs_elsewhere(self, metered: MeteredStack, ask: Ask) -> None:
        tenant = metered.tenant(regions_allowed=["us-east-1"])
        assert "us" in check(metered, ask, tenant, f"us.{NOVA}", DENIED)

    @paid_asks_but(
        "documents", "rerank"
    )  # minute limits do not pace uploads; queries have no tokens
    def test_more_than_a_limit_ever_holds(self, metered: MeteredStack, ask: Ask) -> None:
        """The limit is named, and nobody waits for what cannot come."""
        tenant = metered.tenant({"tokens_per_minute": 3})
        message = check(metered, ask, tenant, DEFAULT[ask.kind], INVALID)
        assert "tokens_per_minute" in message

    @paid_asks_but("documents", "rerank")  # are split into what fits; are cut by the model
    def test_a_prompt_past_the_window(self, metered: MeteredStack, ask: Ask) -> None:
        """Bedrock judges it, where we do not: its refusal is passed on, at no cost."""
        tenant = metered.tenant()
        words = 130_000 if ask.kind == "chat" else 9_000
        reply = ask.send(metered, tenant, text=text_of(words))
        refused(ask.family, reply, INVALID)
        posted = metered.posted(tenant)
        assert (posted.cost, posted.charge, list(posted.open)) == (0, 0, [])
        assert {ending for _, _, ending, _ in posted.attempts} <= {"released"}
        assert metered.violations() == []

    @paid_asks_but(
        *EMBED, "answers", "answers-stream", "generate", "generate-stream", "rerank"
    )  # they name no output limit
    def test_more_tokens_than_the_plan_allows(self, metered: MeteredStack, ask: Ask) -> None:
        tenant = metered.tenant({"max_tokens_ceiling": 4, "max_tokens_default": 4})
        message = check(metered, ask, tenant, NOVA, INVALID)
        assert "max_tokens_ceiling" in message
