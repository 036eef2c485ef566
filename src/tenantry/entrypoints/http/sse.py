"""Server-sent events: `data: …` lines (WHATWG HTML, server-sent events)."""

from __future__ import annotations

from typing import Any, Final

import orjson

DONE: Final = b"data: [DONE]\n\n"
HEADERS: Final = {
    "content-type": "text/event-stream; charset=utf-8",
    "cache-control": "no-cache",
    "x-accel-buffering": "no",  # a proxy that collected the stream would spoil it
}


def event(value: Any) -> bytes:
    return b"data: " + orjson.dumps(value) + b"\n\n"


def raw_event(data: bytes) -> bytes:
    return b"data: " + data + b"\n\n"
