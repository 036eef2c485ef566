"""How good an order of passages is: MRR@10 and hit@5."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.ground_truth.data import Question

DEPTH = 10
HIT_DEPTH = 5


@dataclass(frozen=True, slots=True)
class Score:
    """Means over the questions of one kind and split."""

    mrr: float  # of 1 / the place of the first passage that answers, 0 beyond the tenth
    hit: float  # the share that is answered by one of the first five

    def __str__(self) -> str:
        return f"{self.mrr:.3f} | {self.hit:.3f}"


def score(
    orders: Sequence[Sequence[int]], questions: Sequence[Question], kind: str, split: str
) -> Score:
    """Of orders of passages, best first, one for each question."""
    chosen = [
        _place(order, question)
        for order, question in zip(orders, questions, strict=True)
        if question.kind == kind and question.split == split
    ]
    assert chosen, f"no question is a {kind} to {split}"
    return Score(
        sum(1 / place for place in chosen if place) / len(chosen),
        sum(1 for place in chosen if 0 < place <= HIT_DEPTH) / len(chosen),
    )


def _place(order: Sequence[int], question: Question) -> int:
    """Where the first passage that answers stands, from 1; 0 for none among the first ten."""
    for place, number in enumerate(order[:DEPTH], start=1):
        if number in question.passages:
            return place
    return 0
