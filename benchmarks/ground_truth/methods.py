"""Ways to order passages by two scores each: nearness of meaning, and shared words.

What is compared here; the product does one of them, over its own index (`shipped.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.ground_truth.data import F32
from benchmarks.ground_truth.scoring import DEPTH

POOL = 50  # best of either score, which are then fused
Order = npt.NDArray[Any]  # of passages, best first
Method = Callable[[F32, F32], Order]  # of one question's cosines and keyword scores


def dense(cosines: F32, keywords: F32) -> Order:
    return _top(cosines, DEPTH)


def keyword(cosines: F32, keywords: F32) -> Order:
    return _top(keywords, DEPTH)


def reciprocal_ranks(constant: int, weight: float) -> Method:
    """Cormack, Clarke and Büttcher (2009): each list adds `weight / (constant + place)`."""

    def order(cosines: F32, keywords: F32) -> Order:
        summed = np.zeros(len(cosines))
        for scores, worth in ((cosines, 1.0), (keywords, weight)):
            best = _top(scores, POOL)
            if scores is keywords:
                best = best[scores[best] > 0]
            summed[best] += worth / (constant + 1 + np.arange(len(best)))
        return _top(summed, DEPTH)

    return order


def standard_scores(weight: float) -> Method:
    """Both scores less their mean, over their standard deviation, among the pool."""

    def order(cosines: F32, keywords: F32) -> Order:
        pool = _pool(cosines, keywords)
        summed = _standard(cosines[pool]) + weight * _standard(keywords[pool])
        return pool[_top(summed, DEPTH)]

    return order


def part_of_best(weight: float) -> Method:
    """The cosine, and the keyword score as a part of the best one: what the product does."""

    def order(cosines: F32, keywords: F32) -> Order:
        return _top(cosines + weight * keywords / max(float(keywords.max()), 1e-9), DEPTH)

    return order


def everything(
    methods: Mapping[str, Method], cosines: F32, keywords: F32
) -> dict[str, list[list[int]]]:
    """Each method's order for each question; rows are questions."""
    pairs = list(zip(cosines, keywords, strict=True))
    return {name: [way(*pair).tolist() for pair in pairs] for name, way in methods.items()}


def compared() -> dict[str, Method]:
    """By name, with the weights that are tried."""
    methods: dict[str, Method] = {"vectors alone": dense, "words alone (BM25)": keyword}
    for weight in (0.25, 0.5, 1.0):
        methods[f"reciprocal ranks, 60, {weight:g}"] = reciprocal_ranks(60, weight)
    for weight in (0.1, 0.3, 0.5, 0.8, 1.2):
        methods[f"standard scores, {weight:g}"] = standard_scores(weight)
    for weight in WEIGHTS:
        methods[f"part of the best, {weight:g}"] = part_of_best(weight)
    return methods


WEIGHTS: Sequence[float] = (0.1, 0.2, 0.35, 0.5, 0.7, 1.0)


def _top(scores: npt.NDArray[Any], count: int) -> Order:
    return np.argsort(-scores, kind="stable")[:count]


def _pool(cosines: F32, keywords: F32) -> Order:
    words = _top(keywords, POOL)
    return np.union1d(_top(cosines, POOL), words[keywords[words] > 0])


def _standard(scores: F32) -> npt.NDArray[Any]:
    spread = float(scores.std())
    return (scores - scores.mean()) / (spread or 1.0)
