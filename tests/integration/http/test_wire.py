"""HTTP/1.1 as bytes: framing, limits, deadlines, hang-ups."""

import asyncio
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from tests.support.http_bytes import (
    BODY,
    CLOSE,
    CONVERSE,
    HEAD,
    chunked,
    connect,
    converse,
    read_all,
    talk,
)
from tests.support.http_edge import Edge
from tests.support.http_services import converse_events, key_of
from tests.support.waiting import eventually

from tenantry.domain.eventstream import Decoder
from tenantry.entrypoints.http.wire.limits import WireLimits

LIMITS = WireLimits(
    body_bytes=100_000,
    discard_bytes=400_000,
    head_s=0.4,
    body_s=0.6,
    idle_s=1.5,
    stall_s=0.5,
    close_s=0.5,
    requests=3,
    write_buffer_bytes=65_536,
    held_bytes=150_000,
    small_body_bytes=1_000,
)


@pytest.fixture(scope="module")
def running_edge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Edge]:
    """An edge with limits that a test can reach."""
    home: Path = tmp_path_factory.mktemp("home")
    with Edge(home, LIMITS) as edge:
        yield edge


def statuses_in(answers: bytes) -> list[bytes]:
    """One after the other; an answer's body ends without a line break."""
    lines = [line for line in answers.split(b"\r\n") if b"HTTP/1.1 " in line]
    return [line.rpartition(b"HTTP/1.1 ")[2][:3] for line in lines]


def test_pipelined_requests_are_answered_in_order(edge: Edge) -> None:
    first = converse() * 3
    second = b"GET /nowhere HTTP/1.1\r\nhost: x\r\n\r\n"
    answers = talk(edge, first + second + converse(more=CLOSE))
    assert statuses_in(answers) == [b"200", b"200", b"200", b"404", b"200"]


@pytest.mark.parametrize(
    ("sent", "statuses"),
    [
        (converse() + b"\x00\r\n\r\n", [b"200", b"400"]),
        (converse() + converse(more=b"content-length: 1\r\n"), [b"200", b"400"]),
        (converse(more=CLOSE) + b"more\r\n", [b"200"]),
        # A length that is too short, in characters where bytes are meant: the rest is no request.
        (converse(BODY[:-2]) + BODY[-2:], [b"400", b"400"]),
    ],
)
def test_no_answer_is_lost_by_what_comes_after_its_request(
    edge: Edge, sent: bytes, statuses: list[bytes]
) -> None:
    assert statuses_in(talk(edge, sent)) == statuses


def test_a_request_byte_by_byte(edge: Edge) -> None:
    with connect(edge) as client:
        for byte in converse(more=CLOSE):
            client.sendall(bytes((byte,)))
        assert read_all(client).startswith(b"HTTP/1.1 200 OK\r\n")


def test_a_chunked_request_body(edge: Edge) -> None:
    chunks = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in (BODY[:7], BODY[7:]))
    request = b"POST " + CONVERSE + b" HTTP/1.1\r\n" + HEAD + CLOSE
    answer = talk(edge, request + b"transfer-encoding: chunked\r\n\r\n" + chunks + b"0\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 200")


def test_http_1_0_gets_a_stream_without_chunks(edge: Edge) -> None:
    request = converse(stream=True).replace(b"HTTP/1.1", b"HTTP/1.0")
    head, _, body = talk(edge, request).partition(b"\r\n\r\n")
    assert b"transfer-encoding" not in head
    assert len(Decoder().feed(body)) == len(converse_events())


def test_head_is_answered_without_a_body(edge: Edge) -> None:
    answer = talk(edge, b"HEAD /openapi.json HTTP/1.1\r\nhost: x\r\n" + CLOSE + b"\r\n")
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200") and body == b""


ORIGINS = (b"http://x", b"https://other.example:8443", b"HTTP://[::1]:80", b"http://")


