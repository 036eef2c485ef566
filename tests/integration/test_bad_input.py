"""Bad input: every line for every API family gets a clear error in the shape of the API called,
and nothing is half done. What the edge alone decides stands here; what takes the whole product is
a class of tests in each file of `bad_input/`, and is collected here."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import pytest
from tests.integration.bad_input.documents import TestUploads
from tests.integration.bad_input.keys import TestKeys
from tests.integration.bad_input.models import TestModels
from tests.integration.bad_input.outages import TestOutages
from tests.integration.bad_input.upstream import TestUpstream
from tests.support.agent_routes import AGENT_ROUTES, WRONG_RERANKING
from tests.support.http_edge import Edge
from tests.support.http_plain import Reply, send

from tenantry.domain.errors import KeyExpired, KeyRevoked
from tenantry.entrypoints.http.routes import family_of

__all__ = ["TestKeys", "TestModels", "TestOutages", "TestUploads", "TestUpstream"]

MODEL = "amazon.nova-micro-v1:0"
TURN = {"role": "user", "content": [{"text": "hi"}]}


@dataclass(frozen=True)
class Route:
    """A route that takes a body: one that is good, and where it goes wrong."""

    path: str
    good: Mapping[str, Any]
    text: str  # the member path of a text, to put NUL and surrogates into: `a.0.b`
    wrong: tuple[Mapping[str, Any], ...] = ()  # members of another type
    strict: bool = True  # refuses unknown members
    metadata: str | None = None  # the member that holds the client's metadata
    scope: str = "infer"

    @property
    def family(self) -> str:
        return family_of(self.path)


CONVERSE: dict[str, Any] = {
    "good": {"messages": [TURN]},
    "text": "messages.0.content.0.text",
    "wrong": (
        {"messages": "hi"},
        {"messages": [1]},
        {"messages": [{"role": "user", "content": "hi"}]},
        {"messages": [{"role": "user", "content": [1]}]},
        {"messages": [{"role": "user", "content": [{"text": 1}]}]},
        {"system": "be kind"},
        {"system": [1]},
        {"inferenceConfig": []},
        {"inferenceConfig": {"maxTokens": "9"}},
        {"inferenceConfig": {"maxTokens": 0}},
        {"inferenceConfig": {"maxTokens": 1e30}},
        {"inferenceConfig": {"stopSequences": "x"}},
        {"inferenceConfig": {"nonsense": 1}},
        {"toolConfig": {"tools": 1}},
        {"toolConfig": {"tools": [1]}},
        {"serviceTier": "flex"},
        {"serviceTier": {"type": "first-class"}},
        {"requestMetadata": {"a": 1}},
        {"requestMetadata": {"a": "é"}},
        {"requestMetadata": {f"k{i}": "" for i in range(13)}},
    ),
    "metadata": "requestMetadata",
}
ROUTES = [
    Route(f"/model/{MODEL}/converse", **CONVERSE),
    Route(f"/model/{MODEL}/converse-stream", **CONVERSE),
    Route(f"/model/{MODEL}/invoke", {"inputText": "hi"}, "inputText", strict=False),
    Route(
        f"/model/{MODEL}/invoke-with-response-stream",
        {"inputText": "hi"},
        "inputText",
        strict=False,
    ),
    Route(
        f"/model/{MODEL}/count-tokens",
        {"input": {"converse": {"messages": [TURN]}}},
        "input.converse.messages.0.content.0.text",
        (
            {"input": []},
            {"input": {}},
            {"input": {"converse": {"messages": [1]}}},
            {"input": {"converse": {"inferenceConfig": {}}}},
            {"input": {"invokeModel": {"body": "not base64!"}}},
            {"input": {"invokeModel": {"body": "e30="}, "converse": {}}},
        ),
    ),
    Route(
        "/v1/chat/completions",
        {"model": MODEL, "messages": [{"role": "user", "content": "hi"}]},
        "messages.0.content",
        (
            {"model": 1},
            {"messages": "hi"},
            {"messages": []},
            {"messages": [{"role": "wizard", "content": "hi"}]},
            {"messages": [{"role": "user", "content": None}]},
            {"messages": [{"role": "user", "content": [{"type": "input_audio"}]}]},
            {
                "messages": [
                    {
                        "role": "user",
                        "content": [
                            {"type": "image_url", "image_url": {"url": "http://10.0.0.1/"}}
                        ],
                    }
                ]
            },
            {"messages": [{"role": "tool", "content": "x"}]},
            {"max_tokens": "9"},
            {"max_tokens": 0},
            {"temperature": "hot"},
            {"n": 2},
            {"logprobs": True},
            {"tools": [{"type": "function", "function": {}}]},
            {"tool_choice": "required"},
            {"response_format": {"type": "json_object"}},
            {"stream": "yes"},
            {"stream_options": {"include_usage": True}},
            {"service_tier": "first-class"},
            {"metadata": {"a": 1}},
            {"user": 7},
        ),
        metadata="metadata",
    ),
    Route(
        "/v1/embeddings",
        {"model": "amazon.titan-embed-text-v2:0", "input": "hi"},
        "input",
        (
            {"input": []},
            {"input": ""},
            {"input": [1, 2]},
            {"input": [[1], [2]]},
            {"input": {"a": 1}},
            {"input": ["x"] * 2_049},
            {"dimensions": "8"},
            {"dimensions": 0},
            {"encoding_format": "base2"},
        ),
    ),
    Route(
        "/v1/documents",
        {"title": "T", "text": "hi"},
        "text",
        (
            {"title": 1},
            {"title": " "},
            {"text": 1},
            {"metadata": []},
            {"metadata": {"a": {"b": 1}}},
            {"access": "all"},
            {"access": [1]},
        ),
        scope="documents:write",
    ),
    Route(
        "/v1/search",
        {"query": "hi"},
        "query",
        ({"query": 1}, {"top_k": "5"}, {"top_k": True}, {"filter": "x"}, *WRONG_RERANKING),
        scope="search",
    ),
    Route(
        "/v1/answers",
        {"question": "hi"},
        "question",
        ({"question": 1}, {"top_k": 1.5}, {"model": 1}, {"stream": "yes"}, *WRONG_RERANKING),
        scope="search",
    ),
]
ROUTES += [Route(**one) for one in AGENT_ROUTES]
METADATA_ROUTES = [route for route in ROUTES if route.metadata]
WRONG = [(route, wrong) for route in ROUTES for wrong in route.wrong]
STRICT = [route for route in ROUTES if route.strict]


def path_of(value: Any) -> str:
    return value.path if isinstance(value, Route) else str(value)[:60]


every_route = pytest.mark.parametrize("route", ROUTES, ids=path_of)


@pytest.fixture(scope="module")
def running_edge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Edge]:
    home: Path = tmp_path_factory.mktemp("home")
    with Edge(home) as edge:
        edge.services.directory.add("revoked", KeyRevoked())
        edge.services.directory.add("expired", KeyExpired())
        yield edge


@pytest.fixture
def edge(running_edge: Edge) -> Iterator[Edge]:
    services = running_edge.services
    services.inference.asked.clear()
    yield running_edge
    assert services.inference.asked == [], "a refused request reached the model"
    assert services.library.held in ({}, {"tnt_acme": {}}), "a refused document is held"


def post(edge: Edge, route: Route, body: bytes, **more: Any) -> Reply:
    headers = {"content-type": "application/json", **more.pop("headers", {})}
    return send(edge, "POST", route.path, body, headers=headers, **more)


def check(route: Route, reply: Reply, bedrock: tuple[int, str], other: int) -> str:
    """The refusal has the family's shape; returns its message."""
    status, headers, body = reply
    value = orjson.loads(body)
    assert headers["x-tenantry-request-id"]
    if route.family == "bedrock":
        assert (status, headers["x-amzn-errortype"]) == bedrock, body
        assert value.keys() == {"message"}
        message = value["message"]
    else:
        assert status == other, body
        assert headers["x-should-retry"] == "false"
        message = value["error"]["message"] if route.family == "openai" else value["detail"]
    assert isinstance(message, str) and message
    return message


