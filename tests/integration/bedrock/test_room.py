"""Connections of one worker are bounded over all endpoints, and idle ones make room."""

import asyncio
from contextlib import asynccontextmanager

import pytest
from tests.support.wire_server import wire_server

from tenantry.ports.model import FailureKind, Reply

pytestmark = pytest.mark.usefixtures("loop")
JSON = {"Content-Type": "application/json"}


class Endpoint:
    """One that answers, or holds each answer until it is let go."""

    def __init__(self, holds=False):
        self.open = 0
        self.most = 0
        self.let_go = asyncio.Event()
        if not holds:
            self.let_go.set()

    async def __call__(self, exchange):
        await self.let_go.wait()
        await exchange.respond(200, JSON, b'{"usage":{"inputTokens":1}}')


@asynccontextmanager
async def endpoints(*handlers):
    """Their servers, one for each."""
    if not handlers:
        yield []
        return
    async with wire_server(handlers[0]) as first, endpoints(*handlers[1:]) as others:
        yield [first, *others]


def test_an_idle_connection_of_another_endpoint_makes_room(model, attempt):
    async def run():
        async with (
            endpoints(Endpoint(), Endpoint(), Endpoint()) as (a, b, c),
            model(max_total=2) as bedrock,
        ):
            for server in (a, b, c, b, a):
                assert isinstance(await bedrock.invoke(attempt(server.url)), Reply)
            return [server.connections for server in (a, b, c)]

    # `c` took the place of `a`, which was idle for longest; `b` was kept, and `a` took that of `c`.
    assert asyncio.run(run()) == [2, 1, 1]


def test_where_all_are_in_use_a_request_waits_its_connect_time(model, attempt):
    async def run():
        async with (
            endpoints(holding := Endpoint(holds=True), Endpoint()) as (a, b),
            model(max_total=1) as bedrock,
        ):
            first = asyncio.ensure_future(bedrock.invoke(attempt(a.url)))
            await a.reached.wait()
            refused = await bedrock.invoke(attempt(b.url, connect_timeout_ms=100))
            waiting = asyncio.ensure_future(bedrock.invoke(attempt(b.url)))
            own = asyncio.ensure_future(bedrock.invoke(attempt(a.url)))
            await asyncio.sleep(0)
            holding.let_go.set()
            replies = await asyncio.gather(first, waiting, own)
            return refused, replies, len(b.requests), (a.connections, b.connections)

    refused, replies, asked, connections = asyncio.run(asyncio.wait_for(run(), 20))
    assert (refused.kind, refused.maybe_billed) == (FailureKind.UNREACHABLE, False)
    assert refused.message == "no connection was free in time"
    assert all(isinstance(reply, Reply) for reply in replies)
    assert asked == 1
    assert connections == (2, 1)


def test_who_waits_at_the_same_endpoint_gets_the_connection_itself(model, attempt):
    async def run():
        async with (
            endpoints(holding := Endpoint(holds=True)) as (a,),
            model(max_total=1) as bedrock,
        ):
            calls = [asyncio.ensure_future(bedrock.invoke(attempt(a.url))) for _ in range(5)]
            await a.reached.wait()
            holding.let_go.set()
            return await asyncio.gather(*calls), a.connections

    replies, connections = asyncio.run(asyncio.wait_for(run(), 20))
    assert all(isinstance(reply, Reply) for reply in replies)
    assert connections == 1


def test_no_place_is_lost_with_who_leaves_or_cannot_connect(model, attempt):
    async def run():
        async with (
            endpoints(Endpoint(holds=True), Endpoint()) as (a, b),
            model(max_total=1) as bedrock,
        ):
            nowhere = attempt("http://127.0.0.1:1")
            for _ in range(3):
                assert (await bedrock.invoke(nowhere)).kind is FailureKind.UNREACHABLE
            first = asyncio.ensure_future(bedrock.invoke(attempt(a.url)))
            await a.reached.wait()
            left = [asyncio.ensure_future(bedrock.invoke(attempt(b.url))) for _ in range(3)]
            await asyncio.sleep(0)
            left[0].cancel()
            first.cancel()
            await asyncio.gather(first, left[0], return_exceptions=True)
            return await asyncio.gather(*left[1:], bedrock.invoke(attempt(b.url)))

    replies = asyncio.run(asyncio.wait_for(run(), 20))
    assert all(isinstance(reply, Reply) for reply in replies)
