"""What an HTTP/2 connection does with clients that are late, by a clock that is told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial

from h2.connection import H2Connection
from h2.events import DataReceived, Event, InformationalResponseReceived, StreamReset

from bedrock_emulator.wire.connection import Connection
from bedrock_emulator.wire.exchange import Exchange, Request
from bedrock_emulator.wire.http2.connection import Http2Connection
from bedrock_emulator.wire.serving import Limits, Server

LARGE = b"x" * 200_000  # beyond the first window of a client
HEAD = [(":method", "POST"), (":scheme", "http"), (":path", "/"), (":authority", "localhost")]
LIMITS = Limits(request_s=60, stall_s=60, idle_s=75)


@dataclass
class Talk:
    server: Server
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    h2: H2Connection

    def begin(self, *more: tuple[str, str], end: bool) -> None:
        self.h2.send_headers(1, [*HEAD, *more], end_stream=end)
        self.writer.write(self.h2.data_to_send())

    async def until(self, kind: type[Event]) -> Event:
        while data := await self.reader.read(65_536):
            for event in self.h2.receive_data(data):
                if isinstance(event, kind):
                    return event
        raise EOFError

    def streams(self) -> bool:
        """Whether the server has any."""
        (connection,) = self.server.connections
        assert isinstance(connection, Http2Connection)
        return bool(connection._streams)

    def pass_time(self, seconds: float) -> None:
        for connection in tuple(self.server.connections):
            connection.cut_if_late(self.server.loop.time() + seconds)


async def answer(request: Request, exchange: Exchange) -> None:
    exchange.respond(200, {}, LARGE)


def refuse(status: int, name: str, message: str, exchange: Exchange) -> None:
    exchange.respond(status, {}, message.encode())


@asynccontextmanager
async def talking() -> AsyncIterator[Talk]:
    server = Server(answer, refuse, LIMITS)
    listener = await server.loop.create_server(partial(Connection, server), "127.0.0.1")
    reader, writer = await asyncio.open_connection(*listener.sockets[0].getsockname())
    h2 = H2Connection()
    h2.initiate_connection()
    writer.write(h2.data_to_send())
    try:
        yield Talk(server, reader, writer, h2)
    finally:
        writer.close()
        listener.close()
        await server.drain(1)


async def taken_in_time_or_not() -> tuple[bool, bool]:
    async with talking() as talk:
        talk.begin(end=True)
        await talk.until(DataReceived)
        talk.pass_time(50)
        before = talk.streams()
        talk.pass_time(61)
        await talk.until(StreamReset)
        return before, talk.streams()


def test_who_does_not_take_an_answer_is_cut_off() -> None:
    assert asyncio.run(taken_in_time_or_not()) == (True, False)


async def finished_in_time_or_not() -> tuple[bool, bool]:
    async with talking() as talk:
        talk.begin(("expect", "100-continue"), end=False)
        await talk.until(InformationalResponseReceived)
        talk.pass_time(50)
        before = talk.streams()
        talk.pass_time(61)
        await talk.until(StreamReset)
        return before, talk.streams()


def test_who_does_not_finish_a_request_is_cut_off() -> None:
    assert asyncio.run(finished_in_time_or_not()) == (True, False)


async def idle() -> bytes:
    async with talking() as talk:
        await talk.reader.read(1)
        talk.pass_time(76)
        return await talk.reader.read()


def test_an_idle_connection_is_closed_with_a_word() -> None:
    said = asyncio.run(idle())
    assert said[-17:-14] == b"\0\0\x08" and said[-14] == 7  # GOAWAY


async def little_by_little() -> int:
    size = 0
    async with talking() as talk:
        talk.begin(end=True)
        while size < len(LARGE):
            for event in talk.h2.receive_data(await talk.reader.read(65_536)):
                if isinstance(event, DataReceived):
                    size += len(event.data)
                    talk.h2.acknowledge_received_data(event.flow_controlled_length, 1)
            talk.pass_time(50)
            talk.writer.write(talk.h2.data_to_send())
    return size


def test_who_takes_an_answer_little_by_little_gets_it() -> None:
    assert asyncio.run(little_by_little()) == len(LARGE)
