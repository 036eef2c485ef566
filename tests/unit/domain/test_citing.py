"""Numbers come out of an answer and stand beside it, however the text is cut."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.processor_time import grows_no_faster

from tenantry.domain.citing import Cited, Citing
from tenantry.domain.marks import Marks
from tenantry.domain.quoted_marks import QuotedMarks


def cited(*pieces: str, count: int = 3) -> tuple[str, list[Cited]]:
    citing = Citing(count)
    parts = [part for piece in pieces for part in citing.feed(piece)] + citing.finish()
    text = "".join(part for part in parts if isinstance(part, str))
    return text, [part for part in parts if isinstance(part, Cited)]


@pytest.mark.parametrize(
    ("answer", "text", "parts"),
    [
        ("It rents [1]. It pays. [2]", "It rents. It pays.", [("It rents", 1), ("It pays.", 2)]),
        (
            "It rents. [1] It pays [2, 3].",
            "It rents. It pays.",
            [("It rents.", 1), ("It pays", 2, 3)],
        ),
        ("Both [1][2] [1].", "Both.", [("Both", 1, 2)]),
        ("[1] Before it.", " Before it.", [("Before it.", 1)]),
        ("No number [7] of ours [2024] [a] [", "No number [7] of ours [2024] [a] [", []),
        ("One of them [1; 9].", "One of them.", [("One of them", 1)]),
        (
            "返品は30日以内です[1]。[2]送料無料です。",
            "返品は30日以内です。送料無料です。",
            [("返品は30日以内です", 1), ("送料無料です。", 2)],
        ),
        (
            "退货期限为30天[1，3]。运费免费[2、3]！",
            "退货期限为30天。运费免费！",
            [("退货期限为30天", 1, 3), ("运费免费", 2, 3)],
        ),
        ("هل هذا؟ نعم [1]، لا [2]؟", "هل هذا؟ نعم، لا؟", [("هل هذا؟ نعم", 1), ("لا", 2)]),
        ("एक [1]। दो [2]।", "एक। दो।", [("एक", 1), ("दो", 2)]),
        ("", "", []),
        ("[1]", "", []),
    ],
)
def test_parts_and_their_numbers(answer: str, text: str, parts: list[tuple[object, ...]]) -> None:
    said, found = cited(answer)
    assert said == text
    assert [(one.text, *one.numbers) for one in found] == parts
    for one in found:
        assert said[one.start : one.end] == one.text


QUOTED = QuotedMarks(["Take sys.argv[1], or rows[2] of it.", "As known since 1998[3]."])


@pytest.mark.parametrize(
    ("answer", "text", "parts"),
    [
        ("Use sys.argv[1] [2].", "Use sys.argv[1].", [("Use sys.argv[1]", 2)]),
        ("Use argv[1][2].", "Use argv[1].", [("Use argv[1]", 2)]),
        (
            "Known since 1998[3]. So [3].",
            "Known since 1998[3]. So.",
            [("Known since 1998[3]. So", 3)],
        ),
        ("Use argv [1] and argv[2].", "Use argv and argv.", [("Use argv", 1), ("and argv", 2)]),
        ("Use myargv[1].", "Use myargv.", [("Use myargv", 1)]),
    ],
)
def test_what_a_passage_has_so_is_quoted_and_no_mark(
    answer: str, text: str, parts: list[tuple[object, ...]]
) -> None:
    for pieces in ([answer], list(answer)):
        citing = Citing(3, QUOTED)
        told = [part for piece in pieces for part in citing.feed(piece)] + citing.finish()
        assert "".join(part for part in told if isinstance(part, str)) == text
        found = [part for part in told if isinstance(part, Cited)]
        assert [(one.text, *one.numbers) for one in found] == parts


def by_pieces(answer: str) -> tuple[str, list[tuple[object, ...]]]:
    """Whole and letter by letter: the same."""
    whole = cited(answer)
    assert cited(*answer) == whole
    text, found = whole
    for one in found:
        assert text[one.start : one.end] == one.text
    return text, [(one.text, *one.numbers) for one in found]


@pytest.mark.parametrize(
    ("answer", "parts"),
    [
        ("`rows[2]`", []),
        ("Take `rows[2]` and ``a`[1]``.", []),
        ("Take print(a[1], b[2]).", []),
        ("So:\n\n```python\nx = `argv[1]\n\nfor row in rows[2]:\n    pass\n```\n", []),
        ("  ````\n```\nargv[1].\n  ````", []),
        ("```\nargv[1].", []),
        ("use argv[1] and rows[2] = 5", [("use argv[1]", 1), ("and rows[2]", 2)]),
        ("grid[1][2] = 5", [("grid[1][2]", 1, 2)]),
        (
            "rows[1].name, rows[2](x), f(x)[3] + 1",
            [("rows[1]", 1), ("name, rows[2]", 2), ("(x), f(x)[3]", 3)],
        ),
        ("swap x[1], y[2].", [("swap x[1]", 1), ("y[2]", 2)]),
        ("set row_ids[1].", [("set row_ids[1]", 1)]),
        ("days[1] and weeks[2] long", [("days[1]", 1), ("and weeks[2]", 2)]),
    ],
)
def test_subscripts_of_code_stay_in_the_text(answer: str, parts: list[tuple[object, ...]]) -> None:
    """What may be prose as well is cited too; in backticks, and in a call, it is code alone."""
    assert by_pieces(answer) == (answer, parts)


@pytest.mark.parametrize(
    ("answer", "text", "parts"),
    [
        ("Thirty days[1]. Or so[2]", "Thirty days. Or so", [("Thirty days", 1), ("Or so", 2)]),
        ("Days[1][2], (weeks[3]) and", "Days, (weeks) and", [("Days", 1, 2), ("(weeks", 3)]),
        ("Days[1]\nWeeks.[3]", "Days\nWeeks.", [("Days", 1), ("Weeks.", 3)]),
        ("**Thirty days[1]** or", "**Thirty days** or", [("**Thirty days", 1)]),
        ("In 1998[1] it was", "In 1998 it was", [("In 1998", 1)]),
        ("Сто дней[1] и café[2] là", "Сто дней и café là", [("Сто дней", 1), ("и café", 2)]),
        ("返品30日[1]以内", "返品30日以内", [("返品30日", 1)]),
        ("The `rows`[1] are", "The `rows` are", [("The `rows`", 1)]),
        (
            "Press the ` key.\nIt rents [1].",
            "Press the ` key.\nIt rents.",
            [("Press the ` key.\nIt rents", 1)],
        ),
        ("```\nx\n```\nIt rents [1].", "```\nx\n```\nIt rents.", [("```\nx\n```\nIt rents", 1)]),
        ("```x``` rents [1].", "```x``` rents.", [("```x``` rents", 1)]),
        ("It (as said [1]) rents", "It (as said) rents", [("It (as said", 1)]),
        ("Customer(s)[1].", "Customer(s).", [("Customer(s)", 1)]),
    ],
)
def test_a_mark_behind_a_word_is_taken_out_where_a_clause_ends(
    answer: str, text: str, parts: list[tuple[object, ...]]
) -> None:
    assert by_pieces(answer) == (text, parts)


@pytest.mark.parametrize("between", [" ; ", "  ;  ", "  、\n "])
def test_a_mark_of_ten_numbers_is_one_by_the_letter(between: str) -> None:
    mark = f"[{between.join(f'{number:03}' for number in range(1, 11))}]"
    assert by_pieces(f"Thirty days {mark}. So") == (
        "Thirty days. So",
        [("Thirty days", 1, 2, 3)],
    )


words = st.lists(
    st.sampled_from(["a", "é", " ", "  ", "\n", ".", "[1]", "[2", "]", "[", "[1, 2]", " [3]", "9,"])
    | st.sampled_from(["`", "```", "x", "rows", "(", ")", " = ", "**", ":"])
)


@given(words, st.data())
def test_it_does_not_matter_how_the_text_is_cut(parts: list[str], data: st.DataObject) -> None:
    answer = "".join(parts)
    whole_text, whole = cited(answer)
    pieces, rest = [], answer
    while rest:
        size = data.draw(st.integers(1, len(rest)))
        pieces.append(rest[:size])
        rest = rest[size:]
    text, found = cited(*pieces)
    assert text == whole_text
    assert found == whole
    for one in found:
        assert text[one.start : one.end] == one.text
        assert set(one.numbers) <= {1, 2, 3}


def test_little_is_held_back() -> None:
    citing = Citing(1)
    assert citing.feed("[" + "1" * 200) == ["[" + "1" * 200]
    assert citing.feed(" " * 40) == [" " * 24]


class _Counted(str):
    """Text that counts the characters that are copied out of it."""

    copied = 0

    def __getitem__(self, index: Any) -> str:
        piece = super().__getitem__(index)
        _Counted.copied += len(piece)
        return piece

    def __radd__(self, before: str) -> str:
        return _Counted(f"{before}{self}")


@pytest.mark.parametrize("part", ["a[1] ", "It rents [1]. ", "[9] ", "days[1] and ", "[1]. "])
def test_what_is_copied_of_an_answer_grows_with_it_and_no_faster(part: str) -> None:
    """Four times the text is four times the work, not sixteen."""

    def copied(times: int) -> int:
        _Counted.copied = 0
        Marks(1).feed(_Counted(part * times))
        return _Counted.copied

    few = copied(500)
    assert len(part) * 500 < few * 8
    assert copied(2_000) < 8 * few


def test_time_to_cite_grows_with_the_answer_and_no_faster() -> None:
    """Marks between full stops make no part, and wait for one."""
    assert grows_no_faster(lambda times: cited("[1]. " * times), 3_000)
