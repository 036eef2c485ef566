"""Raw HTTP: limits, pipelining, chunked bodies, what is not HTTP."""

from __future__ import annotations

import json
import socket
import time
from contextlib import closing

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from tests.support.emulator import eventually

HELLO = json.dumps({"messages": [{"role": "user", "content": [{"text": "hi"}]}]}).encode()
PATH = "/model/amazon.nova-lite-v1%3A0/converse"


def connect(emulator):
    host, port = emulator.url.removeprefix("http://").split(":")
    return closing(socket.create_connection((host, int(port)), timeout=30))


def head(emulator, extra="", path=PATH, version="1.1"):
    return (
        f"POST {path} HTTP/{version}\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        f"Authorization: Bearer {emulator.pool.bearer_key}\r\n{extra}\r\n"
    ).encode()


def everything(connection) -> bytes:
    parts = []
    while part := connection.recv(65_536):
        parts.append(part)
    return b"".join(parts)


def statuses(data: bytes) -> list[str]:
    return [part[:3].decode() for part in data.split(b"HTTP/1.1 ")[1:]]


def test_pipelined_requests_are_answered_in_order(emulator):
    one = head(emulator, f"Content-Length: {len(HELLO)}\r\n") + HELLO
    last = head(emulator, "Content-Length: 2\r\nConnection: close\r\n", PATH + "x") + b"{}"
    with connect(emulator) as connection:
        connection.sendall(one + one + last)
        assert statuses(everything(connection)) == ["200", "200", "404"]


def test_what_breaks_the_protocol_takes_no_answer_from_what_came_before(emulator):
    one = head(emulator, f"Content-Length: {len(HELLO)}\r\n") + HELLO
    with connect(emulator) as connection:
        connection.sendall(one + one + HELLO)
        assert statuses(everything(connection)) == ["200", "200", "400"]


def test_chunked_and_byte_by_byte(emulator):
    chunks = b"".join(b"1\r\n%c\r\n" % byte for byte in HELLO) + b"0\r\n\r\n"
    with connect(emulator) as connection:
        connection.sendall(head(emulator, "Transfer-Encoding: chunked\r\nConnection: close\r\n"))
        for start in range(0, len(chunks), 7):
            connection.sendall(chunks[start : start + 7])
        assert statuses(everything(connection)) == ["200"]


def test_expect_continue(emulator):
    extra = f"Content-Length: {len(HELLO)}\r\nExpect: 100-continue\r\nConnection: close\r\n"
    with connect(emulator) as connection:
        connection.sendall(head(emulator, extra))
        assert connection.recv(100).startswith(b"HTTP/1.1 100 ")
        connection.sendall(HELLO)
        assert statuses(everything(connection)) == ["200"]


def test_an_offer_to_upgrade_is_passed_over(emulator):
    offer = "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAA\r\n"
    length = f"Content-Length: {len(HELLO)}\r\n"
    first = head(emulator, offer + length + "Expect: 100-continue\r\n") + HELLO
    last = head(emulator, length + "Connection: close\r\n") + HELLO
    with connect(emulator) as connection:
        connection.sendall(first + last)
        assert statuses(everything(connection)) == ["100", "200", "200"]


def test_a_request_that_comes_byte_by_byte_is_no_preface_of_http_2(emulator):
    request = head(emulator, f"Content-Length: {len(HELLO)}\r\nConnection: close\r\n") + HELLO
    with connect(emulator) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in request[:30]:
            connection.sendall(bytes([byte]))
        connection.sendall(request[30:])
        assert statuses(everything(connection)) == ["200"]


def test_a_stream_to_http_1_0_has_no_chunks(emulator):
    extra = f"Content-Length: {len(HELLO)}\r\n"
    with connect(emulator) as connection:
        connection.sendall(head(emulator, extra, PATH + "-stream", "1.0") + HELLO)
        data = everything(connection)
    assert b"transfer-encoding" not in data.lower()
    assert data.split(b"\r\n\r\n", 1)[1][:1] == b"\0"