@pytest.mark.parametrize("origin", ORIGINS)
def test_a_target_in_absolute_form_is_its_path(edge: Edge, origin: bytes) -> None:
    def absolute(request: bytes) -> bytes:
        method, target, rest = request.split(b" ", 2)
        return b" ".join((method, origin + target, rest))

    answers = talk(
        edge,
        absolute(converse())
        + absolute(b"GET /v1/usage?from=x HTTP/1.1\r\n" + HEAD + b"\r\n")
        + absolute(converse(stream=True, more=b"upgrade: h2c\r\nconnection: upgrade\r\n"))
        + absolute(b"GET /nowhere HTTP/1.1\r\nhost: x\r\n" + CLOSE + b"\r\n"),
    )
    assert statuses_in(answers) == [b"200", b"400", b"200", b"404"]
    assert b"x-amzn-errortype" not in answers.lower().rpartition(b"http/1.1 404")[2]


@pytest.mark.parametrize("name", ["acme", "bolt"])
@pytest.mark.parametrize("target", ["http://elsewhere:1{}", "{}"])
def test_a_signature_is_over_the_path_without_its_origin(
    edge: Edge, name: str, target: str
) -> None:
    key, path = key_of(name), CONVERSE.decode()
    request = AWSRequest("POST", f"http://localhost{path}", data=BODY)
    SigV4Auth(Credentials(key.access_key_id, key.secret), "bedrock", "us-east-1").add_auth(request)
    headers = "".join(f"{name}: {value}\r\n" for name, value in request.headers.items())
    head = f"POST {target.format(path)} HTTP/1.1\r\nhost: localhost\r\n{headers}"
    length = b"content-length: %d\r\n" % len(BODY)
    answer = talk(edge, head.encode() + length + CLOSE + b"\r\n" + BODY)
    assert answer.startswith(b"HTTP/1.1 200"), answer
    assert b"x-tenantry-tenant: tnt_%b" % name.encode() in answer


@pytest.mark.parametrize(
    "line", [b"OPTIONS *", b"OPTIONS http://x", b"GET http://x?a", b"GET ftp://x/v1/limits"]
)
def test_a_target_without_a_path_names_nothing(edge: Edge, line: bytes) -> None:
    answer = talk(edge, line + b" HTTP/1.1\r\n" + HEAD + CLOSE + b"\r\n")
    assert statuses_in(answer) == [b"404"]


def test_an_offer_to_upgrade_is_passed_over(edge: Edge) -> None:
    offer = b"connection: upgrade, http2-settings\r\nupgrade: h2c\r\nhttp2-settings: AAA\r\n"
    answer = talk(edge, converse(more=offer) + converse(more=CLOSE))
    assert answer.count(b"HTTP/1.1 200") == 2


def test_an_offer_to_upgrade_with_expect_continue_is_told_to_go_on_once(edge: Edge) -> None:
    more = b"connection: upgrade\r\nupgrade: h2c\r\nexpect: 100-continue\r\n"
    whole = converse(more=more) + converse(more=CLOSE)
    with connect(edge) as client:
        client.sendall(whole)
        assert statuses_in(read_all(client)) == [b"100", b"200", b"200"]


def test_an_offer_to_upgrade_leaves_http_1_0_what_it_is(edge: Edge) -> None:
    offer = b"connection: upgrade\r\nupgrade: h2c\r\n"
    request = converse(more=offer, stream=True).replace(b"HTTP/1.1", b"HTTP/1.0")
    head, _, body = talk(edge, request).partition(b"\r\n\r\n")
    assert b"connection: close" in head and b"transfer-encoding" not in head
    assert len(Decoder().feed(body)) == len(converse_events())


