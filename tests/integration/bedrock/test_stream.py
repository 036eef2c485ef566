"""Streamed attempts over a real socket: frames as they come, and how they ended."""

import asyncio
import base64
import json

import pytest
from tests.support.wire_server import wire_server

from tenantry.domain import eventstream
from tenantry.ports.model import Failure, FailureKind, Operation, StreamEndKind

pytestmark = pytest.mark.usefixtures("loop")

HEADERS = {"Content-Type": eventstream.CONTENT_TYPE, "x-amzn-RequestId": "req-1"}
START = eventstream.encode_event("messageStart", b'{"role":"assistant"}')
DELTA = eventstream.encode_event("contentBlockDelta", b'{"delta":{"text":"hi"}}')
STOP = eventstream.encode_event("messageStop", b'{"stopReason":"end_turn"}')
METADATA = eventstream.encode_event(
    "metadata", b'{"usage":{"inputTokens":1,"outputTokens":2,"totalTokens":3}}'
)


def chunk(document):
    encoded = base64.b64encode(json.dumps(document).encode()).decode()
    return eventstream.encode_event("chunk", json.dumps({"bytes": encoded}).encode())


METRICS = chunk(
    {
        "type": "message_stop",
        "amazon-bedrock-invocationMetrics": {"inputTokenCount": 1, "outputTokenCount": 2},
    }
)


def sends(*pieces, finish=True):
    """A handler that sends these pieces, then ends the body in order or by cutting it."""

    async def handler(exchange):
        await exchange.begin(HEADERS)
        for piece in pieces:
            await exchange.chunk(piece)
        if finish:
            await exchange.finish()
        else:
            exchange.cut()

    return handler


def streamed(model, attempt, handler, operation=Operation.CONVERSE_STREAM, **changes):
    """All frames and the end of one streamed attempt."""

    async def run():
        async with wire_server(handler) as server, model() as bedrock:
            reply = await bedrock.stream(attempt(server.url, operation, **changes))
            assert not isinstance(reply, Failure), reply
            assert reply.request_id == "req-1"
            frames = [frame async for frame in reply]
            await reply.aclose()
            assert len(server.requests) == 1
            return frames, reply.end

    return asyncio.run(asyncio.wait_for(run(), 30))


def test_a_whole_stream(model, attempt):
    frames, end = streamed(model, attempt, sends(START + DELTA, STOP + METADATA))
    assert [f.event_type for f in frames] == [
        "messageStart",
        "contentBlockDelta",
        "messageStop",
        "metadata",
    ]
    assert b"".join(f.raw for f in frames) == START + DELTA + STOP + METADATA
    assert end.kind is StreamEndKind.COMPLETE


def test_headers_and_frames_come_before_the_body_ends(model, attempt):
    """By events alone: the server goes on only once the client has seen the piece before."""

    async def run():
        seen = [asyncio.Event() for _ in range(3)]

        async def handler(exchange):
            await exchange.begin(HEADERS)
            for event, piece in zip(seen, (START, DELTA, METADATA), strict=True):
                await event.wait()
                await exchange.chunk(piece)
            await exchange.finish()

        async with wire_server(handler) as server, model() as bedrock:
            reply = await bedrock.stream(attempt(server.url, Operation.CONVERSE_STREAM))
            types = []
            for event in seen:
                event.set()
                types.append((await anext(reply)).event_type)
            return types

    types = asyncio.run(asyncio.wait_for(run(), 30))
    assert types == ["messageStart", "contentBlockDelta", "metadata"]


def test_a_stream_without_metadata_is_cut_even_when_it_ends_in_order(model, attempt):
    frames, end = streamed(model, attempt, sends(START, DELTA, STOP))
    assert len(frames) == 3
    assert end.kind is StreamEndKind.CUT


@pytest.mark.parametrize("finish", [True, False])
@pytest.mark.parametrize("kept_bytes", [1, 12, len(METADATA) - 1])
def test_a_stream_that_ends_within_a_frame(model, attempt, kept_bytes, finish):
    handler = sends(START, DELTA, METADATA[:kept_bytes], finish=finish)
    frames, end = streamed(model, attempt, handler)
    assert len(frames) == 2
    assert end.kind is StreamEndKind.CUT


def test_a_cut_after_the_metadata_costs_nothing(model, attempt):
    _frames, end = streamed(model, attempt, sends(START, METADATA, finish=False))
    assert end.kind is StreamEndKind.COMPLETE


def test_an_exception_within_the_stream_is_passed_on(model, attempt):
    fault = eventstream.encode_exception("modelStreamErrorException", b'{"message":"oh"}')
    frames, end = streamed(model, attempt, sends(START, DELTA, fault))
    assert frames[-1].exception_type == "modelStreamErrorException"
    assert end.kind is StreamEndKind.EXCEPTION
    assert (end.error_type, end.message) == ("modelStreamErrorException", "oh")


def test_an_unmodelled_error_frame(model, attempt):
    fault = eventstream.encode(
        {":message-type": "error", ":error-code": "Oops", ":error-message": "no"}, b""
    )
    _, end = streamed(model, attempt, sends(START, fault))
    assert (end.kind, end.error_type, end.message) == (StreamEndKind.EXCEPTION, "Oops", "no")


