"""Members of query strings that several routes take; lists are `{data, next_cursor}`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from tenantry.domain.errors import BadRequest

PAGE_MAX: Final = 100
_DIGITS_MAX: Final = 9  # so that no text of digits takes long to read


def page_of(query: Mapping[str, str]) -> tuple[str | None, int]:
    """`cursor` and `limit` of a list. Raises `BadRequest`."""
    text = query.get("limit", str(PAGE_MAX))
    whole = text.isascii() and text.isdigit() and len(text) <= _DIGITS_MAX
    if not whole or not 1 <= int(text) <= PAGE_MAX:
        raise BadRequest(f"`limit` must be a whole number from 1 to {PAGE_MAX}.")
    return query.get("cursor"), int(text)


def required(query: Mapping[str, str], name: str) -> str:
    """A member that a query must have. Raises `BadRequest`."""
    value = query.get(name)
    if not value:
        raise BadRequest(f"The query parameter `{name}` is missing.")
    return value
