"""Writes a streamed answer: frame by frame, paced, broken where a rule says so."""

from __future__ import annotations

import asyncio
from typing import Any

import orjson

from bedrock_emulator.engine.types import Event
from bedrock_emulator.faults import Action
from bedrock_emulator.wire import answers, eventstream
from bedrock_emulator.wire.replies import Reply, rubbish

PADDING_MAX = 60
PADDING_STEP = 17  # spreads the paddings of one stream over all lengths


async def write_stream(reply: Reply, *, live: bool) -> None:
    """Frames leave one by one when `live`; else the kernel gets as many as there are at once."""
    exchange, plan, events = reply.exchange, reply.plan, reply.answer.events
    await exchange.pause(plan.first_token_ms / 1_000)
    first_byte_ms = reply.elapsed_ms()
    ending, ending_at = plan.ending, _ending_index(plan.ending, len(events))
    if ending is not None and ending.kind == "rubbish" and ending.what == "html":
        await reply.settle("full", output_tokens=0)
        content_type, content = rubbish(ending, None)
        headers = {"content-type": content_type, "x-amzn-RequestId": reply.request_id}
        exchange.respond(200, headers, content)
        return
    exchange.start(200, _headers(reply))
    output_tokens = 0
    for index, event in enumerate(events):
        if ending is not None and index == ending_at and ending.kind != "rubbish":
            await _end_early(reply, ending, event, output_tokens)
            return
        if event.output_tokens > output_tokens:
            await exchange.pause(plan.token_ms * (event.output_tokens - output_tokens) / 1_000)
        if exchange.gone:
            await reply.settle_hangup(output_tokens)
            return
        output_tokens = max(output_tokens, event.output_tokens)
        payload = event.payload
        if index == len(events) - 1:
            payload = answers.event_with_latency(event, reply.elapsed_ms(), first_byte_ms)
            await reply.settle(
                "full", output_tokens=output_tokens, response_body=lambda: logged_body(reply)
            )
        if ending is not None and ending.what == "usage":
            payload = answers.event_with_reported_usage(payload, ending.usage)
        padding = PADDING_STEP * index % PADDING_MAX + 1 if live else 0
        frame = _frame(event, payload, padding, ending, broken=index == ending_at)
        await exchange.send(frame)
        if live:
            await asyncio.sleep(0)
    exchange.finish()


def _headers(reply: Reply) -> dict[str, str]:
    headers = {"content-type": eventstream.CONTENT_TYPE, "x-amzn-RequestId": reply.request_id}
    if reply.native:
        headers["X-Amzn-Bedrock-Content-Type"] = answers.JSON
        headers |= reply.answer.headers
        headers |= answers.echoed(reply.call.headers, reply.answer)
    return headers


def _ending_index(ending: Action | None, events: int) -> int:
    """Before which event the stream breaks: never after the last, which carries the usage."""
    if ending is None:
        return -1
    chosen = events // 2 if ending.after_events is None else ending.after_events
    return min(chosen, events - 1)


async def _end_early(reply: Reply, ending: Action, event: Event, output_tokens: int) -> None:
    exchange = reply.exchange
    if ending.kind == "error_frame":
        await reply.settle("emitted", output_tokens=output_tokens, error_code=ending.code)
        message = ending.message or answers.DEFAULT_MESSAGES.get(ending.code, "The stream failed.")
        frame = answers.error_frame(ending.code, ending.status, message, native=reply.native)
        await exchange.send(frame)
        exchange.finish()
    elif ending.kind == "cut":
        await reply.settle("emitted", output_tokens=output_tokens)
        frame = answers.frame(event.type, event.payload, 0)
        await exchange.send(frame[: len(frame) // 2])
        if ending.clean:
            exchange.finish()
        else:
            await exchange.abort()
    else:
        await reply.settle("full", output_tokens=output_tokens)
        await exchange.pause(ending.for_ms / 1_000)
        await exchange.abort()


def _frame(
    event: Event, payload: Any, padding: int, ending: Action | None, *, broken: bool
) -> bytes:
    if ending is None or ending.what == "usage" or not broken:
        return answers.frame(event.type, payload, padding)
    if ending.what == "bad_crc":
        frame = bytearray(answers.frame(event.type, payload, padding))
        frame[-1] ^= 0xFF
        return bytes(frame)
    content = rubbish(ending, payload)[1]
    return eventstream.event(event.type, content)


def logged_body(reply: Reply) -> Any:
    """What the log keeps of a stream: native chunks as they are, else the message put together."""
    events = reply.answer.events
    if reply.native:
        return [event.payload for event in events]
    blocks: dict[int, dict[str, Any]] = {}
    body: dict[str, Any] = {}
    role = "assistant"
    for event in events:
        payload = event.payload
        if event.type == "messageStart":
            role = payload["role"]
        elif event.type == "contentBlockStart":
            blocks[payload["contentBlockIndex"]] = orjson.loads(orjson.dumps(payload["start"]))
        elif event.type == "contentBlockDelta":
            _extend(blocks.setdefault(payload["contentBlockIndex"], {}), payload["delta"])
        elif event.type == "messageStop":
            body["stopReason"] = payload["stopReason"]
        elif event.type == "metadata":
            body |= payload
    content = [_with_citations(blocks[index]) for index in sorted(blocks)]
    body["output"] = {"message": {"role": role, "content": content}}
    return body


def _with_citations(block: dict[str, Any]) -> dict[str, Any]:
    """A text with citations, as a whole answer has it."""
    if "citations" not in block:
        return block
    member = {"content": [{"text": block["text"]}], "citations": block["citations"]}
    return {"citationsContent": member}


def _extend(block: dict[str, Any], delta: dict[str, Any]) -> None:
    """Adds a delta to its block: strings grow, objects merge, the rest replaces."""
    for key, value in delta.items():
        if key == "citation":
            block.setdefault("citations", []).append(value)
            continue
        known = block.get(key)
        if isinstance(known, str) and isinstance(value, str):
            block[key] = known + value
        elif isinstance(value, dict):
            _extend(block.setdefault(key, {}), value)
        else:
            block[key] = value
