"""A scripted HTTP/1.1 server on loopback: each request is answered by one coroutine.

It speaks bytes, so that a test can stall, cut and garble at any point, and counts what came.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field


@dataclass
class Received:
    """A request as it came over the wire."""

    method: str
    target: str  # raw path and query
    headers: list[tuple[str, str]]
    body: bytes

    def header(self, name: str) -> str | None:
        return next((v for n, v in self.headers if n.lower() == name), None)


@dataclass
class Exchange:
    """The server's side of one request."""

    request: Received
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def respond(self, status: int, headers: dict[str, str], body: bytes) -> None:
        head = "".join(f"{n}: {v}\r\n" for n, v in headers.items())
        length = f"Content-Length: {len(body)}\r\n"
        await self.send(f"HTTP/1.1 {status} X\r\n{head}{length}\r\n".encode() + body)

    async def begin(self, headers: dict[str, str], status: int = 200) -> None:
        head = "".join(f"{n}: {v}\r\n" for n, v in headers.items())
        await self.send(f"HTTP/1.1 {status} X\r\n{head}Transfer-Encoding: chunked\r\n\r\n".encode())

    async def chunk(self, data: bytes) -> None:
        await self.send(f"{len(data):x}\r\n".encode() + data + b"\r\n")

    async def finish(self) -> None:
        await self.send(b"0\r\n\r\n")

    async def peer_left(self) -> None:
        """Wait until the client has closed its connection."""
        try:
            while await self.reader.read(65_536):
                pass
        except ConnectionError:
            return

    def cut(self) -> None:
        self.writer.close()


Handler = Callable[[Exchange], Awaitable[None]]


@dataclass
class WireServer:
    url: str = ""
    requests: list[Received] = field(default_factory=list)
    connections: int = 0
    reached: asyncio.Event = field(default_factory=asyncio.Event)  # a request has come


@asynccontextmanager
async def wire_server(handler: Handler, ssl=None) -> AsyncIterator[WireServer]:
    """Serve until the block ends. Loopback, a free port."""
    state = WireServer()
    tasks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        state.connections += 1
        try:
            while (request := await _read_request(reader)) is not None:
                state.requests.append(request)
                state.reached.set()
                await handler(Exchange(request, reader, writer))
                if writer.is_closing():
                    break
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.ensure_future(serve(reader, writer))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    server = await asyncio.start_server(accept, "127.0.0.1", 0, ssl=ssl)
    scheme = "https" if ssl else "http"
    state.url = f"{scheme}://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield state
    finally:
        server.close()
        await asyncio.sleep(0)  # a connection just accepted gets its task
        for task in list(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _read_request(reader: asyncio.StreamReader) -> Received | None:
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return None
    request_line, *lines = head.decode("latin-1").rstrip("\r\n").split("\r\n")
    method, target, _ = request_line.split(" ")
    headers = [(n.strip(), v.strip()) for n, _, v in (line.partition(":") for line in lines)]
    length = next((int(v) for n, v in headers if n.lower() == "content-length"), 0)
    return Received(method, target, headers, await reader.readexactly(length))
