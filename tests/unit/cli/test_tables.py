"""Tables at any width of a terminal: no figure, instant or id is ever broken."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from tenantry.domain.economics import Scenario, economics
from tenantry.entrypoints.cli import economics_view, layout, output
from tenantry.entrypoints.demo import show
from tenantry.entrypoints.demo.show import Show

AT = datetime(2026, 12, 1, 17, 7, 28, tzinfo=UTC)
AT_SHOWN = "2026-12-01 17:07:28Z"
KEY = "key_01m8ppt0m2fgzvgf0na99zwkns"
COLUMNS = ("id", "name", "ends in", "scopes", "created", "settled", "left")
SCOPES = "admin documents:write infer search"
ROW = (KEY, "demo", "90CU", frozenset(SCOPES.split()), AT, Decimal("0.00381548"), 2_000_000)
SHOWN = (KEY, "demo", "90CU", AT_SHOWN, "0.00381548", "2,000,000")
STYLES = re.compile("\x1b\\[[0-9;]*m")


@pytest.fixture
def terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., list[str]]:
    """What some work prints on a terminal of so many columns, line by line."""

    def printed(columns: int, work: Callable[..., None], *given: Any, **more: Any) -> list[str]:
        def console(**options: Any) -> Console:
            options = {"width": columns, "force_terminal": True, **options}
            return Console(markup=False, emoji=False, highlight=False, **options)

        for module in (output, economics_view, show):
            monkeypatch.setattr(module, "plain_console", console)
        work(*given, **more)
        return [line.rstrip() for line in STYLES.sub("", capsys.readouterr().out).splitlines()]

    return printed


@pytest.mark.parametrize("columns", [20, 40, 80, 100, 120, 200])
def test_figures_instants_and_ids_are_whole(
    columns: int, terminal: Callable[..., list[str]]
) -> None:
    lines = terminal(columns, output.print_table, COLUMNS, [ROW, ROW])
    for value in SHOWN:
        assert sum(value in line for line in lines) == 2, (value, lines)
    for word in (*SCOPES.split(), *(word for title in COLUMNS for word in title.split())):
        assert any(re.search(rf"(?<!\S){word}(?!\S)", line) for line in lines), (word, lines)


def test_rows_are_lines_where_they_fit_and_blocks_where_they_do_not(
    terminal: Callable[..., list[str]],
) -> None:
    lines = terminal(140, output.print_table, COLUMNS, [ROW, ROW])
    assert len(lines) == 3
    blocks = terminal(80, output.print_table, COLUMNS, [ROW, ROW])
    assert blocks == [
        *(block := [
            f"id       {KEY}",
            "name     demo",
            "ends in  90CU",
            f"scopes   {SCOPES}",
            f"created  {AT_SHOWN}",
            "settled  0.00381548",
            "left     2,000,000",
        ]),
        "",
        *block,
    ]  # fmt: skip


def test_a_block_has_nothing_of_a_column_without_a_name_that_says_nothing(
    terminal: Callable[..., list[str]],
) -> None:
    rows = [("workers", "x" * 50, "y" * 50, ""), ("kms", "x" * 50, "y" * 50, "wrong")]
    lines = terminal(80, output.print_table, ("setting", "value", "from", ""), rows)
    assert [line.split() for line in lines] == [
        ["setting", "workers"],
        ["value", "x" * 50],
        ["from", "y" * 50],
        [],
        ["setting", "kms"],
        ["value", "x" * 50],
        ["from", "y" * 50],
        ["wrong"],
    ]


@pytest.mark.parametrize("columns", [80, 140])
def test_no_cell_is_wrapped_again(
    columns: int, terminal: Callable[..., list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What Rich is given it measures, wraps and cuts anew: thousands of rows are not for it."""
    given: list[str] = []
    wrap = Text.wrap

    def counted(text: Text, *room: Any, **more: Any) -> Any:
        given.append(text.plain)
        return wrap(text, *room, **more)

    monkeypatch.setattr(Text, "wrap", counted)
    lines = terminal(columns, output.print_table, COLUMNS, [ROW] * 300)
    assert sum(KEY in line for line in lines) == 300
    assert len(given) <= len(COLUMNS)
    assert not any(KEY in words for words in given)


