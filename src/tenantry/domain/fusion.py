"""How nearness of meaning and shared words become one order.

A passage's rank is `cosine + KEYWORD_WEIGHT × (keyword score / the best keyword score)`. The
keyword score is BM25, with statistics of exactly the passages that the request may see: what it may
not see moves nothing. Both parts depend on the query, the passage and those statistics alone, so
the k best are the same however the passages are spread over segments.

Chosen by measurement: `docs/explanation/how-passages-are-found.md`.
"""

from __future__ import annotations

import math
from typing import Any

KEYWORD_WEIGHT = 0.35  # measured on the half of the questions that the report leaves out

# Robertson and Zaragoza, "The Probabilistic Relevance Framework" (2009), the usual values.
BM25_K1 = 1.2
BM25_B = 0.75


def rarity(passages: int, holding: int) -> float:
    """What a word is worth that `holding` of `passages` hold: never negative, 0 for no passage."""
    assert 0 <= holding <= passages, "more passages hold a word than there are"
    if holding == 0:
        return 0.0
    return math.log1p((passages - holding + 0.5) / (holding + 0.5))


def damping(relative_length: Any) -> Any:
    """What a word's count is compared with: more in a passage that is longer than the mean, which
    has the length 1. Takes a number or an array of numbers, as `word_score` does."""
    return BM25_K1 * (1 - BM25_B + BM25_B * relative_length)


def word_score(worth: Any, count: Any, damped: Any) -> Any:
    """One word's part of a passage's keyword score; grows ever slower with its count."""
    return worth * count * (BM25_K1 + 1) / (count + damped)


def bonus(keyword_score: float, best: float) -> float:
    """What shared words add to a cosine: from 0 to `KEYWORD_WEIGHT`."""
    return KEYWORD_WEIGHT * keyword_score / best if best > 0 else 0.0
