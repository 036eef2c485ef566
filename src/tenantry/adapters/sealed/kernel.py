"""Scores of one query against many vectors: one function, one kernel library, numpy where it lacks.

`simsimd` must be the only such library in the process: faiss or usearch beside it break each other.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

F16 = npt.NDArray[np.float16]
F32 = npt.NDArray[np.float32]

_BLOCK_ROWS = 1_024
_ACCUMULATION_ERROR = 1e-4  # float32 sums of up to 4,096 products of numbers within 1


def _kernel() -> Callable[..., Any] | None:
    try:
        from simsimd import cdist
    except ImportError:  # no wheel for this machine
        return None
    return cdist


_cdist = _kernel()


def unit_f16(vectors: npt.ArrayLike) -> F16:
    """Rows scaled to length 1, in 16 bits. ValueError for a row of zeros or non-numbers."""
    rows = np.ascontiguousarray(vectors, dtype=np.float32)
    if rows.ndim != 2 or rows.shape[1] == 0:
        raise ValueError("vectors must all have the same, positive length")
    length = np.linalg.norm(rows.astype(np.float64), axis=1, keepdims=True)
    if not np.all(np.isfinite(length)) or not np.all(length > 0):
        raise ValueError("a vector is zero or not finite")
    unit: F16 = (rows / length).astype("<f2")
    return unit


def top_rows(query: F32, vectors: F16, alive: npt.NDArray[np.bool_], top_k: int) -> list[int]:
    """The rows of the `top_k` largest dot products with a unit query, exactly, in no order.

    The scan sees the query in 16 bits. Its error is bounded by the length of what that rounding
    lost (Cauchy-Schwarz; rows have length 1), so every row within twice the bound of the k-th best
    is scored again with the whole query.
    """
    if not alive.any():
        return []
    rough = np.where(alive, _scan(query, vectors), -np.inf)
    wanted = min(top_k, int(alive.sum()))
    kth = np.partition(rough, -wanted)[-wanted]
    lost = float(np.linalg.norm(query - query.astype(np.float16).astype(np.float32)))
    # Rounding to 16 bits may leave a row slightly longer than 1: the factor covers it.
    candidates = np.flatnonzero(rough >= kth - 2 * (1.01 * lost + _ACCUMULATION_ERROR))
    exact = exact_scores(query, vectors, candidates)
    best = np.argsort(-exact, kind="stable")[:wanted]
    return [int(row) for row in candidates[best]]


def exact_scores(query: F32, vectors: F16, rows: npt.NDArray[np.intp]) -> npt.NDArray[np.float64]:
    return vectors[rows].astype(np.float64) @ query.astype(np.float64)


def _scan(query: F32, vectors: F16) -> F32:
    if _cdist is not None:
        rounded = np.ascontiguousarray(query, dtype=np.float16).reshape(1, -1)
        return np.asarray(_cdist(rounded, vectors, "dot"), dtype=np.float32).reshape(-1)
    blocks = [
        vectors[start : start + _BLOCK_ROWS].astype(np.float32) @ query
        for start in range(0, len(vectors), _BLOCK_ROWS)
    ]
    return np.concatenate(blocks)
