"""Clients that are slow, or have said all they will, on real sockets."""

import asyncio
import socket
import ssl
from collections.abc import Iterator

import pytest
from tests.support.http_bytes import CLOSE, converse, read_all
from tests.support.http_edge import Edge
from tests.support.waiting import eventually
from tests.support.wire import Served

from tenantry.entrypoints.http.wire.limits import WireLimits
from tenantry.entrypoints.http.wire.server import Server

LIMITS = WireLimits(head_s=1.0, body_s=0.6, body_most_s=30, stall_s=1.0, close_s=0.5, idle_s=0.5)


@pytest.fixture(scope="module")
def running_edge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Edge]:
    with Edge(tmp_path_factory.mktemp("home"), LIMITS) as edge:
        yield edge


def connect(edge: Edge, secure: bool = False) -> socket.socket:
    client = socket.socket()
    client.settimeout(20)
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
    port = int(edge.https_url.rpartition(":")[2]) if secure else edge.port
    client.connect(("127.0.0.1", port))
    if secure:
        trusted = ssl.create_default_context(cafile=str(edge.ca_bundle))
        return trusted.wrap_socket(client, server_hostname="localhost", suppress_ragged_eofs=False)
    return client


@pytest.mark.parametrize("asked", [converse(), b"", b"GET /v1/models HTTP/1.1\r\n"])
def test_who_says_nothing_for_long_is_told_the_end_as_tls_does(edge: Edge, asked: bytes) -> None:
    """Else it is an error to a client that kept the connection for its next request."""
    with connect(edge, secure=True) as client:
        client.sendall(asked)
        told = read_all(client)
    assert told.count(b"HTTP/1.1 ") == (asked == converse())


def test_who_half_closes_after_the_request_gets_the_answer(edge: Edge) -> None:
    with connect(edge) as client:
        client.sendall(converse() * 2)
        client.shutdown(socket.SHUT_WR)
        assert read_all(client).count(b"HTTP/1.1 200") == 2


def test_a_body_that_stalls_is_told_in_the_shape_of_its_api(edge: Edge) -> None:
    with connect(edge) as client:
        client.sendall(converse()[:-3])
        told = read_all(client)
    assert told.startswith(b"HTTP/1.1 408") and b"RequestTimeoutException" in told
    assert b"x-should-retry: false" in told.lower()


@pytest.mark.parametrize("secure", [False, True])
def test_large_answers_are_counted_until_they_are_taken(edge: Edge, secure: bool) -> None:
    """And cut where nobody takes them; TLS hides what is unsent from whoever writes."""
    edge.services.inference.answer = {"text": "y" * 8_000_000}
    unsent = edge.data_server.unsent
    with connect(edge, secure) as client:
        client.sendall(converse(more=CLOSE))
        eventually(lambda: unsent.bytes > 8_000_000)
        assert read_all(client).count(b"y") > 8_000_000 - 1
    eventually(lambda: unsent.bytes == 0)
    with connect(edge, secure) as client:
        client.sendall(converse(more=CLOSE))
        eventually(lambda: unsent.bytes > 8_000_000)
        eventually(lambda: unsent.bytes == 0)


@pytest.mark.parametrize(("reads", "cut"), [(True, 0), (False, 1)])
def test_a_shutdown_waits_for_answers_that_are_taken(reads: bool, cut: int) -> None:
    """And counts those that are not."""
    answer = bytes(range(256)) * 40_000

    async def run() -> None:
        server = Server(Served(answer))
        listener = socket.create_server(("127.0.0.1", 0))
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 65_536)
        await server.listen(listener)
        client = socket.socket()
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
        client.connect(listener.getsockname())
        reader, writer = await asyncio.open_connection(sock=client)
        writer.write(b"GET /openapi.json HTTP/1.1\r\nhost: x\r\n\r\n")
        await reader.readuntil(b"\r\n\r\n")
        drained = asyncio.create_task(server.drain(10 if reads else 0.2))
        if reads:
            half = await reader.readexactly(len(answer) // 2)
            assert not drained.done() and half + await reader.read() == answer
        assert await drained == cut and server.unsent.bytes == 0
        writer.close()

    asyncio.run(run())
