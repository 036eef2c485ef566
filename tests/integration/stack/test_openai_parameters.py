"""What the unmodified openai SDK is told of a refusal that is about one parameter: which one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import openai
import pytest
from tests.support.metered import CLAUDE, GROSS, NOVA, RETIRED, TITAN, UNPRICED, MeteredStack
from tests.support.refusals import NO_TRACE, traces
from tests.support.stack import Tenant

from tenantry.domain.tenant import Scope

MESSAGES: Any = [{"role": "user", "content": "hi"}]
PLAN = {"service_tiers_allowed": ["default", "flex"], "max_tokens_ceiling": 64}
FOREIGN = f"arn:aws:bedrock:us-east-1:999999999999:inference-profile/us.{NOVA}"
PICTURE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
TOOL = {"type": "function", "function": {"name": "look"}}


@pytest.fixture
def tenants(metered: MeteredStack) -> Iterator[tuple[Tenant, Tenant]]:
    """Two on a plan of each. At the end nothing was asked of a model for either."""
    anna, bert = metered.tenants({**PLAN, "max_tokens_default": 8})
    yield anna, bert
    assert [traces(metered, who) for who in (anna, bert)] == [NO_TRACE, NO_TRACE]


def told(metered: MeteredStack, who: Tenant, kind: str, members: dict[str, Any]) -> Any:
    """`error.param` of the refusal, and its status."""
    with metered.openai(who) as sdk, pytest.raises(openai.APIStatusError) as caught:
        if kind == "chat":
            sdk.chat.completions.create(**{"model": NOVA, "messages": MESSAGES, **members})
        else:
            sdk.embeddings.create(**{"model": TITAN, "input": "a", **members})
    return caught.value.param, caught.value.status_code


CHATS: list[tuple[dict[str, Any], str, int]] = [
    ({"model": "no.such-model-v1:0"}, "model", 404),
    ({"model": FOREIGN}, "model", 404),
    ({"model": TITAN}, "model", 400),
    ({"model": RETIRED["chat"]}, "model", 400),
    ({"model": UNPRICED["chat"]}, "model", 400),
    ({"service_tier": "flex"}, "service_tier", 400),
    ({"service_tier": "priority"}, "service_tier", 403),
    ({"service_tier": "scale"}, "service_tier", 400),
    ({"max_tokens": 65}, "max_tokens", 400),
    ({"max_completion_tokens": 65}, "max_completion_tokens", 400),
    ({"tools": [{**TOOL, "type": "web_search"}]}, "tools[0].type", 400),
    ({"response_format": {"type": "json_object"}}, "response_format", 400),
    ({"response_format": {"type": "xml"}}, "response_format.type", 400),
    ({"messages": []}, "messages", 400),
    ({"model": GROSS, "messages": [{"role": "user", "content": [PICTURE]}]}, "messages", 400),
]


def test_which_parameter_of_a_chat(metered: MeteredStack, tenants: tuple[Tenant, Tenant]) -> None:
    """One of the tenants asks for whole answers, the other one for streams."""
    for members, param, status in CHATS:
        for who, stream in zip(tenants, (False, True), strict=True):
            found = told(metered, who, "chat", {**members, "stream": stream})
            assert found == (param, status), members


EMBEDDINGS: list[tuple[dict[str, Any], str, int]] = [
    ({"dimensions": 123}, "dimensions", 400),
    ({"dimensions": 5_000}, "dimensions", 400),
    ({"model": NOVA}, "model", 400),
    ({"model": "no.such-embed-v1:0"}, "model", 404),
    ({"model": RETIRED["embedding"]}, "model", 400),
    ({"model": UNPRICED["embedding"]}, "model", 400),
    ({"input": " "}, "input", 400),
    ({"input": []}, "input", 400),
    ({"input": [[1, 2]]}, "input", 400),
    ({"input": "a" * 70_000}, "input", 400),
    ({"encoding_format": "hex"}, "encoding_format", 400),
    ({"user": " "}, "user", 400),
]


def test_which_parameter_of_an_embedding(
    metered: MeteredStack, tenants: tuple[Tenant, Tenant]
) -> None:
    for members, param, status in EMBEDDINGS:
        for who in tenants:
            assert told(metered, who, "embedding", members) == (param, status), members


def test_a_model_that_is_not_open_to_an_api_key(
    metered: MeteredStack, tenants: tuple[Tenant, Tenant]
) -> None:
    for who in tenants:
        key = metered.control(
            lambda control, who=who: control.create_key(  # type: ignore[misc]
                who.id, scopes=frozenset(Scope), models_allowed=frozenset({CLAUDE, NOVA})
            )
        )
        limited = Tenant(who.id, who.name, key, who.placement, who.account)
        assert told(metered, limited, "embedding", {}) == ("model", 403)
        assert told(metered, limited, "chat", {"model": GROSS}) == ("model", 403)
        # What its passages are found by is the plan's model, which no parameter names.
        found = {"extra_headers": {"x-tenantry-knowledge": "3"}}
        assert told(metered, limited, "chat", found) == (None, 403)
        unknown = {**found, "model": "no.such-model-v1:0"}
        assert told(metered, limited, "chat", unknown)[1] in (403, 404)


def test_no_parameter_is_named_where_none_is_meant(metered: MeteredStack) -> None:
    """A plan's embedding model that has no price, beside a chat whose model has one."""
    anna, bert = metered.tenants()
    metered.rows(
        "UPDATE tenantry.plan SET definition = definition || jsonb_build_object("
        "'embedding_model', $1::text) WHERE name = $2",
        UNPRICED["embedding"],
        f"plan-of-{anna.name}",
    )
    found = {"extra_headers": {"x-tenantry-knowledge": "3"}}
    assert told(metered, anna, "chat", found) == (None, 400)
    flex = {**found, "service_tier": "flex"}
    assert told(metered, bert, "chat", flex) == ("service_tier", 403)
    assert [traces(metered, who) for who in (anna, bert)] == [NO_TRACE, NO_TRACE]
