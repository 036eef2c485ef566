"""HTML's tables: a row says whose it is, and pages that are laid out in tables stay readable."""

from __future__ import annotations

import pytest
from tests.support.processor_time import grows_no_faster

from tenantry.adapters.extraction import html
from tenantry.adapters.extraction.html_tables import (
    LABEL_CHARS_MAX,
    REPEATED_CHARS_MAX,
    TABLE_DEPTH_MAX,
)

HTML = "text/html; charset=utf-8"


def read(page: str) -> str:
    return html.to_text(page.encode(), HTML)


TABLES = {
    "<tr><td>x<td>y<tr><td>z": "x | y\nz",
    "<tr><th>Region<th>Plan<th>Price<tr><th rowspan=2>Europe<td>Basic<td>9<tr><td>Pro<td>19": (
        "Region | Plan | Price\nEurope | Basic | 9\nEurope | Pro | 19"
    ),
    "<tr><td>a<td rowspan=2>b<td>c<tr><td>d<td>e<tr><td>f": "a | b | c\nd | b | e\nf",
    "<tr><td rowspan=2>a<td rowspan=2>b<td>1<tr><td>2": "a | b | 1\na | b | 2",
    "<tr><td colspan=2>a<td rowspan=2>b<tr><td>c<td>d": "a | b\nc | d | b",
    "<tr><td rowspan=0>a<td>b<tr><td>c<tr><td>d<tbody><tr><td>e": "a | b\na | c\na | d\n\ne",
    "<thead><tr><th>h<th>i<tbody><tr><td rowspan=9>a<td>b<tfoot><tr><td>c<td>d": (
        "h | i\n\na | b\n\nc | d"
    ),
    "<tr><td rowspan=3>a<td>b<tr><tr><td>c": "a | b\na | c",
    "<caption>Prices</caption><tr><td>a<td>b": "Prices\n\na | b",
    "<tr><td><td>Q1<td>Q2<tr><td>North<td>1<td>2": "| Q1 | Q2\nNorth | 1 | 2",
    "<tr><td><td>a<td>b<tr><td> <td>c<td>d": "a | b\nc | d",
    "<tr><td>a<td><p>one<p>two": "a | one\n\ntwo",
    "<tr><td>a<td><ol><li>one<li>two</ol><td>10<sup>6</sup>": "a | 1. one\n2. two | 10^6",
    "<tr><td>a<td hidden>x<td>b": "a | b",
    "<tr><td rowspan=x colspan=-2>a<td>b<tr><td>c": "a | b\nc",
    # Laid out in tables.
    "<tr><td>nav<td><h1>Title</h1><p>Text<td>foot": "nav\n\nTitle\n\nText\n\nfoot",
    "<tr><td>menu<td><table><tr><th rowspan=2>a<td>b<tr><td>c</table><tr><td>foot": (
        "menu\n\na | b\na | c\n\nfoot"
    ),
    "<tr><td>1\n<td><pre>a\n\n  b</pre>": "1\n\na\n\n  b",
}


@pytest.mark.parametrize("table", TABLES)
def test_rows_are_read_with_their_labels(table: str) -> None:
    assert read(f"<p>p<table>{table}</table>q") == f"p\n\n{TABLES[table]}\n\nq"


def test_a_table_that_says_it_only_lays_out_is_read_cell_by_cell() -> None:
    assert read("<table role=presentation><tr><td rowspan=2>a<td>b<tr><td>c</table>") == "a b\nc"


def test_labels_alone_are_read_again_and_within_a_bound() -> None:
    long = "x" * (LABEL_CHARS_MAX + 1)
    assert read(f"<table><tr><td rowspan=2>{long}<td>a<tr><td>b</table>") == f"{long} | a\n| b"
    rows = "<tr><td>r" * 8_000
    wide = "<td rowspan=0>" + "y" * LABEL_CHARS_MAX
    text = read(f"<table><tr>{wide * 50}{rows}</table>" * 2)
    assert text.count("r") == 16_000
    assert len(text) < REPEATED_CHARS_MAX + 80_000 + 100 * LABEL_CHARS_MAX


@pytest.mark.parametrize(
    "within", ["<table><tr><td>a<td>", "<table><tr><td rowspan=9>a<td>b<tr><td>"]
)
def test_tables_in_each_other_are_read_in_one_pass(within: str) -> None:
    text = read(within * 5_000 + "deep")
    assert text.count("a") == 5_000
    assert text.endswith("deep")
    assert TABLE_DEPTH_MAX == 32
    assert grows_no_faster(lambda times: read(within * times + "deep"), 1_250)


@pytest.mark.parametrize(
    "cell", ["<td rowspan=0 colspan=1000>", "<td rowspan=65534>", "<td>x", "<tr>"]
)
def test_tables_of_many_cells_are_read_in_one_pass(cell: str) -> None:
    def table(times: int) -> str:
        return f"<table><tr>{cell * (5 * times)}{'<tr><td>y' * (2 * times)}"

    assert read(table(4_000)).count("y") == 8_000
    assert grows_no_faster(lambda times: read(table(times)), 1_000)