def test_garbled_bytes_after_good_frames(model, attempt):
    frames, end = streamed(model, attempt, sends(START, b"\x00" * 64, METADATA))
    assert [f.event_type for f in frames] == ["messageStart"]
    assert end.kind is StreamEndKind.GARBLED


def test_a_stalled_stream(model, attempt):
    async def stall(exchange):
        await exchange.begin(HEADERS)
        await exchange.chunk(START)
        await exchange.peer_left()

    frames, end = streamed(model, attempt, stall, idle_timeout_ms=50)
    assert len(frames) == 1
    assert end.kind is StreamEndKind.TIMED_OUT


def test_a_stream_that_never_ends_is_ended_by_the_total(model, attempt):
    async def trickle(exchange):
        await exchange.begin(HEADERS)
        while True:
            await exchange.chunk(DELTA)
            await asyncio.sleep(0.01)

    _, end = streamed(model, attempt, trickle, total_timeout_ms=300)
    assert end.kind is StreamEndKind.TIMED_OUT


def test_native_chunks_are_whole_with_their_metrics(model, attempt):
    handler = sends(chunk({"type": "message_start"}), METRICS)
    _frames, end = streamed(model, attempt, handler, Operation.INVOKE_STREAM)
    assert end.kind is StreamEndKind.COMPLETE


@pytest.mark.parametrize(
    "last",
    [
        chunk({"type": "message_stop"}),
        eventstream.encode_event("chunk", b'{"bytes":"!"}'),
        eventstream.encode_event("chunk", '{"bytes":"é"}'.encode()),
        eventstream.encode_event("chunk", b"[]"),
        eventstream.encode_event("metadata", b"{}"),
    ],
)
def test_native_chunks_without_metrics_are_cut(model, attempt, last):
    _, end = streamed(model, attempt, sends(last), Operation.INVOKE_STREAM)
    assert end.kind is StreamEndKind.CUT


def test_a_refused_stream_is_a_failure(model, attempt):
    async def refuse(exchange):
        headers = {"Content-Type": "application/json", "x-amzn-ErrorType": "ThrottlingException"}
        await exchange.respond(429, headers, b'{"message":"slow down"}')

    async def run():
        async with wire_server(refuse) as server, model() as bedrock:
            return await bedrock.stream(attempt(server.url, Operation.CONVERSE_STREAM))

    failure = asyncio.run(run())
    assert (failure.kind, failure.maybe_billed) == (FailureKind.THROTTLED, False)
    assert failure.message == "slow down"


def test_an_answer_that_is_no_event_stream(model, attempt):
    async def rubbish(exchange):
        await exchange.respond(200, {"Content-Type": "text/html"}, b"<html>")

    async def run():
        async with wire_server(rubbish) as server, model() as bedrock:
            return await bedrock.stream(attempt(server.url, Operation.CONVERSE_STREAM))

    failure = asyncio.run(run())
    assert (failure.kind, failure.maybe_billed) == (FailureKind.RUBBISH, True)


def test_an_owned_task_drains_what_its_client_left(model, attempt):
    """The client's task is cancelled between frames; the stream itself is read to its end."""

    async def run():
        async with wire_server(sends(START, DELTA, STOP, METADATA)) as server, model() as bedrock:
            reply = await bedrock.stream(attempt(server.url, Operation.CONVERSE_STREAM))
            drained = []

            async def drain():
                async for frame in reply:
                    drained.append(frame.event_type)
                await reply.aclose()

            owned = asyncio.ensure_future(drain())

            async def client():
                await asyncio.shield(owned)

            watching = asyncio.ensure_future(client())
            await asyncio.sleep(0)
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)
            await owned
            return drained, reply.end

    drained, end = asyncio.run(asyncio.wait_for(run(), 30))
    assert drained[-1] == "metadata"
    assert end.kind is StreamEndKind.COMPLETE


def test_closing_gives_the_connection_back(model, attempt):
    """A stream left in its middle ends its connection, one read to its end keeps it."""

    async def run():
        left = asyncio.Event()

        async def handler(exchange):
            await exchange.begin(HEADERS)
            await exchange.chunk(START)
            if exchange.request.body == b"leave":
                await exchange.peer_left()
                left.set()
                exchange.cut()
            else:
                await exchange.chunk(METADATA)
                await exchange.finish()

        async with wire_server(handler) as server, model(max_connections=1) as bedrock:
            reply = await bedrock.stream(
                attempt(server.url, Operation.CONVERSE_STREAM, body=b"leave")
            )
            await anext(reply)
            await reply.aclose()
            await reply.aclose()
            await left.wait()
            ends = [reply.end.kind]
            assert [frame async for frame in reply] == []
            for _ in range(3):
                reply = await bedrock.stream(attempt(server.url, Operation.CONVERSE_STREAM))
                assert len([frame async for frame in reply]) == 2
                ends.append(reply.end.kind)
            return ends, server.connections

    ends, connections = asyncio.run(asyncio.wait_for(run(), 30))
    assert ends == [StreamEndKind.CLOSED] + [StreamEndKind.COMPLETE] * 3
    assert connections == 2


def test_a_stream_over_the_limit(model, attempt, monkeypatch):
    monkeypatch.setattr("tenantry.adapters.bedrock.client.STREAM_BYTES_MAX", 1_000)
    _, end = streamed(model, attempt, sends(*[DELTA] * 50, METADATA))
    assert end.kind is StreamEndKind.GARBLED
