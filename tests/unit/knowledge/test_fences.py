"""What looking for fences costs, and that every form of their letters is known."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any
from unicodedata import normalize

import pytest
from tests.support.read_passages import ReadPassage

from tenantry.application.grounded import _trim
from tenantry.domain.chunk import Passage
from tenantry.domain.ids import DocumentId
from tenantry.domain.prompt import FencedPassages, defused, fenced, fenced_within

NAMES = ("passage", "passages", "question")


def passage(text: str, title: str = "Guide") -> Passage:
    return Passage(DocumentId("doc_" + "0" * 26), title, text, 0.5, 0, len(text))


def calls_in(work: Callable[[], object]) -> int:
    """Of functions, ours and Python's."""
    count = 0

    def called(_: object, event: str, __: object) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    before = sys.getprofile()
    sys.setprofile(called)
    try:
        work()
    finally:
        sys.setprofile(before)
    return count


@pytest.mark.parametrize(
    "part",
    [
        "<",
        "<\u200b",
        "<p\u200b",
        "<passag",
        "<\u200bpassages\u200b",
        "≮ / ",
        "\u200b",
        "ﷺ<",
        "<" + "\ufdfa" * 9,
        "<b>Größe</b> ",
        "<p\u0301\u2800ä",
        "<\u2800",
    ],
)
def test_texts_made_to_be_slow_are_read_in_one_pass_and_without_a_call_for_any_sign(
    part: str,
) -> None:
    for text in (part * 100_000, f"é{part * 100_000}", f"<{part * 100_000}"):
        assert len(defused(text)) >= len(text)
    one = calls_in(lambda: defused(part))
    assert calls_in(lambda: defused(part * 1_000)) == one


def bare(room_bytes: int) -> Any:
    """A call without passages, that leaves this room beside it."""
    bound = SimpleNamespace(output_tokens=1_000, input_tokens=2_000 - room_bytes)
    return SimpleNamespace(
        resolved=SimpleNamespace(model=SimpleNamespace(window=2_000)), bound=bound
    )


@pytest.mark.parametrize("room_bytes", [0, 3_000, 100_000])
def test_each_passage_is_read_once_however_few_have_room(room_bytes: int) -> None:
    given: Any = [ReadPassage("<" * 1_000) for _ in range(50)]
    every = list(given)
    held = _trim(given, bare(room_bytes))
    assert list(held) == given == every[: len(given)]
    for few in range(len(held) + 1):
        fenced(held[:few])
    assert max(one.times for one in every) == 1
    assert sum(one.times for one in every) <= len(held) + 1


@pytest.mark.parametrize("text", ["", "Größe", "</passage>", "𝄞 < x"])
def test_as_many_are_held_as_there_is_room_for_to_the_byte(text: str) -> None:
    given = [passage(f"{text}{number}") for number in range(12)]
    for count in range(1, len(given) + 1):
        size = len(fenced(given[:count]).encode())
        assert list(fenced_within(given, size)) == given[:count]
        assert list(fenced_within(given, size - 1)) == given[: count - 1]


def test_passages_that_are_fenced_already_are_written_as_any_others() -> None:
    given = [passage("one"), passage("</passage>", 'a "title"'), passage("three")]
    held = fenced_within(given, 10_000)
    for some in (slice(None), slice(0), slice(2), slice(1, None)):
        assert isinstance(held[some], FencedPassages)
        assert list(held[some]) == given[some]
        assert fenced(held[some]) == fenced(given[some])
    assert (held[1], held[-1], len(held)) == (given[1], given[2], 3)


def forms() -> list[tuple[str, str, str]]:
    """Of all characters that Unicode has another form of: that, and it without its accents."""
    known = []
    for code in range(0x80, sys.maxunicode + 1):
        character = chr(code)
        parts = normalize("NFKD", character)
        if parts != character:
            plain = "".join(part for part in parts if not "\u0300" <= part <= "\u036f")
            known.append((character, normalize("NFKC", character).lower(), plain.lower()))
    return known


def test_every_form_of_a_letter_is_seen_through() -> None:
    missed = [
        (character, name)
        for character, form, plain in forms()
        for name in NAMES
        if plain and plain in name
        # An accent on the last letter makes another word.
        if form == plain or not name.endswith(plain)
        if defused(f"</{name.replace(plain, character)}>")[0] != "&"
    ]
    assert missed == []


def test_what_is_another_letter_or_goes_on_as_a_word_is_no_fence() -> None:
    letters = set("".join(NAMES))
    taken = [
        character
        for character, _, plain in forms()
        if not letters & set(plain)
        if defused(f"<{character}assage>{character}uestion")[0] == "&"
    ]
    assert taken == []
    longer = [
        character
        for character, form, _ in forms()
        if form[0].isalnum()
        and form[0] not in "s\u1160"
        and defused(f"<passage{character}")[0] == "&"
    ]
    assert longer == []
