"""What a handler gives back: a whole answer, or one that comes piece by piece."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

import orjson

from tenantry.domain.money import plain


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
    """`value` as JSON: decimals as exact strings, instants in UTC, sets as sorted lists."""
    return Response(status, to_json(value), {"content-type": "application/json"})


def instant(at: datetime) -> str:
    """As it stands in JSON."""
    text: str = orjson.loads(to_json(at))
    return text


def to_json(value: Any) -> bytes:
    return orjson.dumps(value, default=_plain, option=orjson.OPT_UTC_Z)


def _plain(value: Any) -> Any:
    if isinstance(value, Decimal):
        return plain(value)
    if isinstance(value, (set, frozenset)):
        return sorted(value)
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"{type(value).__name__} has no JSON form")