def invalid(route: Route, reply: Reply) -> str:
    return check(route, reply, (400, "ValidationException"), 400)


def changed(value: Any, path: str, new: Any) -> Any:
    """A copy of `value` with the member at `path` replaced."""
    name, _, rest = path.partition(".")
    key: Any = int(name) if isinstance(value, list) else name
    copy = list(value) if isinstance(value, list) else dict(value)
    copy[key] = changed(value[key], rest, new) if rest else new
    return copy


@every_route
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"hello",
        b"[]",
        b"null",
        b'"text"',
        b"1",
        b"\xff\xfe",
        b'{"a": NaN}',
        b'{"a": 1} x',
        b'{"a":' * 2_000 + b"1" + b"}" * 2_000,
    ],
    ids=lambda body: repr(body[:12]),
)
def test_not_json(edge: Edge, route: Route, body: bytes) -> None:
    invalid(route, post(edge, route, body))


@pytest.mark.parametrize(("route", "wrong"), WRONG, ids=path_of)
def test_wrong_types_and_values(edge: Edge, route: Route, wrong: Mapping[str, Any]) -> None:
    invalid(route, post(edge, route, orjson.dumps({**route.good, **wrong})))


@pytest.mark.parametrize("route", STRICT, ids=path_of)
def test_unknown_fields(edge: Edge, route: Route) -> None:
    reply = post(edge, route, orjson.dumps({**route.good, "nonsense": 1}))
    assert "nonsense" in invalid(route, reply)


