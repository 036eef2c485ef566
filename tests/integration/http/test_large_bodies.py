"""Large bodies: who sends one is known before it is kept, and nobody takes the room of all."""

from __future__ import annotations

import select
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from botocore.exceptions import ClientError
from tests.support.http2_client import CONVERSE, Client, fields
from tests.support.http_edge import Edge
from tests.support.http_services import OPERATOR_TOKEN
from tests.support.waiting import eventually

from tenantry.entrypoints.http.wire.handover import Refusal
from tenantry.entrypoints.http.wire.limits import WireLimits
from tenantry.entrypoints.http.wire.request import Request

LIMITS = WireLimits(held_bytes=1_000_000, discard_bytes=30_000_000)
LARGE = b'{"messages":[{"role":"user","content":[{"text":"' + b"y" * 200_000 + b'"}]}]}'
FIRST = 100_000  # bytes of it: more than is kept of whoever it is
ACME, BOLT = b"authorization: Bearer tk_acme\r\n", b"authorization: Bearer tk_bolt\r\n"
SIGNED = (
    b"authorization: AWS4-HMAC-SHA256 Credential=%b/20261130/us-east-1/bedrock/aws4_request,"
    b" SignedHeaders=host;x-amz-date, Signature=" + b"0" * 64 + b"\r\n"
)
NOBODY = {
    "no key": b"",
    "an unknown key": b"authorization: Bearer tk_nobody\r\n",
    "another scheme": b"authorization: Basic dGs6dGs=\r\n",
    "an unknown access key": SIGNED % b"AKIANOBODY",
    "a suspended tenant": b"authorization: Bearer tk_gone\r\n",
    "a suspended tenant's access key": SIGNED % b"AKIAGONE",
}


@pytest.fixture(scope="module")
def running_edge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Edge]:
    home: Path = tmp_path_factory.mktemp("home")
    with Edge(home, LIMITS) as edge:
        yield edge


@pytest.fixture
def asked(edge: Edge) -> Iterator[list[Request]]:
    """The heads about which the application was asked, each once it has answered."""
    server, heads = edge.data_server, list[Request]()
    who = server.who
    assert who is not None

    async def noted(head: Request) -> str | Refusal:
        answer = await who(head)
        heads.append(head)
        return answer

    server.who = noted
    yield heads
    server.who = who


def connect(edge: Edge, port: int | None = None) -> socket.socket:
    client = socket.create_connection(("127.0.0.1", port or edge.port), timeout=20)
    client.settimeout(20)
    return client


def head(
    who: bytes, path: str = CONVERSE, length: int = len(LARGE), more: bytes = b"close"
) -> bytes:
    close = b"connection: close\r\n" if more == b"close" else more
    line = b"POST %b HTTP/1.1\r\nhost: x\r\n" % path.encode()
    return line + who + close + b"content-length: %d\r\n\r\n" % length


def read_all(client: socket.socket) -> bytes:
    data = b""
    while piece := client.recv(65_536):
        data += piece
    return data