def test_expect_continue(edge: Edge) -> None:
    with connect(edge) as client:
        whole = converse(more=b"expect: 100-continue\r\n" + CLOSE)
        client.sendall(whole[: -len(BODY)])
        assert client.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        client.sendall(BODY)
        assert read_all(client).startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (b"nonsense\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\r\n\r\n", b"400"),  # no host
        (converse(more=b"host: y\r\n"), b"400"),
        (converse(more=b"authorization: Bearer tk_bolt\r\n"), b"400"),
        (converse(more=b"content-length: 3\r\n"), b"400"),
        (converse(more=b"transfer-encoding: chunked\r\n"), b"400"),
        (b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: -1\r\n\r\n", b"400"),
        (b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 9" + b"9" * 30 + b"\r\n\r\n", b"4"),
        (b"CONNECT x:1 HTTP/1.1\r\nhost: x\r\n\r\n", b"400"),
        (b"CONNECT /v1/search HTTP/1.1\r\nhost: x\r\n\r\n", b"400"),
        (converse(more=b"bad header: x\r\n"), b"400"),
        (converse(more=b":authority: x\r\n"), b"400"),  # which signatures of HTTP/2 cover
        (converse(more=b"x: a\r\n b\r\n"), b"400"),  # folded
        (b"GET /" + b"a" * 20_000 + b" HTTP/1.1\r\nhost: x\r\n\r\n", b"414"),
        (converse(more=b"x: " + b"a" * 70_000 + b"\r\n"), b"431"),
        (converse(more=b"x: a\r\n" * 200), b"431"),
    ],
)
def test_what_is_not_to_be_read_is_refused_and_closed(
    edge: Edge, request_bytes: bytes, status: bytes
) -> None:
    assert talk(edge, request_bytes).startswith(b"HTTP/1.1 " + status)
    assert edge.services.inference.asked == []


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_over_the_limit_is_read_away_and_refused(edge: Edge, chunked: bool) -> None:
    body = b"x" * (LIMITS.body_bytes + 1)
    if chunked:
        framing = b"transfer-encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)
    else:
        framing = b"content-length: %d\r\n\r\n%b" % (len(body), body)
    answer = talk(edge, b"POST " + CONVERSE + b" HTTP/1.1\r\n" + HEAD + framing)
    assert answer.startswith(b"HTTP/1.1 413")
    assert b"RequestEntityTooLargeException" in answer


def test_a_far_larger_body_is_not_even_read(edge: Edge) -> None:
    request = b"POST " + CONVERSE + b" HTTP/1.1\r\n" + HEAD + b"content-length: 999999999\r\n\r\n"
    assert talk(edge, request).startswith(b"HTTP/1.1 413")


def test_a_trailer_is_no_header(edge: Edge) -> None:
    """Whoever stands before us sets and strips headers: it looks for them in the head."""
    trailer = b"x-tenantry-groups: board\r\nauthorization: Bearer tk_bolt\r\n"
    assert talk(edge, chunked(BODY, trailer)).startswith(b"HTTP/1.1 200")
    ((ctx, _),) = edge.services.inference.asked
    assert ctx.groups == frozenset()
    assert ctx.principal.tenant.name == "acme"


@pytest.mark.parametrize(
    "name", [b"authorization", b"x-tenantry-user", b"x-tenantry-groups", b"x-tenantry-run"]
)
def test_who_asks_for_whom_is_said_once(edge: Edge, name: bytes) -> None:
    """A proxy that adds its own beside its client's would let the client choose."""
    answer = talk(edge, converse(more=name + b": board\r\n" + name.title() + b": all\r\n"))
    assert answer.startswith(b"HTTP/1.1 400") and b"sent twice" in answer
    assert edge.services.inference.asked == []


@pytest.mark.parametrize("coding", [b"gzip, chunked", b"chunked, chunked", b"identity"])
def test_a_transfer_coding_that_is_not_decoded_is_refused(edge: Edge, coding: bytes) -> None:
    assert talk(edge, chunked(BODY, coding=coding)).startswith(b"HTTP/1.1 400")
    assert edge.services.inference.asked == []


def test_large_bodies_of_all_callers_together_are_bounded(edge: Edge) -> None:
    """They are read before anybody knows who sends them. Small ones are always taken."""
    server = edge.data_server
    large = b'{"x":"' + b"y" * 90_000 + b'"}'
    with connect(edge) as holder:
        holder.sendall(converse(large)[:-1])
        eventually(lambda: server.held_bytes > 80_000)
        refused = talk(edge, converse(large))
        assert refused.startswith(b"HTTP/1.1 503")
        assert b"ServiceUnavailableException" in refused
        assert talk(edge, converse(more=CLOSE)).startswith(b"HTTP/1.1 200")
    eventually(lambda: server.held_bytes == 0)
    assert talk(edge, converse(large, more=CLOSE)).startswith(b"HTTP/1.1 400")  # read, judged
    eventually(lambda: server.held_bytes == 0)


