"""Numbers in brackets that passages have themselves, and an answer's own beside them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.processor_time import grows_no_faster

from tenantry.domain.chunk import Passage
from tenantry.domain.citing import Cited, citing_of
from tenantry.domain.ids import DocumentId
from tenantry.domain.prompt import citations_in

MARABU = "The Marabu valve opens at 40 bar [2]."
KOLIBRI = "The Kolibri pump was built in 1987.[2]"
FASAN = "The Fasan hinge holds 90 kg[2]."
EMU = "The Emu motor turns 300 times.[2] It is red."
RETURNS = "商品の返品は30日以内です[2]。"
FREE = "送料無料です。"

Part = tuple[str, *tuple[int, ...]]


def given_as(texts: Sequence[str]) -> list[Passage]:
    return [
        Passage(DocumentId(f"doc_{number}"), "Title", text, 0.5, 0, len(text))
        for number, text in enumerate(texts, start=1)
    ]


def told(pieces: Sequence[str], texts: Sequence[str]) -> tuple[str, list[Part]]:
    citing = citing_of(given_as(texts))
    parts = [part for piece in pieces for part in citing.feed(piece)] + citing.finish()
    text = "".join(part for part in parts if isinstance(part, str))
    found = [part for part in parts if isinstance(part, Cited)]
    assert all(text[one.start : one.end] == one.text for one in found)
    return text, [(one.text, *one.numbers) for one in found]


def cuts(answer: str) -> Iterator[list[str]]:
    for size in (1, 2, 3, 5, 7):
        yield [answer[at : at + size] for at in range(0, len(answer), size)]


def cited(answer: str, texts: Sequence[str]) -> tuple[str, list[Part]]:
    """The same however it is cut, and beside the text as in it."""
    whole = told([answer], texts)
    assert all(told(pieces, texts) == whole for pieces in cuts(answer))
    numbers = [number for _, *own in whole[1] for number in own]
    beside = [one.number for one in citations_in(answer, given_as(texts))]
    assert beside == list(dict.fromkeys(numbers))
    return whole


@pytest.mark.parametrize(
    ("answer", "texts", "parts"),
    [
        (f"{MARABU} [1]", [MARABU, KOLIBRI], [(MARABU, 1)]),
        (f"{KOLIBRI} [1]", [KOLIBRI, MARABU], [(KOLIBRI, 1)]),
        (f"{FASAN} [1]", [FASAN, MARABU], [(FASAN, 1)]),
        (f"{EMU} [1]", [EMU, MARABU], [(EMU, 1)]),
        (f"{MARABU} [1] {FASAN} [3]", [MARABU, KOLIBRI, FASAN], [(MARABU, 1), (FASAN, 3)]),
        # The passage that is cited has it itself: that is cited once, and stays.
        (f"{MARABU} [2]", [KOLIBRI, MARABU], [(MARABU.removesuffix("."), 2)]),
        (MARABU, [KOLIBRI, MARABU], [(MARABU.removesuffix("."), 2)]),
        (f"{FASAN} [2]", [KOLIBRI, FASAN], [(FASAN.removesuffix("."), 2)]),
        # Nobody says where a quotation is from.
        (MARABU, [MARABU, KOLIBRI], []),
        # Notes of more than one number, in a run, and with full-width brackets.
        ("It is so [1][3]. [2]", [FASAN, "Now it is so [1][3].", EMU], [("It is so [1][3].", 2)]),
        ("It is so [1, 3]. [2]", [FASAN, "So it is so [1,3].", EMU], [("It is so [1, 3].", 2)]),
        ("At 40 bar【2】. [1]", ["Opens at 40 bar【2】.", FASAN], [("At 40 bar【2】.", 1)]),
        ("At 40 bar［2］ [1]", ["Opens at 40 bar［2］.", FASAN], [("At 40 bar［2］", 1)]),
        # As models write it: with emphasis, another stop, other words around.
        ("At **40 bar** [2] [1]", [MARABU, FASAN], [("At **40 bar** [2]", 1)]),
        ("Built in 1987 [2]. [1]", [KOLIBRI, FASAN], [("Built in 1987 [2].", 1)]),
        ("40 bar [2] [1]", [MARABU, FASAN], [("40 bar [2]", 1)]),
        ("1987.[2] [1]", [KOLIBRI, FASAN], [("1987.[2]", 1)]),
        (f"By the guide, {MARABU} [1]", [MARABU, FASAN], [(f"By the guide, {MARABU}", 1)]),
        # A note at the beginning of a passage.
        ("[2] It is red. [1]", ["[2] It is red.", FASAN], [("[2] It is red.", 1)]),
        (f"{FREE} [3] [2] It is red. [1]", ["[2] It is red.", FASAN, FREE], None),
        # Scripts without spaces.
        ("返品は30日以内です[2]。[1]", [RETURNS, FREE], [("返品は30日以内です[2]。", 1)]),
    ],
)
def test_a_number_of_a_passage_stays_and_names_no_other(
    answer: str, texts: list[str], parts: list[Part] | None
) -> None:
    text, found = cited(answer, texts)
    if parts is None:
        parts = [(FREE, 3), ("[2] It is red.", 1)]
        assert text == f"{FREE} [2] It is red."
    else:
        quoted = parts[-1][0] if parts else answer
        assert quoted.removesuffix(".") in text
    assert found == parts


@pytest.mark.parametrize(
    ("answer", "texts", "text", "parts"),
    [
        # Right behind a sentence that is quoted without its note, or before its stop.
        ("It opens at 40 bar [1].", [MARABU, FASAN], "It opens at 40 bar.", [1]),
        ("It opens at 40 bar [1][3].", [MARABU, FASAN, EMU], "It opens at 40 bar.", [1, 3]),
        ("It opens at 40 bar [1, 3].", [MARABU, FASAN, EMU], "It opens at 40 bar.", [1, 3]),
        ("It opens at 40 bar [1][2].", [MARABU, "At 40 bar."], "It opens at 40 bar.", [1, 2]),
        # The same number behind other words, or behind one that both have.
        ("It holds a bar [2].", [MARABU, "One bar."], "It holds a bar.", [2]),
        ("Yes [2].", ["They said yes [2].", "It is."], "Yes.", [2]),
        ("Thirty days[2].", ["Ten days[2].", "Thirty days."], "Thirty days.", [2]),
        ("返品は30日以内です[2]。", ["返金です[2]。", "30日以内です"], "返品は30日以内です。", [2]),
        # Other brackets, behind what they are for.
        ("It rents【1】. It pays［2］", [FASAN, EMU], "It rents. It pays", [1, 2]),
        ("返品です【1】。送料無料です【2】", [RETURNS, FREE], "返品です。送料無料です", [1, 2]),
        ("【1】概要\n【2】詳細", [RETURNS, FREE], "【1】概要\n【2】詳細", []),
        ("先ず【1】電源、次に【2】待つ", [RETURNS, FREE], "先ず【1】電源、次に【2】待つ", []),
    ],
)
def test_an_answers_own_mark_is_none_of_a_passages(
    answer: str, texts: list[str], text: str, parts: list[int]
) -> None:
    said, found = cited(answer, texts)
    assert said == text
    assert [number for _, *numbers in found for number in numbers] == parts


def test_what_may_be_either_is_cited_and_stays() -> None:
    """The words before are another's, and those before them the cited passage's."""
    answer = "The Fasan hinge was built in 1987 [2]."
    text, found = cited(answer, [KOLIBRI, "The Fasan hinge dates from 1987."])
    assert (text, found) == (answer, [("The Fasan hinge was built in 1987 [2]", 2)])


@pytest.mark.parametrize(
    ("answer", "parts"),
    [
        ("It rents [1]. [2]", [("It rents", 1, 2)]),
        ("It rents [1]. [2] It pays [3].", [("It rents", 1, 2), ("It pays", 3)]),
        ("It rents [1].\n[2] It pays [3].", [("It rents", 1), ("It pays", 2, 3)]),
        ("It rents [1]. [2]It pays.", [("It rents", 1), ("It pays.", 2)]),
        ("It rents [1]. [2]\n\nIt pays.", [("It rents", 1, 2)]),
        ("It rents.\n\n[1]\n[2]", [("It rents.", 1, 2)]),
    ],
)
def test_no_mark_is_lost_behind_what_ends_a_sentence(answer: str, parts: list[Part]) -> None:
    assert cited(answer, [FASAN, EMU, FREE])[1] == parts


NOTES = st.sampled_from([f"[{n}]" for n in range(1, 10)] + ["[1][3]", "[2, 4]", "【1】", " [5]"])
WORDS = ["Marabu", "valve", "opens", "at", "40", "bar", "sys.argv", "red", "a", "90"]
SENTENCES = st.tuples(st.permutations(WORDS), NOTES, st.sampled_from([" ", ""])).map(
    lambda made: f"{' '.join(made[0][:6])}{made[2]}{made[1]}"
)


@given(st.lists(SENTENCES, min_size=9, max_size=9, unique=True), st.integers(1, 9), st.data())
def test_a_sentence_that_is_quoted_whole_cites_its_passage(
    texts: list[str], number: int, data: st.DataObject
) -> None:
    answer = f"{texts[number - 1]} [{number}]"
    pieces, rest = [], answer
    while rest:
        size = data.draw(st.integers(1, len(rest)))
        pieces.append(rest[:size])
        rest = rest[size:]
    whole = told([answer], texts)
    assert told(pieces, texts) == whole
    assert whole[0].startswith(texts[number - 1])
    assert number in [cited for _, *numbers in whole[1] for cited in numbers]


PIECES = st.sampled_from(
    ["a", "bar", " 40 ", "é", "e", "\u0301", "で", "す", "。", ".", " ", "\n", "[1]", "[2", "]"]
) | st.sampled_from(
    [
        "[",
        "【1】",
        "【",
        "［2］",
        "[1, 2]",
        "[1][2]",
        "a[1]",
        "`",
        "(",
        ")",
        "x",
        " the ",
        "1987",
        ",",
    ]
)
TEXTS = st.lists(PIECES, max_size=12).map("".join)


@given(st.lists(TEXTS, min_size=1, max_size=3), st.lists(PIECES, max_size=20).map("".join))
def test_it_does_not_matter_how_an_answer_is_cut(texts: list[str], answer: str) -> None:
    for whole in (answer, texts[0] + answer):
        assert all(told(pieces, texts) == told([whole], texts) for pieces in cuts(whole))


@pytest.mark.parametrize("part", ["a [1] ", "b[1]", "[1] ", "It is so [1]. [2] It is so ", "で[1]"])
def test_time_grows_with_the_answer_and_no_faster(part: str) -> None:
    """Whatever the passages have."""
    texts = [(part * 1_000)[:1_000]] * 3
    assert grows_no_faster(lambda times: told([part * times], texts), 300)