def answer_of(client: socket.socket) -> bytes:
    """Head and body of one answer."""
    data = b""
    while b"\r\n\r\n" not in data:
        piece = client.recv(65_536)
        assert piece, data
        data += piece
    before, _, body = data.partition(b"\r\n\r\n")
    length = int(before.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
    while len(body) < length:
        body += client.recv(65_536)
    return before + b"\r\n\r\n" + body


def talk(edge: Edge, who: bytes, body: bytes = LARGE) -> bytes:
    with connect(edge) as client:
        client.sendall(head(who, length=len(body)) + body)
        return read_all(client)


@pytest.mark.parametrize("who", NOBODY)
def test_who_has_no_key_is_told_at_once(edge: Edge, asked: list[Request], who: str) -> None:
    """In the shape of the API that was asked, and nothing is kept."""
    for path, told, kind in (
        (CONVERSE, b"HTTP/1.1 403", b"x-amzn-ErrorType: "),
        ("/v1/documents", b"HTTP/1.1 40", b"application/problem+json"),
        ("/v1/chat/completions", b"HTTP/1.1 40", b'"code":'),
    ):
        with connect(edge) as client:
            client.sendall(head(NOBODY[who], path, length=25_000_000, more=b"") + b"y" * FIRST)
            answer = answer_of(client)
            assert answer.startswith(told) and kind in answer, answer
            assert answer[9:12] in (b"401", b"403") and b"connection: close" in answer
            assert edge.data_server.held_bytes == 0
    assert len(asked) == 3
    assert all(each.body == b"" for each in asked)
    assert edge.requests == []


def test_the_answer_is_read_by_who_sends_all_first(edge: Edge) -> None:
    """A socket that is closed while more comes answers with a reset, which drops what was said."""
    with connect(edge) as client:
        client.sendall(head(b"", length=8_000_000) + b"y" * 8_000_000)
        answer = answer_of(client)
    assert answer.startswith(b"HTTP/1.1 403") and b"UnrecognizedClientException" in answer


def test_who_goes_on_for_ever_is_not_listened_to_for_ever(edge: Edge) -> None:
    with connect(edge) as client:
        client.sendall(head(b"", length=25_000_000) + b"y" * FIRST)
        answer_of(client)
        with pytest.raises(OSError):
            while True:
                client.sendall(b"y" * 1_000_000)


def test_many_without_a_key_take_nobodys_room(edge: Edge) -> None:
    server = edge.data_server
    with ExitStack() as stack:
        for _ in range(2 * LIMITS.held_bytes // FIRST):
            client = stack.enter_context(connect(edge))
            client.sendall(head(b"", "/v1/documents", 25_000_000) + b"y" * FIRST)
            answer_of(client)
        assert server.held_bytes == 0
        for who in (ACME, BOLT):
            assert talk(edge, who).startswith(b"HTTP/1.1 200")
    eventually(lambda: server.held_bytes == 0)


@pytest.mark.parametrize("coding", ["length", "chunks"])
def test_who_has_a_key_is_asked_once_and_goes_on(
    edge: Edge, asked: list[Request], coding: str
) -> None:
    with connect(edge) as client:
        pieces = [LARGE[:FIRST], LARGE[FIRST:150_000], LARGE[150_000:]]
        if coding == "chunks":
            begin = head(ACME).replace(
                b"content-length: %d" % len(LARGE), b"transfer-encoding: chunked"
            )
            pieces = [b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces]
            pieces[-1] += b"0\r\n\r\n"
        else:
            begin = head(ACME)
        client.sendall(begin)
        for piece in pieces:
            client.sendall(piece)
            eventually(lambda: bool(asked))
        assert read_all(client).startswith(b"HTTP/1.1 200")
    assert len(asked) == 1
    eventually(lambda: edge.data_server.held_bytes == 0)


def test_nobody_is_asked_about_a_small_body(edge: Edge, asked: list[Request]) -> None:
    small = LARGE.replace(b"y" * 150_000, b"")
    with connect(edge) as client:
        whole = head(ACME, length=len(small)) + small
        client.sendall(whole[:-9])
        client.sendall(whole[-9:])
        assert read_all(client).startswith(b"HTTP/1.1 200")
    with Client(edge.port) as client2:
        assert client2.ask(fields(), small).status == 200
    assert asked == []


@pytest.mark.parametrize("who", ["acme", *NOBODY])
def test_who_waits_for_word_has_it_once_it_is_known(edge: Edge, who: str) -> None:
    expect = b"expect: 100-continue\r\nconnection: close\r\n"
    with connect(edge) as client:
        client.sendall(head(NOBODY.get(who, ACME), more=expect))
        if who == "acme":
            assert client.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
            client.sendall(LARGE)
            assert read_all(client).startswith(b"HTTP/1.1 200")
        else:
            assert answer_of(client).startswith(b"HTTP/1.1 403")


def test_who_does_not_wait_for_word_is_served_too(edge: Edge) -> None:
    with connect(edge) as client:
        client.sendall(head(ACME, more=b"expect: 100-continue\r\nconnection: close\r\n") + LARGE)
        assert b"HTTP/1.1 200" in read_all(client)


def test_a_refusal_waits_for_its_turn(edge: Edge) -> None:
    """Behind a request that is still answered."""
    first = LARGE.replace(b"y" * 200_000, b"hi")
    with connect(edge) as client:
        client.sendall(head(ACME, length=len(first), more=b"") + first)
        client.sendall(head(b"", length=900_000, more=b"") + b"y" * FIRST)
        answers = b""
        while b"UnrecognizedClientException" not in answers:
            piece = client.recv(65_536)
            assert piece, answers
            answers += piece
    assert answers.startswith(b"HTTP/1.1 200") and b"HTTP/1.1 403" in answers


@pytest.mark.parametrize(
    ("path", "status"), [("/v1/nothing", b"404"), ("/healthz", b"404"), ("/model/a/b/c", b"404")]
)
def test_what_no_route_takes_is_not_kept(edge: Edge, path: str, status: bytes) -> None:
    with connect(edge) as client:
        client.sendall(head(ACME, path, length=900_000) + b"y" * FIRST)
        answer = answer_of(client)
        assert answer[9:12] in (status, b"405"), answer
        assert edge.data_server.held_bytes == 0


def test_the_admin_port_asks_for_its_token(edge: Edge) -> None:
    port = int(edge.admin_url.rpartition(":")[2])
    for token, begins in ((b"no", b"HTTP/1.1 401"), (OPERATOR_TOKEN.encode(), b"HTTP/1.1 4")):
        with connect(edge, port) as client:
            who = b"authorization: Bearer %b\r\n" % token
            client.sendall(head(who, "/admin/v1/plans") + LARGE[:FIRST])
            if token == b"no":
                assert answer_of(client).startswith(begins)
            else:
                client.sendall(LARGE[FIRST:])  # and its body is read, and judged
                answer = read_all(client)
                assert answer.startswith(begins) and b" 401 " not in answer[:20]


def test_one_tenant_leaves_room_for_the_other(edge: Edge, asked: list[Request]) -> None:
    """One that sends as much as it can has half: its own are told to wait, and nobody else's."""
    server = edge.data_server
    with ExitStack() as stack:
        holders = []
        for number in range(LIMITS.held_bytes // FIRST):
            client = stack.enter_context(connect(edge))
            client.sendall(head(BOLT, length=300_000) + b"y" * FIRST)
            # Else it counts to its address, which is the other tenant's too.
            eventually(lambda wanted=number + 1: len(asked) == wanted)
            client.sendall(b"y" * 50_000)
            holders.append(client)
        eventually(lambda: bool(select.select(holders, [], [], 0)[0]))
        refused = answer_of(select.select(holders, [], [], 0)[0][0])
        assert refused.startswith(b"HTTP/1.1 503") and b"ServiceUnavailableException" in refused
        assert b"\r\nretry-after: 1\r\n" in refused.lower()
        assert b"\r\nx-amz-retry-after: 1000\r\n" in refused.lower()
        eventually(lambda: server.held_bytes > 0.3 * LIMITS.held_bytes)
        assert server.held_bytes <= LIMITS.held_bytes // 2 + LIMITS.held_bytes // 16
        with connect(edge) as client:  # in pieces, so that it is asked who sends it
            client.sendall(head(ACME) + LARGE[:FIRST])
            client.sendall(LARGE[FIRST:])
            assert read_all(client).startswith(b"HTTP/1.1 200")
    eventually(lambda: server.held_bytes == 0)


def test_an_unmodified_client_sends_large_bodies(edge: Edge) -> None:
    messages = [{"role": "user", "content": [{"text": "y" * 700_000}]}]
    for name in ("acme", "bolt"):
        answer = edge.boto3(name).converse(modelId="amazon.nova-micro-v1:0", messages=messages)
        assert answer["ResponseMetadata"]["HTTPHeaders"]["x-tenantry-tenant"] == f"tnt_{name}"
    with pytest.raises(ClientError) as refused:
        edge.boto3("nobody").converse(modelId="amazon.nova-micro-v1:0", messages=messages)
    assert refused.value.response["Error"]["Code"] == "UnrecognizedClientException"
    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 403


# HTTP/2

H2_NOBODY: dict[str, tuple[str, str] | None] = {
    "no key": None,
    "an unknown key": ("authorization", "Bearer tk_nobody"),
    "a suspended tenant": ("authorization", "Bearer tk_gone"),
}


@pytest.mark.parametrize("who", H2_NOBODY)
def test_a_stream_without_a_key_is_told_at_once(edge: Edge, asked: list[Request], who: str) -> None:
    """And the other streams of its connection go on."""
    with Client(edge.port) as client:
        stream = client.begin(fields(who=H2_NOBODY[who]))
        other = client.begin(fields())
        client.body(stream, b"y" * FIRST, end=False)
        client.body(other, LARGE)
        while not (client.answers[stream].over and client.answers[other].over):
            assert client.receive()
        assert client.answers[stream].status == 403
        assert "x-amzn-errortype" in client.answers[stream].headers
        assert client.answers[other].status == 200
    assert 1 <= len(asked) <= 2
    eventually(lambda: edge.data_server.held_bytes == 0)


def test_a_stream_with_a_key_is_asked_once(edge: Edge, asked: list[Request]) -> None:
    body = LARGE.replace(b"y", b"yyyyyyyyyy")  # more than a window
    with Client(edge.port) as client:
        for name in ("acme", "bolt"):
            answer = client.ask(fields(who=("authorization", f"Bearer tk_{name}")), body)
            assert answer.status in (200, 503), answer
    assert len(asked) == 2
    eventually(lambda: edge.data_server.held_bytes == 0)


@pytest.mark.parametrize("who", ["acme", *H2_NOBODY])
def test_a_stream_that_waits_for_word_has_it_once_it_is_known(edge: Edge, who: str) -> None:
    expect = [("expect", "100-continue"), ("content-length", str(len(LARGE)))]
    key = H2_NOBODY.get(who, ("authorization", "Bearer tk_acme"))
    with Client(edge.port) as client:
        stream = client.begin(fields(CONVERSE, *expect, who=key))
        answer = client.answers[stream]
        while not (answer.informed or answer.over):
            assert client.receive()
        if who == "acme":
            assert answer.informed == [100]
            client.body(stream, LARGE)
            while not answer.over:
                assert client.receive()
            assert answer.status == 200
        else:
            assert (answer.informed, answer.status) == ([], 403)


def test_one_tenant_leaves_room_for_the_others_streams(edge: Edge) -> None:
    server = edge.data_server
    with Client(edge.port) as holder:
        bolt = ("authorization", "Bearer tk_bolt")
        streams = [holder.begin(fields(who=bolt)) for _ in range(LIMITS.held_bytes // FIRST)]
        for stream in streams:
            holder.body(stream, b"y" * FIRST, end=False)
        eventually(lambda: server.held_bytes > 0.4 * LIMITS.held_bytes - 65_536)
        with Client(edge.port) as other:
            assert other.ask(fields(), LARGE).status == 200
        for stream in streams:  # who has no room is told once its body is read away
            holder.body(stream, b"y")
        while not all(holder.answers[stream].over for stream in streams):
            assert holder.receive()
        told = [holder.answers[stream] for stream in streams]
        assert {answer.status for answer in told} == {400, 503}  # the bodies are no JSON
        assert all(a.headers["retry-after"] == "1" for a in told if a.status == 503)
    eventually(lambda: server.held_bytes == 0)
