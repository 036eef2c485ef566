"""Vectors as two planes of 8 bits, and their products: one kernel library, numpy where it lacks.

A row of length 1 is stored as `scale * (256 * high + low)`: whole numbers of 16 bits over the row's
own scale. Of unit rows of 1,024 numbers that loses at most what binary16 loses, usually a quarter.

`numkong` must be the only such library in the process: faiss or usearch beside it break each other.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

I8 = npt.NDArray[np.int8]
U8 = npt.NDArray[np.uint8]
I32 = npt.NDArray[np.int32]
F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]
Rows = npt.NDArray[np.intp]

_BIAS = 128  # of a high plane at rest and open: products of unsigned numbers are a third faster
LARGEST = 127 * 256 + 127  # of a 16-bit number whose upper half fits 8 bits
_BLOCK_BYTES = 1024 * 1024  # of float32: what is worked on stays in a core's cache
_TINY, _HUGE = 1e-30, 1e30  # beyond these float32 loses digits or overflows on the way


def _kernel() -> Callable[..., Any] | None:
    try:
        from numkong import cdist
    except ImportError:  # no wheel for this machine
        return None
    return cdist


_cdist = _kernel()


@dataclass(frozen=True, slots=True)
class Planes:
    """Rows of length 1. `residual`: the length of what `high` alone leaves of a row, or more."""

    high: I8  # rows × dimensions
    low: I8
    scale: F32
    residual: F32

    @property
    def rows(self) -> int:
        return len(self.scale)


def split(vectors: npt.ArrayLike) -> Planes:
    """Rows scaled to length 1, in two planes. ValueError for a row of zeros or non-numbers."""
    rows = np.ascontiguousarray(vectors, dtype=np.float32)
    if rows.ndim != 2 or rows.shape[1] == 0:
        raise ValueError("vectors must all have the same, positive length")
    planes = Planes(
        np.empty(rows.shape, np.int8),
        np.empty(rows.shape, np.int8),
        np.empty(len(rows), "<f4"),
        np.empty(len(rows), "<f4"),
    )
    step = max(1, _BLOCK_BYTES // (4 * rows.shape[1]))
    for start in range(0, len(rows), step):
        _split_block(rows[start : start + step], planes, slice(start, start + step))
    return planes


def _split_block(rows: F32, planes: Planes, at: slice) -> None:
    largest = np.maximum(rows.max(axis=1), -rows.min(axis=1))
    if not np.all(np.isfinite(largest)) or not np.all(largest > 0):
        raise ValueError("a vector is zero or not finite")
    block: Any = rows
    if largest.min() < _TINY or largest.max() > _HUGE:
        block, largest = rows.astype(np.float64), largest.astype(np.float64)
    scaled = block * (LARGEST / largest)[:, None]
    whole = np.clip(np.rint(scaled, out=scaled), -LARGEST, LARGEST).astype(np.int16)
    high = planes.high[at]
    low = planes.low[at]
    np.right_shift(whole + np.int16(128), 8, out=high, casting="unsafe")
    np.bitwise_and(whole, 255, out=low.view(np.uint8), casting="unsafe")
    values = whole.astype(np.float32)
    scale = 1.0 / np.sqrt(np.einsum("ij,ij->i", values, values, dtype=np.float64))
    planes.scale[at] = scale
    rest = low.astype(np.float32)
    length = np.sqrt(np.einsum("ij,ij->i", rest, rest)) * planes.scale[at]
    planes.residual[at] = length * np.float32(1 + 1e-5)


def biased(rows: I8) -> U8:
    """Numbers of -128 to 127 as 0 to 255."""
    return rows.view(np.uint8) ^ np.uint8(_BIAS)


def unbiased(rows: U8) -> I8:
    return (rows ^ np.uint8(_BIAS)).view(np.int8)


def offsets(rows: U8) -> I32:
    """What the bias adds to a product with each row: 128 times the sum of its numbers."""
    if _cdist is None:
        sums = rows.sum(axis=1, dtype=np.int64)
    else:
        ones = np.ones((1, rows.shape[1]), np.uint8)
        sums = np.asarray(_cdist(ones, rows, "dot")).reshape(-1)
    biases: I32 = (sums * _BIAS).astype(np.int32)
    return biases


def dots(query: I8, parts: Sequence[U8], row_offsets: I32) -> F64:
    """The products of a row of whole numbers with the biased rows of all parts, exactly."""
    found = np.empty(len(row_offsets))
    multiply = _numpy_dots if _cdist is None else _kernel_dots
    unsigned = biased(query).reshape(1, -1)
    start = 0
    for rows in parts:
        multiply(unsigned, rows, found[start : start + len(rows)])
        start += len(rows)
    found -= row_offsets
    found += _BIAS * (_BIAS * len(query) - int(unsigned.sum(dtype=np.int64)))
    return found


def _kernel_dots(query: U8, rows: U8, out: F64) -> None:
    assert _cdist is not None, "there is no kernel on this machine"
    _cdist(query, rows, "dot", out=out.reshape(1, -1))


def _numpy_dots(query: U8, rows: U8, out: F64) -> None:
    wide = query[0].astype(np.float64)
    step = max(1, _BLOCK_BYTES // (4 * rows.shape[1]))
    for start in range(0, len(rows), step):
        at = slice(start, start + step)
        np.matmul(rows[at].astype(np.float64), wide, out=out[at])


def crossed(rows: I8, others: I8) -> F32:
    """rows × others: all products, to compare by."""
    if _cdist is not None:
        found = _cdist(rows, others, "dot", out_dtype="float32")
        return np.asarray(found, dtype=np.float32).reshape(len(rows), len(others))
    return rows.astype(np.float32) @ others.astype(np.float32).T


def exact(query: F32, high: I8, low: I8, scale: F32) -> F64:
    """The score that brute force over the stored values gives, in 64 bits."""
    whole = high.astype(np.int32) * 256 + low
    return (whole.astype(np.float64) @ query.astype(np.float64)) * scale.astype(np.float64)