@pytest.mark.parametrize("sent", [b"", b"POST / HT", converse()[:-3], converse() * 2])
def test_who_sends_nothing_more_is_cut(edge: Edge, sent: bytes) -> None:
    with connect(edge) as client:
        client.sendall(sent)
        data = read_all(client)  # ends because the server closes; else the socket times out
    assert data.count(b"HTTP/1.1 200") == sent.count(BODY)


def test_a_hang_up_is_told_at_once_and_ends_only_the_reader(edge: Edge) -> None:
    inference = edge.services.inference
    edge.call(inference.gate.clear)  # the stream stops after its first frame
    with connect(edge) as client:
        client.sendall(converse(stream=True))
        received = b""
        while b"messageStart" not in received:
            received += client.recv(65_536)
    (stream,) = inference.streams
    edge.run(asyncio.wait_for(stream.left.wait(), 10))

    eventually(lambda: not edge.data_server.tasks)


def test_a_slow_reader_holds_the_stream_back_and_is_cut(edge: Edge) -> None:
    many = [("contentBlockDelta", {"delta": {"text": "x" * 10_000}})] * 2_000
    edge.services.inference.events = lambda: many
    with connect(edge) as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        client.sendall(converse(stream=True))
        eventually(lambda: bool(edge.services.inference.streams))
        (stream,) = edge.services.inference.streams
        edge.run(asyncio.wait_for(stream.left.wait(), 10))
        assert stream.charge is None, "it was not read to its end"


def test_a_value_cannot_write_headers_of_its_own(edge: Edge) -> None:
    from tests.support import http_services

    before = dict(http_services.UPSTREAM_HEADERS)
    http_services.UPSTREAM_HEADERS["x-upstream"] = "a\r\nset-cookie: b=c\r\n\r\n<html>"
    try:
        head = talk(edge, converse(more=CLOSE)).partition(b"\r\n\r\n")[0]
    finally:
        http_services.UPSTREAM_HEADERS.clear()
        http_services.UPSTREAM_HEADERS.update(before)
    assert b"x-upstream: a set-cookie: b=c <html>" in head
    assert b"\r\nset-cookie" not in head


def test_a_long_body_comes_whole(edge: Edge) -> None:
    edge.services.inference.answer = {"text": "y" * 300_000}
    head, _, body = talk(edge, converse(more=CLOSE)).partition(b"\r\n\r\n")
    assert b"content-length: %d" % len(body) in head
    assert len(body) > 300_000


@pytest.mark.parametrize("more", [CLOSE, b""])
def test_a_slow_reader_that_takes_its_part_gets_the_whole(edge: Edge, more: bytes) -> None:
    edge.services.inference.answer = {"text": "~" * 8_000_000}
    received = b""
    with connect(edge) as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
        client.sendall(converse(more=more))
        started = time.monotonic()
        while time.monotonic() < started + 3:  # longer than every deadline of this edge
            received += client.recv(65_536)
            time.sleep(0.05)
        while not received.endswith(b'"}'):
            piece = client.recv(1_000_000)
            assert piece, "it was cut"
            received += piece
    assert received.count(b"~") == 8_000_000


def test_more_requests_at_once_than_a_worker_takes(edge: Edge) -> None:
    inference = edge.services.inference
    edge.call(inference.gate.clear)
    held = [connect(edge) for _ in range(LIMITS.requests)]
    try:
        for client in held:
            client.sendall(converse(stream=True))
        eventually(lambda: len(inference.streams) == LIMITS.requests)
        answer = talk(edge, converse(more=CLOSE))
        assert answer.startswith(b"HTTP/1.1 503")
        assert b"ServiceUnavailableException" in answer
    finally:
        for client in held:
            client.close()
    eventually(lambda: not edge.data_server.tasks)
    assert talk(edge, converse(more=CLOSE)).startswith(b"HTTP/1.1 200")