@pytest.mark.parametrize("announced", [True, False])
def test_a_body_over_25_million_bytes(emulator, announced):
    size = 25_000_001
    framing = f"Content-Length: {size}\r\n" if announced else "Transfer-Encoding: chunked\r\n"
    with connect(emulator) as connection:
        connection.sendall(head(emulator, framing))
        body = b" " * size
        connection.sendall(body if announced else b"%x\r\n%b\r\n0\r\n\r\n" % (size, body))
        data = everything(connection)
    assert statuses(data) == ["413"]
    assert b"RequestEntityTooLargeException" in data


@pytest.mark.parametrize(
    ("request_text", "status"),
    [
        (b"nonsense\r\n\r\n", "400"),
        (b"POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx", "400"),
        (
            b"POST / HTTP/1.1\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            "400",
        ),
        (b"GET /" + b"a" * 20_000 + b" HTTP/1.1\r\nHost: h\r\n\r\n", "414"),
        (b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 300 + b"\r\n", "431"),
        (b"POST / HTTP/1.1\r\nContent-Length: 999999999999\r\n\r\n", "413"),
    ],
)
def test_what_is_not_read_to_its_end(emulator, request_text, status):
    with connect(emulator) as connection:
        connection.sendall(request_text)
        assert statuses(everything(connection)) == [status]
    assert emulator.own("GET", "health") == {"status": "ready"}


def test_the_absolute_form_of_a_target(emulator):
    target = emulator.url.replace("http", "HTTP", 1) + PATH
    extra = f"Content-Length: {len(HELLO)}\r\nConnection: close\r\n"
    with connect(emulator) as connection:
        connection.sendall(head(emulator, extra, target) + HELLO)
        assert statuses(everything(connection)) == ["200"]


def test_a_signature_holds_on_the_path_of_an_absolute_target(emulator):
    url = emulator.url + PATH
    request = AWSRequest("POST", url, {"Content-Type": "application/json"}, HELLO)
    credentials = Credentials(emulator.pool.access_key_id, emulator.pool.secret_access_key)
    SigV4Auth(credentials, "bedrock", "us-east-1").add_auth(request)
    lines = "".join(f"{name}: {value}\r\n" for name, value in request.headers.items())
    host = emulator.url.removeprefix("http://")
    sent = (
        f"POST {url} HTTP/1.1\r\nHost: {host}\r\n{lines}"
        f"Content-Length: {len(HELLO)}\r\nConnection: close\r\n\r\n"
    )
    with connect(emulator) as connection:
        connection.sendall(sent.encode() + HELLO)
        assert statuses(everything(connection)) == ["200"]


def test_a_name_that_someone_lets_stand_for_the_loopback(emulator):
    for extra in ("", "http://evil.example"):
        with connect(emulator) as connection:
            host = "localhost" if extra else "evil.example"
            connection.sendall(
                f"GET {extra}/_emulator/bill HTTP/1.1\r\nHost: {host}\r\n"
                "Connection: close\r\n\r\n".encode()
            )
            assert statuses(everything(connection)) == ["403"]


@pytest.mark.parametrize("path", [PATH, PATH + "-stream"])
def test_a_client_that_only_stops_sending_is_answered(emulator, path):
    one = head(emulator, f"Content-Length: {len(HELLO)}\r\n", path) + HELLO
    with connect(emulator) as connection:
        connection.sendall(one + one)
        connection.shutdown(socket.SHUT_WR)
        data = everything(connection)
    assert statuses(data) == ["200", "200"]
    assert data.endswith(b"0\r\n\r\n" if path != PATH else b"}")


@pytest.mark.parametrize("half", [False, True])
@pytest.mark.parametrize("wait_s", [0, 0.3])
def test_who_stops_sending_while_a_rule_lets_the_answer_wait_has_left(emulator, half, wait_s):
    emulator.rules(
        {"action": {"kind": "slow_first_token", "delay_ms": 60_000}},
        {"action": {"kind": "stop_on_hangup"}},
    )
    before = len(emulator.bill(emulator.pool.id)["records"])
    with connect(emulator) as connection:
        connection.sendall(head(emulator, f"Content-Length: {len(HELLO)}\r\n") + HELLO)
        time.sleep(wait_s)
        connection.shutdown(socket.SHUT_WR) if half else connection.close()
        [record] = eventually(lambda: emulator.bill(emulator.pool.id)["records"][before:])
    assert record["usage"]["output"] == 0
