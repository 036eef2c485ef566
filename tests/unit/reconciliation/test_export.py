"""Of a report's files the newest delivery of each month is read, row by row, in either format."""

from __future__ import annotations

import gzip
from datetime import date
from pathlib import Path

import pytest
from tests.support.cur import as_csv, other_lines, write_parquet

from tenantry.adapters.cloud_bill.export import CurExport
from tenantry.adapters.record_files.local import LocalFiles
from tenantry.domain.bill import BillError

DAYS = (date(2026, 11, 1), date(2026, 12, 1))
LINES = other_lines("2026-11-03", "111111111111")


def export(root: Path) -> CurExport:
    return CurExport(LocalFiles(root))


def test_both_formats_say_the_same(tmp_path: Path) -> None:
    (tmp_path / "a.csv.gz").write_bytes(as_csv(LINES))
    (tmp_path / "b.csv").write_bytes(gzip.decompress(as_csv(LINES)))
    write_parquet(tmp_path / "c.snappy.parquet", LINES)
    (tmp_path / "Manifest.json").write_text("{}")
    found = export(tmp_path)
    read = list(found.lines(*DAYS))
    assert found.files == 3
    assert read[: len(LINES)] == read[len(LINES) : -len(LINES)] == read[-len(LINES) :]


def test_the_newest_delivery_of_the_months_that_matter(tmp_path: Path) -> None:
    for month, delivery in (("2026-11", "20261105T"), ("2026-11", "20261106T"), ("2026-09", "x")):
        folder = tmp_path / f"data/BILLING_PERIOD={month}" / delivery
        folder.mkdir(parents=True)
        lines = LINES if delivery == "20261106T" else LINES[:1]
        for number in (1, 2):
            (folder / f"cur-0000{number}.csv.gz").write_bytes(as_csv(lines[-number:]))
    found = export(tmp_path)
    assert [line.id.split()[0] for line in found.lines(*DAYS)] == ["other4", "other3", "other4"]
    assert found.files == 2


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("x.txt", b"nothing", "has no file of a bill"),
        ("x.csv", b"a,b\n1,2\n", "x.csv: no column line_item_line_item_type"),
        ("x.csv", b"", "x.csv: no column"),
        ("x.csv.gz", as_csv(LINES)[:100], "x.csv.gz: "),
        ("x.csv.gz", as_csv(LINES)[:-6] + bytes(6), "x.csv.gz: CRC check failed"),
        ("x.csv", gzip.decompress(as_csv(LINES)) + b'"short"\n', "cells are expected"),
        ("x.parquet", b"PAR1 not really", "x.parquet: "),
    ],
    ids=["no bill", "other columns", "empty", "cut short", "damaged", "short row", "no parquet"],
)
def test_what_is_no_bill_says_where(
    tmp_path: Path, name: str, content: bytes, message: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(BillError, match=message):
        list(export(tmp_path).lines(*DAYS))


@pytest.mark.parametrize(
    ("column", "value"),
    [("line_item_currency_code", "EUR"), ("line_item_usage_start_date", "today")],
)
def test_a_line_that_cannot_be_read_is_named_with_its_file(
    tmp_path: Path, column: str, value: str
) -> None:
    """Of a bill of a million lines nobody finds the one without its place."""
    wrong = [LINES[0], {**LINES[1], column: value}, *LINES[2:]]
    (tmp_path / "a.csv.gz").write_bytes(as_csv(LINES))
    (tmp_path / "b.csv").write_bytes(gzip.decompress(as_csv(wrong)))
    with pytest.raises(BillError, match=f"^b.csv: line 3: {column} is .*{value}"):
        list(export(tmp_path).lines(*DAYS))


def test_a_row_of_parquet_that_cannot_be_read_is_named_with_its_file(tmp_path: Path) -> None:
    wrong = [LINES[0], {**LINES[1], "line_item_currency_code": "EUR"}, *LINES[2:]]
    write_parquet(tmp_path / "c.parquet", wrong)
    with pytest.raises(BillError, match=r"^c.parquet: row 2: line_item_currency_code is EUR"):
        list(export(tmp_path).lines(*DAYS))
