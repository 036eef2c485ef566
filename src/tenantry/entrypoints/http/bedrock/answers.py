"""Answers on the Bedrock wire: upstream's own bytes, tagged."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator, Mapping
from typing import Any, Final

import orjson

from tenantry.application.calls import Completed, Streamed
from tenantry.domain import eventstream
from tenantry.domain.eventstream import Frame
from tenantry.entrypoints.http.bedrock.grounds import with_grounds
from tenantry.entrypoints.http.charge import CHARGE_HEADER, charge_text, max_tokens_headers
from tenantry.entrypoints.http.chats import Grounds
from tenantry.entrypoints.http.response import Response, StreamingResponse

_METRICS: Final = b"amazon-bedrock-invocationMetrics"
# Headers of one connection, or that our own answer sets (RFC 9110 §7.6.1).
_NOT_PASSED_ON: Final = frozenset(
    {
        "connection", "keep-alive", "proxy-authenticate", "te", "trailer", "transfer-encoding",
        "upgrade", "content-length", "content-encoding", "date", "server", "set-cookie", "alt-svc",
    }
)  # fmt: skip


def passed_on(headers: Mapping[str, str], content_type: str) -> dict[str, str]:
    """Upstream's headers, without those of its connection."""
    lowered = {name.lower(): value for name, value in headers.items()}
    kept = {name: value for name, value in lowered.items() if name not in _NOT_PASSED_ON}
    kept.setdefault("content-type", content_type)
    return kept


def from_completed(done: Completed, grounds: Mapping[str, Any] | None = None) -> Response:
    """`grounds`: citations and passages that go with it."""
    headers = passed_on(done.headers, "application/json") | max_tokens_headers(done.max_tokens)
    if done.charge is not None:
        headers[CHARGE_HEADER] = charge_text(done.charge, done.currency)
    body = done.body if grounds is None else with_grounds(done.body, grounds)
    return Response(200, body, headers)


def from_streamed(streamed: Streamed, grounds: Grounds | None = None) -> StreamingResponse:
    headers = passed_on(streamed.headers, eventstream.CONTENT_TYPE)
    headers["content-type"] = eventstream.CONTENT_TYPE
    headers |= max_tokens_headers(streamed.max_tokens)
    return StreamingResponse(_frames(streamed, grounds), headers, streamed.leave)


async def _frames(streamed: Streamed, grounds: Grounds | None) -> AsyncIterator[bytes]:
    """Frames as they came; the one that carries usage gets the charge as a header, and the one
    that ends the message, all of which was said by then, what it cites."""
    async for frame in streamed.frames:
        charge = streamed.charge
        if charge is not None and _carries_usage(frame):
            headers = {**frame.headers, CHARGE_HEADER: charge_text(charge, streamed.currency)}
            yield eventstream.encode(headers, frame.payload)
        elif grounds is not None and frame.event_type == "messageStop":
            yield eventstream.encode(frame.headers, with_grounds(frame.payload, grounds()))
        else:
            yield frame.raw


def _carries_usage(frame: Frame) -> bool:
    """`metadata` of Converse; for InvokeModel the chunk with the invocation's metrics."""
    if frame.event_type != "chunk":
        return frame.event_type == "metadata"
    try:
        return _METRICS in base64.b64decode(orjson.loads(frame.payload)["bytes"])
    except (ValueError, KeyError, TypeError):  # no JSON, or no base64
        return False
