"""Members of query strings that several routes take; lists are `{data, next_cursor}`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, TypeVar

from tenantry.domain.errors import BadRequest
from tenantry.entrypoints.http.response import Response, json_response

T = TypeVar("T")
PAGE_MAX: Final = 100
PAGE: Final = ("cursor", "limit")  # what every list takes
_DIGITS_MAX: Final = 9  # so that no text of digits takes long to read


def page_of(query: Mapping[str, str]) -> tuple[str | None, int]:
    """`cursor` and `limit` of a list. Raises `BadRequest`."""
    text = query.get("limit", str(PAGE_MAX))
    whole = text.isascii() and text.isdigit() and len(text) <= _DIGITS_MAX
    if not whole or not 1 <= int(text) <= PAGE_MAX:
        raise BadRequest(f"`limit` must be a whole number from 1 to {PAGE_MAX}.")
    return query.get("cursor"), int(text)


def page_response(
    found: Sequence[T],
    limit: int,
    told: Callable[[T], Mapping[str, Any]],
    cursor: Callable[[T], str],
) -> Response:
    """A page. One more than `limit` in `found` tells that there is a next one."""
    shown = found[:limit]
    more = cursor(shown[-1]) if len(found) > limit else None
    return json_response({"data": [told(row) for row in shown], "next_cursor": more})


def required(query: Mapping[str, str], name: str) -> str:
    """A member that a query must have. Raises `BadRequest`."""
    value = query.get(name)
    if not value:
        raise BadRequest(f"The query parameter `{name}` is missing.")
    return value
