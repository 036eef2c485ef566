"""No body, however wrong, comes out of the agent's wire as anything but a call or a refusal."""

from __future__ import annotations

import contextlib
import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.agent_routes import AGENT_ROUTES, BASE

from tenantry.domain.errors import BadRequest, NotFound
from tenantry.domain.ids import TenantId
from tenantry.entrypoints.http.bedrock_agent.paging import offset_of
from tenantry.entrypoints.http.bedrock_agent.requests import (
    to_rerank,
    to_search,
    to_turn,
    user_in,
)

TENANT = TenantId("tnt_acme")
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=6,
)
GOOD = [route["good"] for route in AGENT_ROUTES]


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every member of a body."""
    found = [path] if path else []
    items = value.items() if isinstance(value, dict) else ()
    items = enumerate(value) if isinstance(value, list) else items
    for key, inner in items:
        found += places(inner, (*path, key))
    return found


@given(st.data())
def test_one_wrong_member_anywhere(data: st.DataObject) -> None:
    body = copy.deepcopy(data.draw(st.sampled_from(GOOD)))
    path = data.draw(st.sampled_from(places(body)))
    inner: Any = body
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = data.draw(JSON)
    for convert in (
        lambda: to_search(BASE, body, TENANT),
        lambda: to_turn(body, TENANT),
        lambda: to_rerank(body),
        lambda: offset_of(body),
        lambda: user_in(body),
    ):
        with contextlib.suppress(BadRequest, NotFound):
            convert()


@pytest.mark.parametrize(
    "asked",
    [
        {"lang": "en"},
        {"equal": "en"},
        {"andAll": [{"equals": {"key": "lang", "value": "en"}}, {"lang": "en"}]},
    ],
)
def test_a_filter_is_bedrocks_alone_and_a_slip_is_no_equality(asked: dict[str, Any]) -> None:
    """The shorthand of `/v1/search` would make an equality of a misspelt operator here."""
    body = {
        "retrievalQuery": {"text": "x"},
        "retrievalConfiguration": {"vectorSearchConfiguration": {"filter": asked}},
    }
    with pytest.raises(BadRequest, match="has no operator"):
        to_search(BASE, body, TENANT)


@pytest.mark.parametrize(
    ("named", "by_words"), [("", None), ("SEMANTIC", False), ("HYBRID", True)], ids=str
)
def test_words_are_asked_for_by_name_alone(named: str, by_words: bool | None) -> None:
    search = {"overrideSearchType": named} if named else {}
    configuration = {"vectorSearchConfiguration": search}
    body = {"retrievalQuery": {"text": "what?"}, "retrievalConfiguration": configuration}
    assert to_search(BASE, body, TENANT).by_words is by_words
