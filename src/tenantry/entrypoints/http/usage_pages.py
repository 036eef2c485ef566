"""Pages of usage. A cursor is the group that a page ended with, and what it was grouped by."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping, Sequence
from typing import Final

import orjson

from tenantry.domain.errors import BadRequest
from tenantry.entrypoints.http.paging import page_of
from tenantry.ports.ledger import UsageRow

# Without `limit`: reports are mostly smaller, and come whole as they did before they had pages.
USAGE_ROWS: Final = 1_000
_VALUE_MAX: Final = 512  # characters: tags and names are shorter


def usage_page_of(query: Mapping[str, str], groups: Sequence[str]) -> tuple[list[str] | None, int]:
    """The group that the page before ended with, and how many rows a page has. Raises
    `BadRequest`, also for a cursor of other groups.
    """
    cursor, limit = page_of(query)
    if "limit" not in query:
        limit = USAGE_ROWS
    return (None if cursor is None else _place(cursor, groups)), limit


def usage_cursor(row: UsageRow) -> str:
    place = [",".join(row.group), *row.group.values(), row.currency]
    return base64.urlsafe_b64encode(orjson.dumps(place)).decode().rstrip("=")


def _place(cursor: str, groups: Sequence[str]) -> list[str]:
    try:
        text = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        told = orjson.loads(text)
    except (ValueError, binascii.Error):
        told = None
    if not isinstance(told, list) or len(told) != len(groups) + 2 or not all(map(_is_value, told)):
        raise BadRequest("`cursor` is not one that this list returned.")
    by, *place = told
    if by != ",".join(groups):
        raise BadRequest("`cursor` is of a list with another `group_by`.")
    return place


def _is_value(value: object) -> bool:
    return isinstance(value, str) and len(value) <= _VALUE_MAX and "\x00" not in value
