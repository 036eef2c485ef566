"""HTTP/2 over the wire: who speaks it, and how its streams become requests and answers."""

import asyncio
import json
import socket
import ssl
from collections.abc import Iterator

import httpx
import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from tests.support import http_services
from tests.support.http2_client import BODY, CONVERSE, KEY, Answer, Client, fields, frame
from tests.support.http_bytes import converse, read_all
from tests.support.http_edge import Edge
from tests.support.http_services import CONVERSE_ANSWER, converse_events, key_of
from tests.support.waiting import eventually

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"


@pytest.fixture
def client(edge: Edge) -> Iterator[Client]:
    with Client(edge.port) as client:
        yield client


def secure(edge: Edge, alpn: list[str]) -> Client:
    port = int(edge.https_url.rpartition(":")[2])
    return Client(port, ca=edge.ca_bundle, alpn=alpn, begins=False)


@pytest.mark.parametrize(
    ("offered", "chosen"),
    [
        (["http/1.1", "h2"], "http/1.1"),
        (["h2", "http/1.1"], "http/1.1"),
        (["h2"], "h2"),
        (["http/1.1"], "http/1.1"),
        ([], None),
    ],
)
def test_who_takes_both_gets_the_cheaper_one(
    edge: Edge, offered: list[str], chosen: str | None
) -> None:
    with secure(edge, offered) as client:
        assert isinstance(client.socket, ssl.SSLSocket)
        assert client.socket.selected_alpn_protocol() == chosen
        if chosen == "h2":
            client.h2.initiate_connection()
            assert client.ask(fields(), BODY).status == 200
        else:
            client.raw(converse(more=b"connection: close\r\n"))
            assert read_all(client.socket).startswith(b"HTTP/1.1 200")


def test_an_unmodified_client_that_speaks_it_alone(edge: Edge) -> None:
    trusted = ssl.create_default_context(cafile=str(edge.ca_bundle))
    url, headers = edge.https_url.replace("127.0.0.1", "localhost"), dict([KEY])
    with httpx.Client(http1=False, http2=True, verify=trusted, timeout=20) as client:
        for _ in range(3):
            answer = client.post(url + CONVERSE, content=BODY, headers=headers)
            assert answer.http_version == "HTTP/2" and answer.json() == CONVERSE_ANSWER
        large = client.post(url + CONVERSE, content=b"x" * 26_000_000, headers=headers)
        assert large.status_code == 413


@pytest.mark.parametrize("size", [1, 3, 16, 17, 23, 1_000])
def test_the_preface_in_pieces(edge: Edge, size: int) -> None:
    with Client(edge.port, begins=False) as client:
        client.h2.initiate_connection()
        first = client.h2.data_to_send()
        assert first.startswith(PREFACE)
        for at in range(0, len(first), size):
            client.raw(first[at : at + size])
        assert client.ask(fields(), BODY).status == 200


def test_a_request_byte_by_byte(edge: Edge) -> None:
    with Client(edge.port) as client:
        stream_id = client.h2.get_next_available_stream_id()
        client.h2.send_headers(stream_id, fields())
        client.h2.send_data(stream_id, BODY, end_stream=True)
        answer = client.answers[stream_id] = Answer()
        for byte in client.h2.data_to_send():
            client.raw(bytes((byte,)))
        client.until(lambda: answer.over)
        assert answer.status == 200


@pytest.mark.parametrize(
    "sent",
    [
        PREFACE[:-1] + b"x",
        PREFACE[-6:],
        PREFACE.replace(b"SM", b"SN"),
        PREFACE.replace(b"*", b"/"),
        PREFACE.replace(b"2.0", b"1.1"),
        PREFACE.replace(b"PRI", b"GET"),
        b"\r\n" + PREFACE,
        converse() + PREFACE,
        b"PRI / HTTP/1.1\r\n",
    ],
)
def test_what_is_no_preface_is_no_http_2(edge: Edge, sent: bytes) -> None:
    with socket.create_connection(("127.0.0.1", edge.port), timeout=20) as plain:
        plain.sendall(sent + b"\r\n\r\n")
        assert read_all(plain).rpartition(b"HTTP/1.1 ")[2].startswith(b"400")


def test_the_admin_port_speaks_it_too(edge: Edge) -> None:
    with Client(int(edge.admin_url.rpartition(":")[2])) as client:
        assert client.ask(fields("/healthz", method="GET", who=None)).body == b'{"status":"ok"}'


