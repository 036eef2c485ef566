"""Pages of passages: as many as one answer has room for, then a token for the rest.

A token says where to go on and in which request. It opens nothing: the next page is another search
of the tenant that asks, metered like the first.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, Final

import orjson

from tenantry.domain.errors import BadRequest

PAGE_BYTES_MAX: Final = 900_000  # under what an idempotency key keeps
_DIGEST_BYTES: Final = 16
_OFFSET_MAX: Final = 1_000


def offset_of(body: Mapping[str, Any]) -> int:
    """Where the page that is asked for begins. Raises `BadRequest`."""
    token = body.get("nextToken")
    if token is None:
        return 0
    try:
        raw = base64.urlsafe_b64decode(str(token).encode("ascii"))
    except (binascii.Error, ValueError):
        raw = b""
    if len(raw) != _DIGEST_BYTES + 2 or raw[2:] != _digest(body):
        raise BadRequest("`nextToken` was not given for this request.")
    return min(int.from_bytes(raw[:2], "big"), _OFFSET_MAX)


def page_of(
    results: Sequence[dict[str, Any]], offset: int, body: Mapping[str, Any]
) -> tuple[list[dict[str, Any]], str | None]:
    """The results from `offset` on that fit, one at least, and the token of the page after."""
    shown: list[dict[str, Any]] = []
    room = PAGE_BYTES_MAX
    for result in results[offset:]:
        room -= len(orjson.dumps(result))
        if room < 0 and shown:
            end = (offset + len(shown)).to_bytes(2, "big")
            return shown, base64.urlsafe_b64encode(end + _digest(body)).decode()
        shown.append(result)
    return shown, None


def _digest(body: Mapping[str, Any]) -> bytes:
    asked = {name: value for name, value in body.items() if name != "nextToken"}
    canonical = orjson.dumps(asked, option=orjson.OPT_SORT_KEYS)
    return hashlib.sha256(canonical).digest()[:_DIGEST_BYTES]
