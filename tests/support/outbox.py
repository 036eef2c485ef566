"""What tests of delivery work with: a clock that stands still, a receiver, notices."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.support.ledger import World
from tests.support.wire_server import Exchange, wire_server

from tenantry.adapters.postgres import outbox
from tenantry.adapters.postgres.deliveries import PostgresDeliveries
from tenantry.application.delivery import Deliverer, Outside
from tenantry.ports.delivery import Delivery, Route, Sink
from tenantry.ports.outbox import PLATFORM, Notice

SECRET = "whsec_" + "c2VjcmV0IHNlY3JldCBzZWNyZXQgc2VjcmV0IQ=="
OTHER_SECRET = "whsec_" + "b3RoZXIgb3RoZXIgb3RoZXIgb3RoZXIgb3RoZXI="


@dataclass
class StillClock:
    """Moves when it is told to; begins at the machine's time, by which receivers judge."""

    at: datetime = field(default_factory=lambda: datetime.now(UTC))

    def now(self) -> datetime:
        return self.at

    def monotonic(self) -> float:
        return self.at.timestamp()

    def random(self, count: int) -> bytes:
        return bytes(count)  # no jitter

    def pass_by(self, **time: float) -> None:
        self.at += timedelta(**time)


@dataclass
class Post:
    headers: dict[str, str]
    body: bytes
    target: str


@dataclass
class Receiver:
    """A real HTTP server on loopback; `answer` says what each POST is answered."""

    url: str = ""
    posts: list[Post] = field(default_factory=list)
    answer: Callable[[Exchange], Awaitable[None]] | None = None
    statuses: list[int] = field(default_factory=list)  # of the next answers; then 204
    connections: set[int] = field(default_factory=set)  # by the client's port

    async def __call__(self, exchange: Exchange) -> None:
        request = exchange.request
        headers = {name.lower(): value for name, value in request.headers}
        self.posts.append(Post(headers, request.body, request.target))
        self.connections.add(exchange.writer.get_extra_info("peername")[1])
        if self.answer is not None:
            await self.answer(exchange)
            return
        status = self.statuses.pop(0) if self.statuses else 204
        await exchange.respond(status, {}, b"")

    def ids(self) -> list[str]:
        return [post.headers["webhook-id"] for post in self.posts]


@asynccontextmanager
async def receiving(ssl: Any = None) -> AsyncIterator[Receiver]:
    receiver = Receiver()
    async with wire_server(receiver, ssl=ssl) as server:
        receiver.url = server.url + "/hook"
        yield receiver


class Recorder:
    """A sink in memory, for what is not about any wire."""

    def __init__(self, *failures: BaseException) -> None:
        self.got: list[Delivery] = []
        self.failures = list(failures)

    async def deliver(self, delivery: Delivery) -> None:
        self.got.append(delivery)
        if self.failures:
            raise self.failures.pop(0)


async def enqueue(
    world: World,
    kind: str = "usage.spike",
    body: Mapping[str, Any] | None = None,
    *,
    tenant_id: Any = PLATFORM,
) -> None:
    notice = Notice(tenant_id, kind, str(uuid.uuid4()), body or {"excess": 7})
    async with world.databases.control.acquire() as connection, connection.transaction():
        assert await outbox.enqueue(connection, notice)


def outside(*routes: Route, **sinks: Sink) -> Outside:
    return Outside(sinks, routes)


def deliverer(world: World, around: Outside, clock: Any) -> Deliverer:
    return Deliverer(PostgresDeliveries(world.databases.control), around, clock)


async def run_rounds(deliverer: Deliverer, rounds: int = 1) -> None:
    for _ in range(rounds):
        await deliverer.deliver()
        await deliverer.idle()


async def rounds_until(deliverer: Deliverer, holds: Callable[[], bool]) -> None:
    """Rounds follow each other: a lane that is about to end when one begins takes no more."""

    async def look() -> bool:
        await deliverer.deliver()
        return holds()

    await until_seen(look)


async def states(world: World) -> list[tuple[str, str, int, str | None]]:
    rows = await world.fetch(
        "SELECT sink, state, attempts, last_error FROM delivery ORDER BY sink, notice_id"
    )
    return [tuple(row) for row in rows]


async def until(holds: Callable[[], bool]) -> None:
    async def look() -> bool:
        return holds()

    await until_seen(look)


async def until_seen(look: Callable[[], Awaitable[object]], *, tries: int = 4_000) -> None:
    for _ in range(tries):
        if await look():
            return
        await asyncio.sleep(0.005)
    raise AssertionError("it did not come about")
