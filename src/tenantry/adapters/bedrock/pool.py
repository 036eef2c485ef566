"""The kept-alive connections of one endpoint: bounded, newest first, within the worker's room."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from typing import Final

from tenantry.adapters.bedrock.connection import Connection, ExchangeFailed
from tenantry.adapters.bedrock.room import Room
from tenantry.ports.model import FailureKind

# Idle connections are given up before the other side does it; a load balancer waits 60 s.
IDLE_S_MAX: Final = 30
KEEPALIVE_AFTER_S: Final = 60  # a model may think for minutes; a NAT forgets silence after 350 s
_NONE_FREE: Final = "no connection was free in time"


class Pool:
    """Hands out connections, each to one exchange at a time."""

    def __init__(
        self,
        host: str,
        port: int,
        tls: ssl.SSLContext | None,
        connections_max: int,
        room: Room,
    ) -> None:
        self._host = host
        self._port = port
        self._tls = tls
        self._slots = asyncio.Semaphore(connections_max)
        self._idle: list[Connection] = []  # the longest idle first
        self._closed = False
        self._room = room
        room.join(self)

    async def acquire(self, connect_s: float) -> Connection:
        """A usable connection. Raises `ExchangeFailed`, and nothing was sent then."""
        wait_s = await self._take_slot(connect_s)
        try:
            self._check_open()
            self._drop_stale()
            while self._idle:
                connection = self._idle.pop()
                if connection.usable:
                    return connection
                self._room.free()
            return await self._opened(wait_s, connect_s)
        except BaseException:
            self._slots.release()
            raise

    def give_back(self, connection: Connection) -> None:
        """After its exchange, whatever came of that."""
        self._slots.release()
        if not connection.release():
            self._room.free()
        elif self._closed:
            connection.abort()
            self._room.free()
        elif not self._room.hand_over(self, connection):
            self._idle.append(connection)
            self._drop_stale()

    def close(self) -> None:
        """Ends idle connections; those in use end with their exchange."""
        self._closed = True
        self._room.leave(self)
        while self._idle:
            self.give_up_one()
            self._room.free()

    def idle_since(self) -> float | None:
        return self._idle[0].idle_since if self._idle else None

    def give_up_one(self) -> None:
        self._idle.pop(0).abort()

    def _check_open(self) -> None:
        if self._closed:
            raise ExchangeFailed(FailureKind.UNREACHABLE, False, "the client was closed")

    async def _take_slot(self, wait_s: float) -> float:
        """Returns how much of the wait is left."""
        if not self._slots.locked():
            await self._slots.acquire()
            return wait_s
        loop = asyncio.get_running_loop()
        ends = loop.time() + wait_s
        try:
            async with asyncio.timeout(wait_s):
                await self._slots.acquire()
        except TimeoutError:
            raise ExchangeFailed(FailureKind.UNREACHABLE, False, _NONE_FREE) from None
        return max(ends - loop.time(), 0.0)

    async def _opened(self, wait_s: float, connect_s: float) -> Connection:
        try:
            given = await self._room.take(self, wait_s)
        except TimeoutError:
            raise ExchangeFailed(FailureKind.UNREACHABLE, False, _NONE_FREE) from None
        if given is not None and given.usable:
            return given
        try:
            self._check_open()
            return await self._connect(connect_s)
        except BaseException:
            self._room.free()
            raise

    async def _connect(self, connect_s: float) -> Connection:
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(connect_s):
                transport, connection = await loop.create_connection(
                    Connection, self._host, self._port
                )
                if self._tls is not None:
                    await self._secure(transport, connection)
        except TimeoutError as error:
            message = f"no connection within {connect_s:g} s"
            raise ExchangeFailed(FailureKind.UNREACHABLE, False, message) from error
        except (OSError, ssl.SSLError, ValueError) as error:
            raise ExchangeFailed(FailureKind.UNREACHABLE, False, reason_of(error)) from error
        _keep_alive(transport.get_extra_info("socket"))
        return connection

    async def _secure(self, transport: asyncio.Transport, connection: Connection) -> None:
        """TLS over what is connected, which alone can tell what has not left yet."""
        loop, tls = asyncio.get_running_loop(), self._tls
        assert tls is not None
        try:
            secured = None
            if connection.usable:
                name = self._host
                secured = await loop.start_tls(transport, connection, tls, server_hostname=name)
            if secured is None:
                raise ConnectionResetError("the connection was closed")
        except BaseException:
            transport.abort()
            raise
        connection.secured(secured)

    def _drop_stale(self) -> None:
        before = asyncio.get_running_loop().time() - IDLE_S_MAX
        while self._idle and self._idle[0].idle_since < before:
            self.give_up_one()
            self._room.free()


def reason_of(error: Exception) -> str:
    """Why there is no connection, at which of its steps; never empty."""
    match error:
        case ssl.SSLCertVerificationError():
            return f"TLS: its certificate is not trusted: {error.verify_message}"
        case ssl.SSLError():
            return f"TLS: {error.reason or error}"
        case socket.gaierror():
            return f"its name is not found: {error.strerror}"
        case ConnectionRefusedError():
            return "the connection is refused"
        case _:
            return str(error) or type(error).__name__


def _keep_alive(connected: socket.socket | None) -> None:
    if connected is None:
        return
    connected.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    with contextlib.suppress(AttributeError, OSError):  # not every system names the interval so
        connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, KEEPALIVE_AFTER_S)
