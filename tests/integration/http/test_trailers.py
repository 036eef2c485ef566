"""Fields behind a body: dropped, and checked as those before it are (RFC 9110 §6.5, 9113 §8.1)."""

from collections.abc import Iterator

import pytest
from tests.support.http2_client import BODY, CONVERSE, Answer, Client, fields
from tests.support.http_bytes import BODY as PLAIN_BODY
from tests.support.http_bytes import CLOSE, chunked, converse, talk
from tests.support.http_edge import Edge

Trailer = list[tuple[str, str]]
NO_FIELDS = [
    (":path", "/v1/models"), (":method", "GET"), (":status", "200"), (":x", "a"),
    ("connection", "close"), ("keep-alive", "1"), ("upgrade", "h2c"), ("te", "gzip"),
    ("transfer-encoding", "chunked"), ("proxy-connection", "close"),
    ("Upper", "a"), ("a b", "c"), ("", "a"), ("a:", "b"), ("\xe9", "a"),
    ("x", "a\r\nb: c"), ("x", "a\n"), ("x", "a\x00"), ("x", " b"), ("x", "b "), ("x", "\tb"),
]  # fmt: skip


@pytest.fixture
def client(edge: Edge) -> Iterator[Client]:
    with Client(edge.port) as client:
        yield client


def ask(client: Client, head: Trailer, trailer: Trailer) -> Answer:
    stream_id = client.begin(head)
    client.body(stream_id, BODY, end=False)
    client.h2.send_headers(stream_id, trailer, end_stream=True)
    client.flush()
    return client.answer(stream_id)


@pytest.mark.parametrize("path", [CONVERSE, CONVERSE + "-stream"])
@pytest.mark.parametrize("wrong", NO_FIELDS)
def test_what_no_head_may_have_no_trailer_may(
    edge: Edge, client: Client, path: str, wrong: tuple[str, str]
) -> None:
    """Alone, and behind one that is right; the connection goes on."""
    for trailer in ([wrong], [("x-checksum", "a"), wrong]):
        answer = ask(client, fields(path), trailer)
        assert answer.status == 400 and "HTTP/2" in answer.body.decode("latin-1"), answer
    assert edge.services.inference.asked == []
    assert client.ask(fields(), BODY).status == 200 and client.goaway is None


@pytest.mark.parametrize("right", [[("x-checksum", "a b")], [("x", "")], [("te", "trailers")]])
def test_a_trailer_that_is_right_is_dropped(client: Client, right: Trailer) -> None:
    assert ask(client, fields(), right).status == 200


def test_the_first_fault_of_a_request_is_told(client: Client) -> None:
    assert ask(client, fields(CONVERSE, *[("x", "a")] * 200), [(":path", "/")]).status == 431


def test_a_trailer_of_what_is_answered_already_is_nobody_s(client: Client) -> None:
    refused = client.begin(fields(CONVERSE, ("expect", "100-continue"), ("Upper", "a")))
    client.h2.send_headers(refused, [(":path", "/")], end_stream=True)
    client.flush()
    assert client.answer(refused).status == 400
    assert client.ask(fields(), BODY).status == 200 and client.goaway is None


@pytest.mark.parametrize(
    "wrong",
    [
        b":path: /v1/models", b"a b: c", b"a : b", b" a: b", b": a", b"a", b"\xe9: a",
        b"x: a\rb", b"x: a\nb: c", b"x: a\r\n b", b"x: a\x00", b"x: a\x01b",
        b"content-length: 5", b"transfer-encoding: chunked",
    ],
)  # fmt: skip
def test_nor_of_chunks(edge: Edge, wrong: bytes) -> None:
    assert talk(edge, converse(more=CLOSE + wrong + b"\r\n")).startswith(b"HTTP/1.1 400")
    for trailer in (wrong, b"x-checksum: a\r\n" + wrong):
        answer = talk(edge, chunked(PLAIN_BODY, trailer + b"\r\n"))
        assert answer.startswith(b"HTTP/1.1 400") and answer.count(b"HTTP/1.1 ") == 1
    assert edge.services.inference.asked == []
