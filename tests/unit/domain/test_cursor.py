"""Cursors of several values come back as they were, and nothing else is one."""

import base64
from datetime import UTC, date, datetime, timedelta, timezone
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenantry.domain.cursor import cursor_of, parts_of
from tenantry.domain.errors import BadRequest

AT = datetime(2026, 11, 30, 12, 0, 0, 1, UTC)
ID = UUID("0b8e6f0c-1f0e-4f6e-9a53-3d1d5f1f9f5b")
KINDS = (datetime, UUID, int)
PRINTABLE = st.characters(exclude_categories=["C", "Z"], include_characters=" ")


def encoded(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


@given(
    st.datetimes(timezones=st.just(UTC)),
    st.uuids(),
    st.integers(0, 2**31 - 1),
    st.text(PRINTABLE, min_size=1),
)
def test_what_a_page_ended_with_comes_back(at: datetime, key: UUID, line: int, name: str) -> None:
    assert parts_of(cursor_of(at, key, line, name), *KINDS, str) == (at, key, line, name)


def test_no_cursor_is_the_beginning() -> None:
    assert parts_of(None, *KINDS) is None


def test_an_instant_is_told_in_utc() -> None:
    there = AT.astimezone(timezone(timedelta(hours=9)))
    assert cursor_of(there, ID, 1) == cursor_of(AT, ID, 1)


@pytest.mark.parametrize(
    "cursor",
    [
        "",
        "zzz",
        "Z" * 2_000,
        "ä",
        cursor_of(AT, ID),
        cursor_of(AT, ID, 1, 2),
        cursor_of(date(2026, 11, 30), ID, 1),
        cursor_of(AT, ID, 2**31),
        encoded(f"{AT.isoformat()} {ID} -1"),
        encoded(f"{AT.isoformat()} {ID} 01"),
        encoded(f"{AT.isoformat()} {ID.hex} 1"),
        encoded(f"2026-11-30T12:00:00 {ID} 1"),
        encoded(f"0001-01-01T00:00:00+14:00 {ID} 1"),
        cursor_of(AT, ID, 1) + "=",
    ],
)
def test_what_no_list_returned_is_refused(cursor: str) -> None:
    with pytest.raises(BadRequest, match="`cursor`"):
        parts_of(cursor, *KINDS)


@pytest.mark.parametrize("name", ["", "a\x00b"])
def test_no_name_is_one_that_the_database_cannot_look_for(name: str) -> None:
    with pytest.raises(BadRequest):
        parts_of(encoded(name), str)
