"""A small reranker: late interaction over the word pieces of all-MiniLM-L6-v2.

Each word piece of the query looks for the word piece of the document that is nearest to it, both in
their contexts; the mean of those cosines is the document's score. No weights of its own.
"""

from __future__ import annotations

from collections.abc import Sequence

from bedrock_emulator.engine.models.minilm import MiniLm


class MaxSim:
    """Thread-safe."""

    def __init__(self, minilm: MiniLm) -> None:
        self._minilm = minilm

    def scores(self, query: str, documents: Sequence[str]) -> list[float]:
        """0 to 1; a text of no word piece is worth nothing."""
        wanted = self._minilm.word_pieces(query)
        scores: list[float] = []
        for document in documents:
            held = self._minilm.word_pieces(document)
            if not len(wanted) or not len(held):
                scores.append(0.0)
                continue
            nearest = (wanted @ held.T).max(axis=1)
            scores.append(min(1.0, max(0.0, float(nearest.mean()))))
        return scores