@every_route
def test_a_body_over_25_mb(edge: Edge, route: Route) -> None:
    reply = post(edge, route, b"x" * 25_000_001)
    assert "25,000,000" in check(route, reply, (413, "RequestEntityTooLargeException"), 413)


@every_route
@pytest.mark.parametrize("key", [None, "", "tk_nobody", "tk_revoked", "tk_expired", "é" * 10])
def test_keys_that_open_nothing(edge: Edge, route: Route, key: str | None) -> None:
    reply = post(edge, route, orjson.dumps(route.good), key=key)
    check(route, reply, (403, "UnrecognizedClientException"), 401)
    assert "x-tenantry-tenant" not in reply[1]


@every_route
def test_a_forged_signature(edge: Edge, route: Route) -> None:
    forged = (
        "AWS4-HMAC-SHA256 Credential=AKIAACME/20261123/us-east-1/bedrock/aws4_request, "
        f"SignedHeaders=host;x-amz-date, Signature={'0' * 64}"
    )
    for authorization in (forged, forged[:60], "AWS4-HMAC-SHA256"):
        headers = {"authorization": authorization, "x-amz-date": "20261123T000000Z"}
        reply = post(edge, route, orjson.dumps(route.good), headers=headers)
        check(route, reply, (403, "InvalidSignatureException"), 401)


@every_route
def test_another_scheme(edge: Edge, route: Route) -> None:
    reply = post(edge, route, orjson.dumps(route.good), headers={"authorization": "Basic dGs6"})
    check(route, reply, (403, "UnrecognizedClientException"), 401)


@every_route
def test_a_missing_scope(edge: Edge, route: Route) -> None:
    key = "tk_acme-infer" if route.scope != "infer" else "tk_acme-search"
    reply = post(edge, route, orjson.dumps(route.good), key=key)
    assert route.scope in check(route, reply, (403, "AccessDeniedException"), 403)
    assert reply[1]["x-tenantry-tenant"] == "tnt_acme"


