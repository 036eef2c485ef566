"""What a reranker would add: token MaxSim by the model that also makes the vectors.

The mean, over the word pieces of the question, of the nearest word piece of the passage. It stands
in for a reranking model of Bedrock, which is metered and reads better.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

import numpy as np

from bedrock_emulator.engine.models.minilm import MiniLm
from benchmarks.ground_truth.data import F32, Passage, Question, unit

_PIECES_MAX = 254  # of a text, what one pass of the model reads


class Pieces(MiniLm):
    """The unit vectors of a text's word pieces, kept."""

    def __init__(self) -> None:
        super().__init__()
        self._kept: dict[str, F32] = {}

    def of(self, text: str) -> F32:
        if text not in self._kept:
            self._kept[text] = self._read(text)
        return self._kept[text]

    def _read(self, text: str) -> F32:
        self._load()
        pieces = self._tokenizer.encode(text, add_special_tokens=False).ids[:_PIECES_MAX]
        ids = np.array([[self._cls, *pieces, self._sep]], dtype=np.int64)
        feeds = {
            "input_ids": ids,
            "attention_mask": np.ones_like(ids),
            "token_type_ids": np.zeros_like(ids),
        }
        hidden = self._session.run(None, {name: feeds[name] for name in self._inputs})[0][0]
        return unit(np.asarray(hidden[1:-1] if len(pieces) else hidden, dtype=np.float32))


def closeness(
    questions: Sequence[Question],
    passages: Sequence[Passage],
    orders: Sequence[Sequence[int]],
) -> list[list[float]]:
    """MaxSim of each question and each passage of its order."""
    pieces = Pieces()
    found = []
    for number, (question, order) in enumerate(zip(questions, orders, strict=True)):
        asked = pieces.of(question.words)
        sims = [float((asked @ pieces.of(passages[n].text).T).max(axis=1).mean()) for n in order]
        found.append(sims)
        if number % 100 == 99:
            sys.stderr.write(f"reranked {number + 1} of {len(questions)}\n")
    return found


def reranked(
    orders: Sequence[Sequence[int]],
    scores: Sequence[Sequence[float]],
    closenesses: Sequence[Sequence[float]],
    weight: float,
) -> list[list[int]]:
    """Each order anew, by its own scores and `weight` times the closeness; inf: by that alone."""
    anew = []
    for order, score, close in zip(orders, scores, closenesses, strict=True):
        value = np.array(close)
        if weight != np.inf:
            value = np.array(score) + weight * value
        anew.append([order[place] for place in np.argsort(-value, kind="stable")])
    return anew
