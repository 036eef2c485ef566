"""Dispatch by raw path."""

import re
import string

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenantry.domain.filter import (
    COMPARISONS_MAX,
    KEY_CHARS_MAX,
    TEXT_CHARS_MAX,
    VALUES_MAX,
    filter_from,
)
from tenantry.entrypoints.http.adminplane import ADMIN_PLANE
from tenantry.entrypoints.http.dataplane import DATA_PLANE
from tenantry.entrypoints.http.routes import Access, family_of

# Routes whose admission looks at tenant and API key again; every other one asks the database first.
ADMITTED = {
    ("POST", f"/model/{{model}}/{name}") for name in ("converse", "converse-stream", "count-tokens")
}
ADMITTED |= {("POST", "/model/{model}/invoke"), ("POST", "/v1/embeddings"), ("POST", "/v1/search")}
ADMITTED |= {("POST", "/model/{model}/invoke-with-response-stream"), ("POST", "/v1/answers")}
ADMITTED |= {("POST", "/guardrail/{id}/version/{version}/apply"), ("POST", "/v1/chat/completions")}
ADMITTED |= {("POST", "/knowledgebases/{id}/retrieve"), ("POST", "/rerank")}
ADMITTED |= {("POST", f"/retrieveAndGenerate{name}") for name in ("", "Stream")}

ARN = "arn%3Aaws%3Abedrock%3Aus-east-1%3A111111111111%3Ainference-profile%2Fus.x"


def test_a_slash_inside_a_segment_stays_inside() -> None:
    match = DATA_PLANE.match("POST", f"/model/{ARN}/converse")
    assert match.route is not None and match.route.template == "/model/{model}/converse"
    model = "arn:aws:bedrock:us-east-1:111111111111:inference-profile/us.x"
    assert match.params == {"model": model}


def test_nothing_has_a_nul_in_its_name() -> None:
    for table in (DATA_PLANE, ADMIN_PLANE):
        for route in table.routes:
            if "{" in route.template:
                path = re.sub(r"{\w+}", "a%00b", route.template)
                assert table.match(route.method, path).route is None, path


def test_every_route_is_found_and_speaks_its_paths_family() -> None:
    for table in (DATA_PLANE, ADMIN_PLANE):
        for route in table.routes:
            path = "/".join(
                "" if not p else "x" if p[0] == "{" else p for p in ("", *route.segments)
            )
            assert table.match(route.method, path).route is route
            assert family_of(path) == route.family


@pytest.mark.parametrize(
    "path",
    ["/v1/search", "/v1/answers", "/knowledgebases/x/retrieve", "/retrieveAndGenerate",
     "/retrieveAndGenerateStream"],
)  # fmt: skip
def test_a_filter_as_large_as_it_may_be_fits_a_body(path: str) -> None:
    """In two bytes a letter, as most alphabets beside the Latin one are."""
    values = ["é" * TEXT_CHARS_MAX] * VALUES_MAX
    comparison = {"in": {"key": "k" * KEY_CHARS_MAX, "value": values}}
    largest = {"andAll": [comparison] * COMPARISONS_MAX}
    assert filter_from(largest) is not None
    match = DATA_PLANE.match("POST", path)
    assert match.route is not None
    assert len(msgspec.json.encode(largest)) < match.route.body_bytes_max


def test_no_tenants_route_is_public_and_no_read_is_stale() -> None:
    for route in DATA_PLANE.routes:
        assert route.access is not Access.OPERATOR
        public = route.template in ("/healthz", "/readyz", "/openapi.json", "/docs")
        assert (route.access is Access.PUBLIC) == public
        if route.access is Access.TENANT:
            assert (route.method, route.template) in ADMITTED, f"{route.template}: no admission"


def test_the_control_plane_is_the_operators_alone() -> None:
    for route in ADMIN_PLANE.routes:
        named = ("/healthz", "/readyz", "/metrics", "/openapi.json", "/docs")
        public = route.template in named
        assert route.access is (Access.PUBLIC if public else Access.OPERATOR)


@given(st.text(string.printable, max_size=40), st.sampled_from(["GET", "POST", "HEAD", "X"]))
def test_any_path_has_an_answer(path: str, method: str) -> None:
    DATA_PLANE.match(method, path)
    DATA_PLANE.match(method, f"/model/{path}/converse")
    assert family_of(path)
