"""What a signature must cover: whoever overhears a request may send it again, and add nothing."""

from __future__ import annotations

import http.client
from typing import Any

import pytest
from botocore.exceptions import ClientError
from tests.support.http2_client import CONVERSE, Client, fields
from tests.support.http_edge import Edge

MODEL = "amazon.nova-micro-v1:0"
MESSAGES: Any = [{"role": "user", "content": [{"text": "hi"}]}]
ADDED = [
    ("x-tenantry-groups", "hr"), ("x-tenantry-user", "the ceo"), ("x-tenantry-tags", "team=b"),
    ("x-tenantry-run", "run"), ("idempotency-key", "again"),
    ("x-amzn-bedrock-service-tier", "priority"),
]  # fmt: skip


def overheard(edge: Edge, name: str) -> tuple[dict[str, str], bytes]:
    """Headers and body of a request as boto3 sent it in clear."""
    client, seen = edge.boto3(name), list[Any]()
    client.meta.events.register(
        "before-send.bedrock-runtime.*", lambda request, **_: seen.append(request)
    )
    client.converse(modelId=MODEL, messages=MESSAGES)
    headers = {
        key: value.decode("latin-1") if isinstance(value, bytes) else str(value)
        for key, value in seen[0].headers.items()
    }
    return headers, seen[0].body


def sent_again(edge: Edge, headers: dict[str, str], body: bytes) -> tuple[int, str | None, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", edge.port, timeout=20)
    connection.request("POST", CONVERSE, body, headers)
    answer = connection.getresponse()
    told = answer.status, answer.getheader("x-amzn-ErrorType"), answer.read()
    connection.close()
    return told


@pytest.mark.parametrize("name", ["acme", "bolt"])
@pytest.mark.parametrize("added", ADDED, ids=lambda item: item[0])
def test_nothing_is_added_to_an_overheard_request(
    edge: Edge, name: str, added: tuple[str, str]
) -> None:
    headers, body = overheard(edge, name)
    edge.services.inference.asked.clear()
    status, kind, text = sent_again(edge, {**headers, added[0]: added[1]}, body)
    assert (status, kind) == (403, "InvalidSignatureException"), text
    assert b"must be signed" in text
    assert edge.services.inference.asked == []


def test_nor_over_http_2(edge: Edge) -> None:
    headers, body = overheard(edge, "acme")
    host = f"127.0.0.1:{edge.port}"
    kept = [
        (key.lower(), value) for key, value in headers.items() if key.lower() != "content-length"
    ]
    edge.services.inference.asked.clear()
    with Client(edge.port) as client:
        head = fields(CONVERSE, *kept, ADDED[0], who=None, authority=host)
        answer = client.ask(head, body)
        assert answer.status == 403
        assert answer.headers["x-amzn-errortype"] == "InvalidSignatureException"
    assert edge.services.inference.asked == []


def test_which_event_of_boto3_adds_a_header_that_is_signed(edge: Edge) -> None:
    """`before-send` comes after the signature."""

    def with_user(event: str, user: str) -> Any:
        client = edge.boto3()

        def add(request: Any = None, params: Any = None, **_: Any) -> None:
            headers = params["headers"] if request is None else request.headers
            headers["x-tenantry-user"] = user

        client.meta.events.register(f"{event}.bedrock-runtime.*", add)
        return client

    for event in ("before-call", "before-sign"):
        with_user(event, event).converse(modelId=MODEL, messages=MESSAGES)
    told = [context.user for context, _ in edge.services.inference.asked]
    assert told == ["before-call", "before-sign"]
    with pytest.raises(ClientError) as refused:
        with_user("before-send", "x").converse(modelId=MODEL, messages=MESSAGES)
    assert refused.value.response["Error"]["Code"] == "InvalidSignatureException"


@pytest.mark.parametrize("user", ["Jürgen", "voilà", "Łukasz", "王芳"])
def test_a_signed_header_is_text_as_people_write_it(edge: Edge, user: str) -> None:
    """boto3 sends and signs UTF-8, among whose bytes are some that are blanks to Latin-1."""
    client = edge.boto3()

    def add(request: Any, **_: Any) -> None:
        request.headers["x-tenantry-user"] = user

    client.meta.events.register("before-sign.bedrock-runtime.*", add)
    client.converse(modelId=MODEL, messages=MESSAGES)
    assert [context.user for context, _ in edge.services.inference.asked] == [user]


@pytest.mark.parametrize("spelling", ["utf-8", "latin-1"])
def test_a_signed_header_holds_however_it_is_spelled(edge: Edge, spelling: str) -> None:
    """Both are the same text, of which the signature is; another text is refused."""
    client, seen = edge.boto3(), list[Any]()
    events = client.meta.events

    def add(request: Any, **_: Any) -> None:
        request.headers["x-note"] = "Jürgen, voilà"

    events.register("before-sign.bedrock-runtime.*", add)
    events.register("before-send.bedrock-runtime.*", lambda request, **_: seen.append(request))
    client.converse(modelId=MODEL, messages=MESSAGES)
    headers = {
        key: value.decode() if isinstance(value, bytes) else str(value)
        for key, value in seen[0].headers.items()
    }
    for text, status in (("Jürgen, voilà", 200), ("Jürgen, voilá", 403)):
        sent = {**headers, "x-note": text.encode(spelling).decode("latin-1")}
        assert sent_again(edge, sent, seen[0].body)[0] == status