def test_an_answer_is_whole_and_plain(client: Client) -> None:
    answer = client.ask(fields(), BODY)
    assert (answer.status, json.loads(answer.body)) == (200, CONVERSE_ANSWER)
    assert answer.headers["content-length"] == str(len(answer.body))
    assert answer.headers["x-tenantry-tenant"] == "tnt_acme" and answer.headers["date"]
    assert answer.headers.keys().isdisjoint({"connection", "transfer-encoding", "keep-alive"})
    assert all(name == name.lower() for name in answer.headers)


def test_a_stream_comes_in_its_frames(client: Client) -> None:
    answer = client.ask(fields(CONVERSE + "-stream"), BODY)
    assert answer.headers["content-type"] == "application/vnd.amazon.eventstream"
    assert answer.ended and answer.frames == len(converse_events())


def test_head_and_nothing_have_no_body(client: Client) -> None:
    answer = client.ask(fields("/openapi.json", method="HEAD", who=None))
    assert answer.status == 200 and int(answer.headers["content-length"]) > 1_000
    assert answer.ended and answer.body == b""


@pytest.mark.parametrize("name", ["acme", "bolt"])
@pytest.mark.parametrize("signs", ["host", ":authority"])
@pytest.mark.parametrize("model", ["amazon.nova-micro-v1%3A0", "arn%3Aaws%3Abedrock%2Fx"])
def test_signatures_are_over_the_path_as_it_came(
    client: Client, name: str, signs: str, model: str
) -> None:
    """And over whichever name of the host: the AWS SDK for JavaScript signs `:authority`."""
    key, path = key_of(name), f"/model/{model}/converse"
    request = AWSRequest("POST", f"http://localhost{path}", data=BODY)
    signer = SigV4Auth(Credentials(key.access_key_id, key.secret), "bedrock", "us-east-1")
    plain = signer.canonical_request

    def renamed(asked: AWSRequest) -> str:
        method, uri, query, *lines = plain(asked).split("\n")
        told = [line for line in lines if line.startswith("host:")]
        rest = [line for line in lines if not line.startswith("host:")]
        text = "\n".join((method, uri, query, *(":authority" + t[4:] for t in told), *rest))
        return text.replace("host;x-amz-date", ":authority;x-amz-date")

    if signs != "host":
        signer.canonical_request = renamed
    signer.add_auth(request)
    signed = [(n.lower(), v.replace("=host;", f"={signs};")) for n, v in request.headers.items()]
    answer = client.ask(fields(path, *signed, who=None, authority="localhost"), BODY)
    assert answer.status == 200, answer.body
    assert answer.headers["x-tenantry-tenant"] == f"tnt_{name}"
    other = client.ask(fields(path, *signed, who=None, authority="elsewhere"), BODY)
    assert other.status == 403


def test_many_at_once_are_each_answered_their_own(edge: Edge, client: Client) -> None:
    """Of two tenants, in whatever order their answers are ready."""
    inference = edge.services.inference
    edge.call(inference.gate.clear)
    streamed = {
        client.send(
            fields(CONVERSE + "-stream", who=("authorization", f"Bearer tk_{name}")), BODY
        ): name
        for name in ["acme", "bolt"] * 5
    }
    eventually(lambda: len(inference.streams) == 10)
    plain = {
        client.send(fields(who=("authorization", f"Bearer tk_{name}")), BODY): name
        for name in ["bolt", "acme", "nobody"] * 4
    }
    for stream_id, name in plain.items():
        answer = client.answer(stream_id)
        if name == "nobody":
            assert answer.status == 403 and "x-tenantry-tenant" not in answer.headers
        else:
            assert answer.headers["x-tenantry-tenant"] == f"tnt_{name}"
            assert json.loads(answer.body) == CONVERSE_ANSWER
    assert not any(client.answers[stream_id].ended for stream_id in streamed)
    edge.call(inference.gate.set)
    for stream_id, name in streamed.items():
        answer = client.answer(stream_id)
        assert answer.headers["x-tenantry-tenant"] == f"tnt_{name}"
        assert answer.frames == len(converse_events())


