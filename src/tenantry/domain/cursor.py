"""Cursors of lists whose order is of several values: where a page ended, as an opaque text."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from typing import Any, Final
from uuid import UUID

from tenantry.domain.errors import BadRequest

Part = str | int | date | UUID
_CHARS_MAX: Final = 1_024
_WHOLE_MAX: Final = 2**31 - 1  # the largest `integer` of the database


def cursor_of(*parts: Part) -> str:
    """No part but the last has a blank."""
    text = " ".join(_to_text(part) for part in parts)
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def parts_of(cursor: str | None, *kinds: type[Part]) -> tuple[Any, ...] | None:
    """The inverse, by the kinds of the parts. Raises `BadRequest`."""
    if cursor is None:
        return None
    try:
        if len(cursor) > _CHARS_MAX:
            raise ValueError
        text = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode()
        texts = text.split(" ", len(kinds) - 1)
        parts = tuple(_FROM_TEXT[kind](part) for kind, part in zip(kinds, texts, strict=True))
        if cursor_of(*parts) != cursor:
            raise ValueError
    except (ValueError, OverflowError):
        raise no_cursor() from None
    return parts


def no_cursor() -> BadRequest:
    """The refusal of a cursor that a list did not return."""
    return BadRequest("`cursor` is not one that this list returned.")


def _to_text(part: Part) -> str:
    if isinstance(part, datetime):
        return part.astimezone(UTC).isoformat()
    return part.isoformat() if isinstance(part, date) else str(part)


def _text(text: str) -> str:
    if not text or "\x00" in text:
        raise ValueError
    return text


def _whole(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= len(str(_WHOLE_MAX))):
        raise ValueError
    if int(text) > _WHOLE_MAX:
        raise ValueError
    return int(text)


_FROM_TEXT: Final[Mapping[type[Part], Callable[[str], Part]]] = {
    str: _text,
    int: _whole,
    date: date.fromisoformat,
    datetime: datetime.fromisoformat,
    UUID: UUID,
}
