"""How a connection of HTTP/2 ends: with a shutdown, with a successor, by an error of ours."""

import asyncio
import socket
import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import uvloop
from tests.support.http2_client import Client, fields, frame
from tests.support.waiting import eventually
from tests.support.wire import Served

from tenantry.entrypoints.http.tls import ensure_local_tls
from tenantry.entrypoints.http.wire.server import Server

REFUSED_STREAM, INTERNAL_ERROR = 7, 2


async def _asked(server: Server, listener: socket.socket, count: int) -> Client:
    client = await asyncio.to_thread(Client, listener.getsockname()[1])
    for _ in range(count):
        await asyncio.to_thread(client.send, fields("/", method="GET"))
    await asyncio.to_thread(eventually, lambda: len(server.tasks) == count)
    return client


def _run(
    how: Callable[[Server, socket.socket], Any],
    answer: bytes = b"z" * 100_000,
    loop: Callable[[], asyncio.AbstractEventLoop] | None = None,
) -> None:
    async def run() -> None:
        gate = asyncio.Event()

        class Gated(Served):
            async def serve(self, request: Any, exchange: Any) -> None:
                await gate.wait()
                await super().serve(request, exchange)

        server = Server(Gated(answer))
        server.gate = gate  # type: ignore[attr-defined]
        listener = socket.create_server(("127.0.0.1", 0))
        await server.listen(listener)
        await how(server, listener)

    with asyncio.Runner(loop_factory=loop) as runner:
        runner.run(run())


def test_a_shutdown_lets_answers_end_and_refuses_what_has_not_begun() -> None:
    async def how(server: Any, listener: socket.socket) -> None:
        client = await _asked(server, listener, 3)
        unread = await asyncio.to_thread(client.begin, fields())
        drained = asyncio.create_task(server.drain(10))
        await asyncio.to_thread(client.answer, unread)
        await asyncio.to_thread(client.until, lambda: client.goaway is not None)
        assert client.answers[unread].reset == REFUSED_STREAM and not drained.done()
        server.gate.set()
        await asyncio.to_thread(client.read_all)
        assert [client.answers[each].body for each in (1, 3, 5)] == [b"z" * 100_000] * 3
        assert client.goaway == 0 and await drained == 0
        client.socket.close()

    _run(how)


def test_who_has_a_successor_serves_what_crosses_with_the_word() -> None:
    async def how(server: Any, listener: socket.socket) -> None:
        client = await _asked(server, listener, 2)
        finished = asyncio.create_task(server.finish(10))
        await asyncio.sleep(0.05)
        crossed = await asyncio.to_thread(client.send, fields("/", method="GET"))
        server.gate.set()
        assert crossed == 5
        everything = client.answers.values()
        await asyncio.to_thread(client.until, lambda: all(each.over for each in everything))
        assert [client.answers[each].body for each in (1, 3, 5)] == [b"z" * 100_000] * 3
        await asyncio.to_thread(client.read_all)
        assert client.goaway_streams == [2**31 - 1, 5]
        await finished
        assert not server.connections and await server.drain(1) == 0
        client.socket.close()

    _run(how)


def test_an_error_of_ours_leaves_no_stream_hanging() -> None:
    async def how(server: Any, listener: socket.socket) -> None:
        async def fails(request: Any, exchange: Any) -> None:
            if request.raw_path == "/half":
                exchange.start(200, {})
            raise_later = asyncio.get_running_loop().create_future()
            raise_later.cancel()
            await raise_later

        server.application.serve = fails
        client = await asyncio.to_thread(Client, listener.getsockname()[1])
        for path in ("/", "/half"):
            answer = await asyncio.to_thread(client.ask, fields(path, method="GET"))
            assert answer.reset == INTERNAL_ERROR
        assert await server.drain(1) == 0
        client.socket.close()

    _run(how)


@pytest.mark.parametrize("secure", [False, True])
@pytest.mark.parametrize("loop", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_the_last_answer_is_read_to_its_end(
    loop: Callable[[], Any], secure: bool, tmp_path: Path
) -> None:
    """Its reader opens windows meanwhile: a socket that was closed already would answer those with
    a reset, which takes what had not arrived with it."""

    tls = ensure_local_tls(tmp_path, (), now=datetime.now(UTC))

    def read_slowly(client: Client) -> None:
        while client.receive():
            client.raw(frame(8, b"\x00\x00\x00\x01") + frame(6, bytes(8), flags=1))
            time.sleep(0.002)

    async def how(server: Any, listener: socket.socket) -> None:
        listening = socket.create_server(("127.0.0.1", 0))
        await server.listen(listening, tls.context() if secure else None)
        port, ca = listening.getsockname()[1], tls.ca_bundle if secure else None
        made = partial(Client, port, ca=ca, alpn=["h2"], receive_bytes=4_096)
        client = await asyncio.to_thread(made)
        client.h2.update_settings({4: 2**31 - 1})
        client.raw(client.h2.data_to_send() + frame(8, b"\x3f\xff\x00\x00"))
        client.h2.increment_flow_control_window(2**30 - 1)
        client.h2.data_to_send()
        server.gate.set()
        stream_id = await asyncio.to_thread(client.send, fields("/", method="GET"))
        await asyncio.to_thread(eventually, lambda: bool(server.connections))
        await asyncio.to_thread(client.until, lambda: client.answers[stream_id].status == 200)
        drained = asyncio.create_task(server.drain(20))
        await asyncio.to_thread(read_slowly, client)
        answer = client.answers[stream_id]
        assert answer.ended and len(answer.body) == 1_500_000 and client.goaway == 0
        client.socket.close()
        assert await drained == 0

    _run(how, b"z" * 1_500_000, loop)


def test_a_client_that_stays_after_goodbye_is_not_waited_for() -> None:
    async def how(server: Any, listener: socket.socket) -> None:
        server.gate.set()
        client = await _asked(server, listener, 0)
        answer = await asyncio.to_thread(client.ask, fields("/", method="GET"))
        assert answer.ended
        await asyncio.wait_for(server.drain(10), 3)
        assert not server.connections
        client.socket.close()

    _run(how)
