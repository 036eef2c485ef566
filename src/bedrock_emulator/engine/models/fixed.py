"""The fixed mode: always the same answer, and vectors from a hash. For load and for benches."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from bedrock_emulator.engine.generation import Draft
from bedrock_emulator.engine.prompt import Prompt
from bedrock_emulator.engine.tokens import tokeniser
from bedrock_emulator.engine.vectors import fixed_vector

_CACHED_VECTORS = 1_024


class FixedModel:
    """Says `answer`, repeated or cut to `output_tokens` where that is given."""

    def __init__(self, answer: str, output_tokens: int | None) -> None:
        self._answer = answer
        self._output_tokens = output_tokens
        self._texts: dict[str, str] = {}

    def draft(self, prompt: Prompt) -> Draft:
        return Draft(text=self._text(prompt.model.encoding))

    def _text(self, encoding: str) -> str:
        if self._output_tokens is None:
            return self._answer
        if encoding not in self._texts:
            self._texts[encoding] = _sized(self._answer, self._output_tokens, encoding)
        return self._texts[encoding]

    def embed(self, text: str, dimensions: int, *, normalize: bool) -> list[float]:
        del normalize  # a unit vector either way
        return list(_vector(text, dimensions))

    def scores(self, query: str, documents: Sequence[str]) -> list[float]:
        """The share of the query's words that a document has."""
        wanted = set(query.lower().split())
        return [
            len(wanted & set(document.lower().split())) / max(1, len(wanted))
            for document in documents
        ]


@lru_cache(maxsize=_CACHED_VECTORS)
def _vector(text: str, dimensions: int) -> tuple[float, ...]:
    return tuple(fixed_vector(text, dimensions))


def _sized(answer: str, tokens: int, encoding: str) -> str:
    """Whole repetitions joined by spaces, then cut; " ok" is one token in every encoding."""
    encoder = tokeniser(encoding)
    text = answer or "ok"
    while encoder.count(text) < tokens:
        text = f"{text} {text}"
    text = encoder.decode(encoder.encode(text)[:tokens])
    while encoder.count(text) < tokens:
        text += " ok"
    return text
