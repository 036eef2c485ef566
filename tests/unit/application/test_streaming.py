"""The pump: settled before its last frame, read to its end whoever listens, never hanging."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Awaitable, Callable
from decimal import Decimal
from typing import Any

import orjson
import pytest
from tests.support.core import principal
from tests.support.scripted import (
    Core,
    ScriptedStream,
    context,
    core,
    delta,
    event,
    exception,
    metadata,
    usage,
)
from tests.support.skipping import run

from tenantry.application.calls import ChatCall
from tenantry.application.context import Idempotency
from tenantry.application.streaming import FRAMES_BUFFERED_MAX, StreamedAnswer, StreamLimits
from tenantry.domain import errors
from tenantry.domain.eventstream import Decoder, Frame, encode
from tenantry.ports.model import StreamEnd, StreamEndKind

ACME = principal("acme")
CHAT = ChatCall("ConverseStream", "claude", {"messages": []})
NATIVE = ChatCall("InvokeModelWithResponseStream", "claude", {"messages": []})
CUT = StreamEnd(StreamEndKind.CUT)


def played(stream: ScriptedStream, chat: ChatCall = CHAT, **more: Any) -> tuple[Core, Any]:
    """The worker after a stream that a client read to its end, and what the client read."""

    async def walk() -> tuple[Core, list[Frame]]:
        worker = core(stream, **more)
        answer = await worker.inference.stream(context(ACME), chat)
        frames = [frame async for frame in answer.frames]
        await worker.tasks.drain(600_000)
        return worker, frames

    worker, frames = run(walk())
    assert stream.closed
    return worker, frames


def left(
    stream: ScriptedStream,
    then: Callable[[Core, StreamedAnswer], Awaitable[None]],
    limits: StreamLimits | None = None,
    **ctx: Any,
) -> Core:
    """The worker after a stream whose client read one frame and left."""

    async def walk() -> Core:
        worker = core(stream, limits=limits)
        answer = await worker.inference.stream(context(ACME, **ctx), CHAT)
        async for _ in answer.frames:
            break
        answer.leave()
        answer.leave()
        await then(worker, answer)
        await worker.tasks.drain(600_000)
        assert len(worker.tasks) == 0
        return worker

    return run(walk())


async def at_once(worker: Core, answer: StreamedAnswer) -> None:
    """The client is gone, and nothing else happens."""


def kinds(frames: list[Frame]) -> list[str | None]:
    return [frame.event_type or frame.exception_type for frame in frames]


def chunk(native: dict[str, Any]) -> Frame:
    return event("chunk", {"bytes": base64.b64encode(orjson.dumps(native)).decode()})


def test_a_whole_stream_is_passed_on_as_it_came() -> None:
    ends = event("messageStop", {"stopReason": "end_turn"})
    sent = [event("messageStart", {}), delta("a"), event("ping", {}), delta("b"), ends, metadata()]
    worker, frames = played(ScriptedStream(sent))
    assert [frame.raw for frame in frames] == [frame.raw for frame in sent]
    (outcome,) = worker.admission.outcomes
    assert (outcome.end, outcome.charged) == ("settled", True)
    assert outcome.rated is not None
    assert outcome.rated.charge == Decimal("0.0315")


def test_the_frame_with_usage_waits_for_the_settlement() -> None:
    async def walk() -> None:
        worker = core(ScriptedStream([delta("a"), metadata()]))
        answer = await worker.inference.stream(context(ACME), CHAT)
        async for frame in answer.frames:
            if frame.event_type == "metadata":
                assert len(worker.admission.settlements) == 1
                assert answer.charge == Decimal("0.0315")
                assert answer.usage.out == 500
            else:
                assert worker.admission.settlements == []
                assert answer.charge is None

    run(walk())


def test_a_client_leaves_and_all_is_read_and_charged_once() -> None:
    frames = [delta("x"), *[delta("y")] * 40, metadata(uncached_in=45, out=511)]
    gate = asyncio.Event()
    stream = ScriptedStream(frames, gates={1: gate})

    async def then(worker: Core, answer: StreamedAnswer) -> None:
        assert worker.admission.settlements == []
        gate.set()

    worker = left(stream, then)
    (outcome,) = worker.admission.outcomes
    assert stream.read == len(frames)
    assert outcome.rated is not None
    assert outcome.rated.cost == Decimal("0.0078")
    assert (outcome.end, outcome.charged) == ("settled", True)


def test_a_drain_cap_leaves_it_unknown_and_the_customers() -> None:
    gate = asyncio.Event()
    stream = ScriptedStream([delta("x")] * 5 + [metadata()], gates={2: gate})

    async def then(worker: Core, answer: StreamedAnswer) -> None:
        worker.clock.move(seconds=11)
        gate.set()

    worker = left(stream, then, StreamLimits(drain_cap_ms=10_000))
    (outcome,) = worker.admission.outcomes
    assert (outcome.end, outcome.charged, outcome.rated) == ("unknown", True, None)
    assert "truncated" in outcome.flags
    assert stream.read < 6
    assert stream.closed


def test_a_failure_after_the_client_left_is_not_the_customers() -> None:
    worker = left(ScriptedStream([delta("x"), delta("y")], CUT), at_once)
    (outcome,) = worker.admission.outcomes
    assert (outcome.end, outcome.charged) == ("unknown", False)


def test_an_exception_after_some_text_is_unknown_and_our_waste() -> None:
    broken = exception("modelStreamErrorException")
    end = StreamEnd(StreamEndKind.EXCEPTION, error_type="modelStreamErrorException")
    worker, frames = played(ScriptedStream([delta("x"), broken], end))
    assert kinds(frames) == ["contentBlockDelta", "modelStreamErrorException"]
    assert frames[-1].raw == broken.raw
    (outcome,) = worker.admission.outcomes
    assert (outcome.end, outcome.charged, outcome.rated) == ("unknown", False, None)
    assert outcome.error == "modelStreamErrorException"
    assert outcome.usage.out == 1  # what was seen, an estimate


@pytest.mark.parametrize(
    ("end", "told"),
    [
        (StreamEndKind.CUT, "modelStreamErrorException"),
        (StreamEndKind.GARBLED, "modelStreamErrorException"),
        (StreamEndKind.TIMED_OUT, "modelTimeoutException"),
    ],
)
def test_a_stream_without_an_end_is_given_one(end: StreamEndKind, told: str) -> None:
    worker, frames = played(ScriptedStream([delta("x")], StreamEnd(end)))
    assert kinds(frames) == ["contentBlockDelta", told]
    (outcome,) = worker.admission.outcomes
    assert (outcome.end, outcome.charged) == ("unknown", False)


def test_usage_that_is_missing_from_its_frame_is_never_nothing() -> None:
    worker, frames = played(ScriptedStream([delta("x"), event("metadata", {"metrics": {}})]))
    assert kinds(frames)[-1] == "metadata"
    (outcome,) = worker.admission.outcomes
    assert (outcome.end, outcome.rated) == ("unknown", None)
    assert outcome.quarantined


def rubbish(payload: bytes) -> Frame:
    headers = {":message-type": "event", ":event-type": "contentBlockDelta"}
    (frame,) = Decoder().feed(encode(headers, payload))
    return frame


@pytest.mark.parametrize("payload", [b"<html>", b'{"delta": {"te', b"[]", b"{}"])
def test_an_answer_with_rubbish_in_it_is_our_waste_though_its_usage_is_told(payload: bytes) -> None:
    worker, _ = played(ScriptedStream([delta("x"), rubbish(payload), metadata()]))
    (outcome,) = worker.admission.outcomes
    assert (outcome.end, outcome.charged) == ("settled", False)
    assert outcome.rated is not None
    assert outcome.rated.cost > 0


@pytest.mark.parametrize(
    "payload", [[], {}, *({"bytes": each} for each in (5, "!!!", "PGh0bWw+", "é"))]
)
def test_a_native_answer_with_rubbish_in_it_is_our_waste_too(payload: Any) -> None:
    usage_of = {"inputTokenCount": 1_000, "outputTokenCount": 500}
    last = chunk({"type": "message_stop", "amazon-bedrock-invocationMetrics": usage_of})
    said = chunk({"type": "content_block_delta", "delta": {"text": "x"}})
    worker, _ = played(ScriptedStream([said, event("chunk", payload), last]), NATIVE)
    (outcome,) = worker.admission.outcomes
    assert (outcome.end, outcome.charged) == ("settled", False)


def test_a_ledger_that_is_away_ends_the_stream_and_the_cost_is_our_waste() -> None:
    async def walk() -> tuple[Core, list[Frame]]:
        worker = core(ScriptedStream([delta("x"), metadata()]))
        worker.admission.settle_trouble = [errors.Unavailable()]
        answer = await worker.inference.stream(context(ACME), CHAT)
        frames = [frame async for frame in answer.frames]
        assert answer.charge is None
        await worker.tasks.drain(600_000)
        return worker, frames

    worker, frames = run(walk())
    assert kinds(frames) == ["contentBlockDelta", "serviceUnavailableException"]
    (outcome,) = worker.admission.outcomes
    assert (outcome.end, outcome.charged) == ("settled", False)


def test_a_slow_reader_is_waited_for_and_loses_nothing() -> None:
    async def walk() -> list[Frame]:
        sent = [delta(str(number)) for number in range(FRAMES_BUFFERED_MAX * 2)]
        stream = ScriptedStream([*sent, metadata()])
        worker = core(stream)
        answer = await worker.inference.stream(context(ACME), CHAT)
        frames: list[Frame] = []
        async for frame in answer.frames:
            frames.append(frame)
            await asyncio.sleep(0.1)
            assert stream.read <= len(frames) + FRAMES_BUFFERED_MAX + 2
        assert [frame.raw for frame in frames[:-1]] == [frame.raw for frame in sent]
        return frames

    assert kinds(run(walk()))[-1] == "metadata"


def test_a_reader_that_stands_still_has_gone() -> None:
    sent = [delta("x")] * (FRAMES_BUFFERED_MAX + 50)
    stream = ScriptedStream([*sent, metadata()])

    async def walk() -> Core:
        worker = core(stream)
        answer = await worker.inference.stream(context(ACME), CHAT)
        await worker.tasks.drain(600_000)
        frames = [frame async for frame in answer.frames]
        assert kinds(frames) == ["modelStreamErrorException"]  # never cut short in silence
        return worker

    (outcome,) = run(walk()).admission.outcomes
    assert stream.read == len(sent) + 1
    assert (outcome.end, outcome.charged) == ("settled", True)


def test_a_recorded_answer_is_read_on_when_its_client_has_gone() -> None:
    gate = asyncio.Event()
    stream = ScriptedStream([delta("x"), delta("y"), metadata()], gates={1: gate})
    kept: list[Frame] = []

    async def then(worker: Core, answer: StreamedAnswer) -> None:
        gate.set()
        kept.extend([frame async for frame in answer.frames])

    left(stream, then, idempotency=Idempotency("key", b"x" * 32, implied=False))
    assert kinds(kept) == ["contentBlockDelta", "metadata"]


def test_a_client_that_leaves_before_the_first_frame_cancels_nothing() -> None:
    async def walk() -> Core:
        arrived, answered = asyncio.Event(), asyncio.Event()

        async def slow(_: Any) -> Any:
            arrived.set()
            await answered.wait()
            return ScriptedStream([delta("x"), metadata()])

        worker = core(slow)
        client = asyncio.create_task(worker.inference.stream(context(ACME), CHAT))
        await arrived.wait()
        client.cancel()
        await asyncio.gather(client, return_exceptions=True)
        answered.set()
        await worker.tasks.drain(600_000)
        return worker

    (outcome,) = run(walk()).admission.outcomes
    assert (outcome.end, outcome.charged) == ("settled", True)


@pytest.mark.parametrize("where", ["planning", "sending", "reading", "settling"])
def test_a_fault_of_ours_never_leaves_a_client_waiting(where: str) -> None:
    ours = RuntimeError("ours")
    stream = ScriptedStream([delta("x"), ours if where == "reading" else metadata()])

    async def walk() -> Core:
        worker = core(ours if where == "sending" else stream)
        if where == "planning":
            worker.directory.trouble = ours
        if where == "settling":
            worker.admission.settle_trouble = [ours]
        try:
            answer = await worker.inference.stream(context(ACME), CHAT)
        except errors.TenantryError as told:
            assert type(told) is errors.TenantryError
            assert where in ("planning", "sending")
        else:
            frames = [frame async for frame in answer.frames]
            assert kinds(frames)[-1] == "internalServerException"
            assert stream.closed
        await worker.tasks.drain(1_000)
        return worker

    worker = run(walk())
    if where in ("sending", "reading"):  # the attempt is left to the sweeper, the slot is free
        assert worker.admission.outcomes == []
    else:
        assert worker.admission.settlements == []


def test_refusals_come_as_they_are() -> None:
    async def walk() -> None:
        worker = core()
        with pytest.raises(errors.NotFound):
            await worker.inference.stream(context(ACME), ChatCall("ConverseStream", "nobody", {}))
        assert worker.admission.reservations == []

    run(walk())


METRICS = {"amazon-bedrock-invocationMetrics": {"inputTokenCount": 1_000, "outputTokenCount": 500}}


def test_native_chunks_carry_their_usage_in_the_last() -> None:
    sent = [
        chunk({"type": "message_start", "message": {"usage": usage()}}),
        chunk({"type": "content_block_delta", "delta": {"text": "x"}}),
        chunk({"type": "message_stop", **METRICS}),
    ]
    worker, frames = played(ScriptedStream(sent), NATIVE)
    assert [frame.raw for frame in frames] == [frame.raw for frame in sent]
    (outcome,) = worker.admission.outcomes
    assert outcome.rated is not None
    assert outcome.rated.cost == Decimal("0.0105")


def test_a_model_that_quotes_the_metrics_holds_nothing_back() -> None:
    quoted = chunk(
        {"type": "content_block_delta", "delta": {"text": orjson.dumps(METRICS).decode()}}
    )
    gate = asyncio.Event()
    stream = ScriptedStream([quoted, quoted, chunk({**METRICS})], gates={2: gate})

    async def walk() -> Core:
        worker = core(stream)
        answer = await worker.inference.stream(context(ACME), NATIVE)
        frames = answer.frames
        assert [(await anext(frames)).raw, (await anext(frames)).raw] == [quoted.raw] * 2
        gate.set()
        assert len([frame async for frame in frames]) == 1
        return worker

    (outcome,) = run(walk()).admission.outcomes
    assert outcome.end == "settled"


def test_a_cut_after_quoted_metrics_is_unknown_and_not_quarantined() -> None:
    quoted = chunk({"delta": {"text": orjson.dumps(METRICS).decode()}})
    worker, _ = played(ScriptedStream([quoted], CUT), NATIVE)
    (outcome,) = worker.admission.outcomes
    assert (outcome.end, outcome.quarantined) == ("unknown", None)


def test_what_follows_the_usage_is_bounded() -> None:
    worker, frames = played(ScriptedStream([metadata(), *[delta("x")] * 100_000]))
    assert len(frames) <= FRAMES_BUFFERED_MAX
    (outcome,) = worker.admission.outcomes
    assert outcome.end == "settled"
