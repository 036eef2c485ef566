"""What a handler gives back: a whole answer, or one that comes piece by piece."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

import orjson


@dataclass(slots=True)
class Response:
    status: int
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class StreamingResponse:
    """`chunks` is read by nobody once the client has gone; `leave` is called as soon as it has."""

    chunks: AsyncIterator[bytes]
    headers: dict[str, str]
    leave: Callable[[], None]


def json_response(value: Any, status: int = 200) -> Response:
    """`value` as JSON. Decimals must have become strings before: money is never a float."""
    return Response(status, orjson.dumps(value), {"content-type": "application/json"})
