"""FOCUS rows as CSV, and as Parquet where pyarrow is installed (extra `archive`)."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Final

from tenantry.domain.errors import BadRequest
from tenantry.domain.extras import extra_of
from tenantry.domain.focus import COLUMNS, DECIMALS, INSTANTS, VERSION, Row
from tenantry.domain.printable import in_cell

ROWS_MAX: Final = 1_000_000
# Parquet's decimal has one scale for all of a column: of its 38 digits so many stand after the
# point as the longest figure needs, and 18 where that leaves room, so that most files are alike.
# A wider one DuckDB reads as binary fractions (2.0.1), and Polars not at all (2.1.0; read 2026-12).
PARQUET_DIGITS: Final = 38
PARQUET_DECIMALS: Final = 18


def focus_csv(rows: Sequence[Row]) -> bytes:
    """UTF-8 with a header; null is an empty cell, as no text is. What others have written is no
    formula in it, and figures stand as they are."""
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, COLUMNS, quoting=csv.QUOTE_MINIMAL, lineterminator="\r\n")
    writer.writeheader()
    writer.writerows({name: _cell(name, row[name]) for name in COLUMNS} for row in rows[:ROWS_MAX])
    return text.getvalue().encode()


def _cell(name: str, text: str | None) -> str:
    if text is None:
        return ""
    return text if name in DECIMALS or name in INSTANTS else in_cell(text)


def focus_parquet(rows: Sequence[Row]) -> bytes:
    """Typed columns, zstd. Raises `BadRequest` where pyarrow is missing or a figure is too long."""
    try:
        import pyarrow as pa  # type: ignore[import-untyped]
        import pyarrow.parquet as pq  # type: ignore[import-untyped]
    except ImportError:
        raise BadRequest(f"Parquet needs {extra_of('archive')}.") from None
    columns = {name: _column(name, [row[name] for row in rows[:ROWS_MAX]]) for name in COLUMNS}
    kinds = {
        **dict.fromkeys(COLUMNS, pa.string()),
        **{n: pa.decimal128(PARQUET_DIGITS, _scale(n, columns[n])) for n in DECIMALS},
        **dict.fromkeys(INSTANTS, pa.timestamp("us", tz="UTC")),
    }
    schema = pa.schema(
        [(name, kinds[name]) for name in COLUMNS], metadata={"FocusVersion": VERSION}
    )
    arrays = [pa.array(columns[name], kinds[name]) for name in COLUMNS]
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table(arrays, schema=schema), sink, compression="zstd")
    return bytes(sink.getvalue().to_pybytes())


def _scale(name: str, column: Sequence[object]) -> int:
    """How many decimals a column has. Raises `BadRequest` where a figure would be cut."""
    whole, decimals = 1, 0  # digits before the point and after it, of the longest figures
    for figure in column:
        if isinstance(figure, Decimal) and figure:
            _, digits, exponent = figure.as_tuple()
            assert isinstance(exponent, int), "a document's figures are finite"
            zeros = len(digits) - len("".join(map(str, digits)).rstrip("0"))
            decimals = max(decimals, -exponent - zeros)
            whole = max(whole, figure.adjusted() + 1)
    if whole + decimals > PARQUET_DIGITS:
        raise BadRequest(f"{name} would need over {PARQUET_DIGITS} digits in Parquet: take CSV.")
    return max(decimals, min(PARQUET_DECIMALS, PARQUET_DIGITS - whole))


def _column(name: str, cells: Sequence[str | None]) -> list[object]:
    if name in DECIMALS:
        return [None if cell is None else Decimal(cell) for cell in cells]
    if name in INSTANTS:
        return [None if cell is None else datetime.fromisoformat(cell) for cell in cells]
    return list(cells)
