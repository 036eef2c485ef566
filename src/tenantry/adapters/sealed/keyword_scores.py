"""BM25 of one query over all segments of a partition, with the statistics of permitted rows alone.

A segment's own statistics would not do: a new document is a segment of its own, in which each of
its words stands in every row and so would be worth nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from tenantry.adapters.sealed.keywords import Matches
from tenantry.domain.fusion import bonus, damping, rarity, word_score

BATCH_POSTINGS = 262_144  # weighed at once: 13 MB

F64 = npt.NDArray[np.float64]


def bonuses(parts: Sequence[Matches], rows: Sequence[int], words: int) -> list[F64 | None]:
    """For each segment, with that many rows, what each row's words add to its cosine; `words` is
    how many the query has. None where none adds anything.

    By `domain.fusion`, many rows at once: each row's sum runs in the order of the query's words,
    whatever segment it lies in.
    """
    permitted = sum(part.permitted for part in parts)
    length = sum(part.length for part in parts)
    holding = np.zeros(words, dtype=np.int64)
    for part in parts:
        holding += np.bincount(part.words, minlength=words)
    if not permitted or not length or not holding.any():
        return [None] * len(parts)
    worth = np.array([rarity(permitted, count) for count in holding.tolist()])
    scores: list[F64] = []
    for batch in _batches(parts, rows):
        scores += _scores(*batch, worth, length / permitted)
    best = max(float(part.max()) for part in scores)
    return [part * bonus(1.0, best) for part in scores]


def _batches(
    parts: Sequence[Matches], rows: Sequence[int]
) -> Iterator[tuple[list[Matches], list[int]]]:
    """Segments to weigh at once: many small ones together, a large one alone."""
    some: list[Matches] = []
    counts: list[int] = []
    size = 0
    for part, count in zip(parts, rows, strict=True):
        if some and size + len(part.rows) > BATCH_POSTINGS:
            yield some, counts
            some, counts, size = [], [], 0
        some.append(part)
        counts.append(count)
        size += len(part.rows)
    yield some, counts


def _scores(
    parts: Sequence[Matches], rows: Sequence[int], worth: F64, mean_length: float
) -> list[F64]:
    relative = np.concatenate([part.lengths for part in parts]) / mean_length
    counts = np.concatenate([part.counts for part in parts]).astype(np.float64)
    found = np.concatenate([part.words for part in parts])
    each = word_score(worth[found], counts, damping(relative))
    firsts = np.cumsum([0, *rows])
    # Rows are kept in 16 bits: numbered over several segments they need more.
    places = [
        part.rows.astype(np.int64) + first for part, first in zip(parts, firsts, strict=False)
    ]
    total = int(firsts[-1])
    summed = np.bincount(np.concatenate(places), weights=each, minlength=total)
    return list(np.split(summed, firsts[1:-1]))