@every_route
def test_a_suspended_tenant(edge: Edge, route: Route) -> None:
    reply = post(edge, route, orjson.dumps(route.good), key="tk_gone")
    check(route, reply, (403, "AccessDeniedException"), 403)


@pytest.mark.parametrize("route", METADATA_ROUTES, ids=path_of)
@pytest.mark.parametrize("name", ["tid", "rid", "att", "env"])
def test_our_own_metadata_keys(edge: Edge, route: Route, name: str) -> None:
    assert route.metadata is not None
    body = {**route.good, route.metadata: {"team": "a", name: "tnt_bolt"}}
    assert f"`{name}`" in invalid(route, post(edge, route, orjson.dumps(body)))


@pytest.mark.parametrize("route", [r for r in ROUTES if "/invoke" in r.path], ids=path_of)
@pytest.mark.parametrize(
    "value", ['{"tid": "x"}', "[1]", "{", '{"a": 1}', '{"a": "' + "x" * 300 + '"}', "x" * 8_501]
)
def test_metadata_of_invoke_model(edge: Edge, route: Route, value: str) -> None:
    headers = {"x-amzn-bedrock-request-metadata": value}
    invalid(route, post(edge, route, orjson.dumps(route.good), headers=headers))


@every_route
@pytest.mark.parametrize("escape", [r"\u0000", r"\ud800", r"\udc00\ud800"])
def test_nul_and_lone_surrogates(edge: Edge, route: Route, escape: str) -> None:
    marked = changed(route.good, route.text, "@@")
    body = orjson.dumps(marked).replace(b"@@", b"a" + escape.encode() + b"b")
    invalid(route, post(edge, route, body))


@every_route
@pytest.mark.parametrize(
    "header",
    [
        ("x-tenantry-user", " "),
        ("x-tenantry-user", "x" * 257),
        ("x-tenantry-user", "\xff\xfe"),
        ("x-tenantry-groups", "a,,b"),
        ("x-tenantry-groups", ",".join(f"g{i}" for i in range(33))),
        ("x-tenantry-tags", "feature"),
        ("x-tenantry-tags", "a=1,a=2"),
        ("x-tenantry-tags", ",".join(f"k{i}=v" for i in range(9))),
        ("x-tenantry-run", "a b"),
        ("idempotency-key", "x" * 256),
    ],
    ids=lambda header: f"{header[0]}-{header[1][:8]!r}",
)
def test_attribution_that_cannot_be(edge: Edge, route: Route, header: tuple[str, str]) -> None:
    headers = {header[0]: header[1]}
    invalid(route, post(edge, route, orjson.dumps(route.good), headers=headers))


@every_route
def test_another_method(edge: Edge, route: Route) -> None:
    status, headers, _ = send(edge, "PATCH", route.path)
    if route.family == "bedrock":
        assert (status, headers["x-amzn-errortype"]) == (404, "UnknownOperationException")
    else:
        assert (status, headers["allow"]) in ((405, "POST"), (405, "GET, POST"))


@pytest.mark.parametrize(
    "path",
    ["/", "/model", "/model/x", "/model//converse", "/model/%ff/converse", "/v1", "//v1/search",
     "/v1/search/", "/V1/search", "/model/a/b/converse", "/v1/messages", "http://x/v1/search"],
)  # fmt: skip
def test_no_such_route(edge: Edge, path: str) -> None:
    status, _, body = send(edge, "POST", path, b"{}")
    assert status in (400, 404), body
    orjson.loads(body)


@pytest.mark.parametrize("name", ["", "x" * 2_049, "a%00b", "%0d%0aset-cookie:x"])
def test_a_model_id_that_is_none(edge: Edge, name: str) -> None:
    status, headers, _ = send(edge, "POST", f"/model/{name}/converse", b'{"messages": []}')
    assert status in (400, 404)
    assert "set-cookie" not in headers
