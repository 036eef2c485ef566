"""One name of an end user, in whichever of Unicode's forms it is written."""

from __future__ import annotations

import pytest

from tenantry.domain.end_user import USER_CHARS_MAX, spellings_from, spellings_of, user_from
from tenantry.domain.errors import BadRequest

NFC, NFD = "Jos\u00e9", "Jose\u0301"
MIXED = "\u00ea\u0323"  # as Vietnamese keyboards write U+1EC7: half composed


@pytest.mark.parametrize("given", [NFC, NFD, f" {NFD} "])
def test_a_name_is_taken_in_one_form(given: str) -> None:
    assert user_from(given) == NFC


@pytest.mark.parametrize("name", ["jose", "JOSE", "Jos\u00e8", "\uff2aos\u00e9"])
def test_other_names_stay_others(name: str) -> None:
    """Case, accents and widths tell people apart: NFKC or folding would make two of them one."""
    assert user_from(name) == name != NFC


def test_what_was_kept_is_looked_for_under_each_spelling() -> None:
    assert spellings_from("ann") == ["ann"] == spellings_of("ann")
    assert spellings_from(NFC) == spellings_from(f" {NFD} ") == [NFC, NFD] == spellings_of(NFC)
    assert spellings_from(MIXED) == ["\u1ec7", MIXED, "e\u0323\u0302"]


def test_a_name_is_measured_as_it_is_taken() -> None:
    """The longest that a character is written as is four: U+1F82."""
    longest = "\u1f82" * USER_CHARS_MAX
    written = "\u03b1\u0313\u0300\u0345" * USER_CHARS_MAX
    assert user_from(longest) == user_from(written) == longest
    for wrong in (written + "a", "a" * (USER_CHARS_MAX + 1), "e\u0301" * (USER_CHARS_MAX + 1)):
        with pytest.raises(BadRequest, match="`user` must be 1 to 256 printable"):
            user_from(wrong, field="user")


@pytest.mark.parametrize("wrong", ["", "  ", "a\nb", "a\u200bb", "a\x00", "\u200e"])
def test_what_cannot_be_seen_is_no_name(wrong: str) -> None:
    for read in (user_from, spellings_from):
        with pytest.raises(BadRequest):
            read(wrong)