REFUSED = [
    (fields(CONVERSE, ("host", "y")), 400, "host"),
    (fields(CONVERSE, ("authorization", "Bearer tk_bolt")), 400, "sent twice"),
    (fields(CONVERSE, ("x-tenantry-user", "a"), ("x-tenantry-user", "b")), 400, "sent twice"),
    (fields(CONVERSE, ("x-tenantry-groups", "a"), ("x-tenantry-groups", "b")), 400, "sent twice"),
    (fields(CONVERSE, *[("content-length", str(len(BODY)))] * 2), 400, "sent twice"),
    (fields(CONVERSE, ("Upper", "a")), 400, "HTTP/2"),
    (fields(CONVERSE, ("x", "a\r\nb: c")), 400, "HTTP/2"),
    (fields(CONVERSE, ("x", "a\x00")), 400, "HTTP/2"),
    (fields(CONVERSE, ("x", " b ")), 400, "HTTP/2"),
    (fields(CONVERSE, ("x", "b\t")), 400, "HTTP/2"),
    (fields(CONVERSE, ("cookie", " a=b")), 400, "HTTP/2"),
    (fields(CONVERSE, authority=" x"), 400, "HTTP/2"),
    (fields(CONVERSE, ("connection", "close")), 400, "HTTP/2"),
    (fields(CONVERSE, ("transfer-encoding", "chunked")), 400, "HTTP/2"),
    (fields(CONVERSE, ("te", "gzip")), 400, "HTTP/2"),
    (fields(CONVERSE, (":path", "/v1/models")), 400, "HTTP/2"),
    (fields(CONVERSE)[1:], 400, "HTTP/2"),  # no method
    (fields(CONVERSE)[:1] + fields(CONVERSE)[2:], 400, "HTTP/2"),  # no scheme
    ([*fields(CONVERSE)[:3], KEY], 400, "host is missing"),
    ([*fields(CONVERSE), (":x", "a")], 400, "HTTP/2"),
    ([(":x", "a"), *fields(CONVERSE)], 400, "HTTP/2"),
    (fields("model/x/converse"), 400, "HTTP/2"),
    (fields("/model/x y/converse"), 400, "HTTP/2"),
    (fields("", method="GET"), 400, "HTTP/2"),
    (fields(CONVERSE, method="CONNECT"), 400, "no proxy"),
    (fields(CONVERSE, method="P T"), 400, "HTTP/2"),
    (fields("/" + "a" * 20_000), 414, "too long"),
    (fields(CONVERSE, ("x", "a" * 70_000)), 431, "too large"),
    (fields(CONVERSE, *[("x", "a")] * 200), 431, "too large"),
]


@pytest.mark.parametrize(("head", "status", "why"), REFUSED)
def test_what_is_not_to_be_read_is_refused_alone(
    edge: Edge, client: Client, head: list[tuple[str, str]], status: int, why: str
) -> None:
    """In the shape of its API; the connection goes on."""
    answer = client.ask(head, BODY)
    assert answer.status == status and why in answer.body.decode(), answer
    assert edge.services.inference.asked == []
    assert client.ask(fields(), BODY).status == 200


def test_a_refusal_has_the_shape_of_the_api_that_was_asked(client: Client) -> None:
    bedrock = client.ask(fields(CONVERSE, ("Upper", "a")), BODY)
    openai = client.ask(fields("/v1/chat/completions", ("Upper", "a")), BODY)
    assert bedrock.headers["x-amzn-errortype"] and "message" in json.loads(bedrock.body)
    assert "error" in json.loads(openai.body)


def test_cookies_and_repeated_headers_are_joined(edge: Edge, client: Client) -> None:
    seen = []
    server = edge.data_server
    serve = server.application.serve

    async def noted(request, exchange):
        seen.append(request)
        await serve(request, exchange)

    server.application.serve = noted
    try:
        more = [("cookie", "a=b"), ("x-a", "1"), ("cookie", "c=d"), ("x-a", "2"), ("host", "x")]
        assert client.ask(fields(CONVERSE + "?a=%2F&b", *more), BODY).status == 200
    finally:
        server.application.serve = serve
    (request,) = seen
    assert request.headers["cookie"] == "a=b; c=d" and request.headers["x-a"] == "1,2"
    assert request.raw_path == CONVERSE and request.raw_query == "a=%2F&b"
    assert request.headers["host"] == "x" and not any(n.startswith(":") for n in request.headers)
    assert [i for i in request.header_items if i[0] in ("cookie", "x-a", "host")] == [
        ("x-a", "1"), ("x-a", "2"), ("host", "x"), ("cookie", "a=b; c=d"),
    ]  # fmt: skip