def test_headings_are_bold_on_a_terminal_alone(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("FORCE_COLOR", "NO_COLOR", "TTY_COMPATIBLE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "60")
    output.print_table(("id", "name"), [("1", "b")])
    assert capsys.readouterr().out == "id  name\n 1  b   \n"
    monkeypatch.setenv("FORCE_COLOR", "1")
    output.print_table(("id", "name"), [("1", "b")])
    headings, row = capsys.readouterr().out.splitlines()
    assert headings.startswith("\x1b[1mid") and STYLES.sub("", headings) == "id  name"
    assert row == " 1  b   "
    output.print_table(("id", "of", "at"), [("x" * 40, "y" * 40, "")])
    assert capsys.readouterr().out.splitlines()[1] == "\x1b[1mof\x1b[0m  " + "y" * 40
    monkeypatch.setenv("TERM", "dumb")
    output.print_table(("id", "name"), [("1", "b")])
    assert capsys.readouterr().out == "id  name\n 1  b   \n"


def test_columns_of_wide_letters_stand_below_each_other(
    capsys: pytest.CaptureFixture[str],
) -> None:
    rows = [("株式会社", 1, "x"), ("acme", 1_000, "y"), ("", 10, "z")]
    output.print_table(("name", "n", "to"), rows)
    assert capsys.readouterr().out.splitlines() == [
        "name          n  to",
        "株式会社      1  x ",
        "acme      1,000  y ",
        "             10  z ",
    ]


def test_headings_and_words_fold_between_words(terminal: Callable[..., list[str]]) -> None:
    rows = [("free", 100, "a text that is folded"), ("pro", 10_000, "and another one of them")]
    columns = ("plan", "requests per day", "what is said of it")
    assert terminal(40, output.print_table, columns, rows) == [
        "      requests",
        "plan   per day  what is said of it",
        "free       100  a text that is folded",
        "pro     10,000  and another one of them",
    ]
    long = [("free", 100, "a text that is so long that it is folded")]
    assert terminal(40, output.print_table, columns, long) == [
        "      requests",
        "plan   per day  what is said of it",
        "free       100  a text that is so long",
        "                that it is folded",
    ]
    assert terminal(40, output.print_table, ("n", "text"), [(1, "x " * 30)], title="so " * 20) == [
        " ".join(["so"] * 13),
        " ".join(["so"] * 7),
        "n  text",
        "1  " + " ".join("x" * 19),
        "   " + " ".join("x" * 11),
    ]


def test_fields_and_values_stay_lines_however_long_a_value_is(
    terminal: Callable[..., list[str]],
) -> None:
    arn = "arn:aws:iam::111111111111:role/" + "x" * 60
    lines = terminal(40, output.print_table, ("field", "value"), [("role", arn), ("zone", "UTC")])
    assert lines == ["field  value", f"role   {arn}", "zone   UTC"]


@pytest.mark.parametrize("rows", [1, 3])
def test_a_file_or_a_program_has_a_line_for_each_row_however_wide(
    rows: int, capsys: pytest.CaptureFixture[str]
) -> None:
    ids = [KEY * 4] * 4
    output.print_table(("a", "b", "c", "d"), [ids] * rows, title="t " * 20)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == rows + 2
    assert [line.split() for line in lines[2:]] == [ids] * rows


@pytest.mark.parametrize("columns", [30, 80])
def test_scenarios_are_whole_and_so_are_their_bars(
    columns: int, terminal: Callable[..., list[str]]
) -> None:
    many = Scenario(customers=100_000)
    asked = economics_view.Shown([Scenario(customers=10), many], None, True, None)
    lines = terminal(columns, economics_view.print_scenarios, asked, json_output=False)
    revenue = str(economics_view.shown(economics(many).revenue))
    assert sum(revenue in line for line in lines) == 1
    bars = [line for line in lines if "% margin" in line]
    assert len(bars) == 2
    assert all(re.search(rf"[█▓▒░·]{{{economics_view.BAR_CHARS}}}", bar) for bar in bars)


@pytest.mark.parametrize("columns", [40, 80])
def test_the_demo_s_tables_are_whole(columns: int, terminal: Callable[..., list[str]]) -> None:
    model, charge = "amazon.titan-embed-text-v2:0", "0.00326136 USD"

    def work() -> None:
        Show().table(("tenant", "model", "in", "charge"), [["acme", model, "40,767", charge]])

    lines = terminal(columns, work)
    for value in (model, "40,767", charge):
        assert sum(value in line for line in lines) == 1
    assert all(line.startswith("  ") for line in lines)


FIGURE = st.sampled_from(["0.00381548", "2,000,000", "–", "-4", "1.67 USD", "93.8 %", AT_SHOWN])
ID = st.sampled_from([KEY, "amazon.nova-micro-v1:0", "a" * 50])
WORD = st.sampled_from(["a", "lease", "日本語の文章は長い。", "ends", "", KEY])
TEXT = st.lists(WORD).map(" ".join)  # some begin or end with blanks


@st.composite
def tables(draw: st.DrawFn) -> tuple[list[str], list[list[str]]]:
    kinds = draw(st.lists(st.sampled_from([FIGURE, ID, TEXT]), min_size=1, max_size=8))
    headings = [draw(st.sampled_from(["id", "requests per day", "", "why"])) for _ in kinds]
    rows = draw(st.lists(st.tuples(*kinds).map(list), max_size=4))
    return headings, rows


@given(tables(), st.integers(10, 240))
def test_columns_fit_and_hold_their_pieces(
    table: tuple[list[str], list[list[str]]], room: int
) -> None:
    headings, rows = table
    least = layout.least_widths(headings, rows)
    widths = layout.column_widths(headings, rows, room)
    gaps = layout.GAP * (len(headings) - 1)
    if widths is None:
        assert sum(least) + gaps > room
        widths = least
    elif sum(least) + gaps <= room:
        assert sum(widths) + gaps <= room
    for at, width in enumerate(widths):
        for cell in (headings[at], *(row[at] for row in rows)):
            lines = layout.folded(cell, width)
            assert max(map(cell_len, lines)) <= width
            assert "".join("".join(lines).split()) == "".join(cell.split())
            assert unbroken(cell, lines)
    drawn = output.drawn_table(headings, rows, room, blocks=True)
    assert len({cell_len(words + rest) for words, rest in drawn}) == 1


def unbroken(cell: str, lines: Sequence[str]) -> bool:
    whole = [AT_SHOWN, "1.67 USD", "93.8 %", *re.findall(r"[!-~]+", cell)]
    return all(any(piece in line for line in lines) for piece in whole if piece in cell)
