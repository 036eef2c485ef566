"""Instants and groups in query strings."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Final, cast, get_args

from tenantry.domain.errors import BadRequest
from tenantry.domain.period import Span
from tenantry.ports.ledger import GroupBy

SPAN_MAX: Final = timedelta(days=400)  # a year and its neighbours; longer is an export's business
_GROUPS: Final = get_args(GroupBy)


def span_of(query: Mapping[str, str], default: Span) -> Span:
    """`from` and `to` as RFC 3339 instants, half open. Raises `BadRequest`."""
    start = instant_of(query, "from") or default.start
    end = instant_of(query, "to") or max(default.end, start)
    if start > end:
        raise BadRequest("`from` must not be after `to`.")
    if end - start > SPAN_MAX:
        raise BadRequest(f"`from` and `to` must be at most {SPAN_MAX.days} days apart.")
    return Span(start, end)


def instant_of(query: Mapping[str, str], name: str) -> datetime | None:
    text = query.get(name)
    if text is None:
        return None
    try:
        value = datetime.fromisoformat(text.replace(" ", "+"))  # an unescaped + arrives as a space
    except ValueError:
        raise BadRequest(f"`{name}` must be an RFC 3339 instant or a date.") from None
    if value.tzinfo is None:
        value = value.replace(tzinfo=UTC)
    try:
        return value.astimezone(UTC)
    except OverflowError:
        raise BadRequest(f"`{name}` is out of range.") from None


def groups_of(query: Mapping[str, str]) -> list[GroupBy]:
    """`group_by=model,day`; none: by model."""
    names = query.get("group_by", "model").split(",")
    if len(names) != len(set(names)) or not set(names) <= set(_GROUPS):
        raise BadRequest(f"`group_by` takes some of {', '.join(_GROUPS)}, joined by commas.")
    return [cast(GroupBy, name) for name in names]