def test_a_trailer_is_no_header(edge: Edge, client: Client) -> None:
    stream_id = client.begin(fields())
    client.body(stream_id, BODY, end=False)
    trailer = [("x-tenantry-groups", "board"), ("authorization", "Bearer tk_bolt")]
    client.h2.send_headers(stream_id, trailer, end_stream=True)
    client.flush()
    assert client.answer(stream_id).status == 200
    ((ctx, _),) = edge.services.inference.asked
    assert ctx.groups == frozenset() and ctx.principal.tenant.name == "acme"


def test_expect_continue(client: Client) -> None:
    stream_id = client.begin(fields(CONVERSE, ("expect", "100-continue")))
    answer = client.answers[stream_id]
    client.until(lambda: bool(answer.informed))
    client.body(stream_id, BODY)
    assert client.answer(stream_id).status == 200 and answer.informed == [100]
    refused = client.begin(fields(CONVERSE, ("expect", "100-continue"), ("Upper", "a")))
    assert client.answer(refused).status == 400  # and is not waited for
    assert client.ask(fields(), BODY).status == 200


def test_a_body_of_another_length_than_was_said(edge: Edge, client: Client) -> None:
    answer = client.ask(fields(CONVERSE, ("content-length", "9")))
    assert answer.status == 400 and edge.services.inference.asked == []


def test_large_bodies_either_way(edge: Edge, client: Client) -> None:
    edge.services.inference.answer = {"text": "y" * 5_000_000}
    text = b"x" * (25_000_000 - len(BODY))
    answer = client.ask(fields(), BODY.replace(b"hi", b"hi" + text))
    assert answer.status == 200 and answer.body.count(b"y") == 5_000_000
    (_, asked) = edge.services.inference.asked[0]
    assert len(str(asked)) > 24_000_000
    eventually(lambda: edge.data_server.held_bytes == 0 and edge.data_server.unsent.bytes == 0)


def test_a_value_cannot_write_headers_of_its_own(client: Client) -> None:
    before = dict(http_services.UPSTREAM_HEADERS)
    http_services.UPSTREAM_HEADERS["X-Upstream"] = "a\r\nset-cookie: b=c\r\n\r\n<html>"
    http_services.UPSTREAM_HEADERS["Connection"] = "close"
    try:
        answer = client.ask(fields(), BODY)
    finally:
        http_services.UPSTREAM_HEADERS.clear()
        http_services.UPSTREAM_HEADERS.update(before)
    assert answer.headers["x-upstream"] == "a set-cookie: b=c <html>"
    assert answer.headers.keys().isdisjoint({"connection", "set-cookie"})


def test_a_reset_ends_only_its_reader(edge: Edge, client: Client) -> None:
    inference = edge.services.inference
    edge.call(inference.gate.clear)
    left = client.send(fields(CONVERSE + "-stream"), BODY)
    client.until(lambda: b"messageStart" in client.answers[left].body)
    stays = client.send(fields(CONVERSE + "-stream"), BODY)
    client.until(lambda: b"messageStart" in client.answers[stays].body)
    client.h2.reset_stream(left, 8)
    client.flush()
    first, second = inference.streams
    edge.run(asyncio.wait_for(first.left.wait(), 10))
    assert not second.left.is_set()
    edge.call(inference.gate.set)
    assert client.answer(stays).frames == len(converse_events())
    eventually(lambda: not edge.data_server.tasks)


def test_a_lost_connection_ends_all_its_readers(edge: Edge) -> None:
    inference = edge.services.inference
    edge.call(inference.gate.clear)
    with Client(edge.port) as client:
        for _ in range(2):
            client.send(fields(CONVERSE + "-stream"), BODY)
        eventually(lambda: len(inference.streams) == 2)
    for stream in inference.streams:
        edge.run(asyncio.wait_for(stream.left.wait(), 10))
    eventually(lambda: not edge.data_server.tasks)


def test_a_client_that_says_goodbye_gets_its_answers(edge: Edge, client: Client) -> None:
    """As Node's does that has no more to ask on this connection."""
    edge.call(edge.services.inference.gate.clear)
    stream_id = client.send(fields(CONVERSE + "-stream"), BODY)
    client.until(lambda: b"messageStart" in client.answers[stream_id].body)
    client.raw(frame(7, bytes(8)))
    edge.call(edge.services.inference.gate.set)
    assert client.answer(stream_id).frames == len(converse_events())
    client.read_all()
    assert client.goaway == 0
