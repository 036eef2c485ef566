"""A language model that can only quote: it answers with the prompt's own sentences, cited.

Score of a sentence: .7 × cos(question, passage) + .3 × cos(question, window of 1–2 sentences).
Under .35 it says that the documents do not hold the answer.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import pairwise

from bedrock_emulator.engine.generation import Draft
from bedrock_emulator.engine.models.minilm import MiniLm
from bedrock_emulator.engine.models.reading import Passage, read
from bedrock_emulator.engine.prompt import Prompt

NOT_FOUND = "The answer is not in the supplied documents."
NO_PASSAGES = (
    "I am the emulator's extractive model: I answer by quoting passages that stand in the prompt, "
    "and this prompt holds none."
)
_THRESHOLD = 0.35
_PASSAGE_WEIGHT = 0.7
_CLOSE_SECOND = 0.93  # of the best score: a second passage as good as this is quoted too
_READ_CLOSELY = 3  # passages whose sentences are compared; the rest are only ranked
_MAX_SENTENCES = 48  # of a passage
_SENTENCE_END = re.compile(r"(?<=[.!?])[\"')\]]*\s+(?=[\"'(\[A-Z0-9`<])|\n{2,}|\n(?=\s*[-*•])")
_THINKING = "The question is compared with each passage; the nearest sentences are quoted."


@dataclass(frozen=True, slots=True)
class _Quote:
    score: float
    label: str
    text: str


class Extractive:
    def __init__(self, minilm: MiniLm) -> None:
        self._minilm = minilm

    def draft(self, prompt: Prompt) -> Draft:
        reading = read(prompt)
        reasoning = _THINKING if prompt.thinking or prompt.model.reasons else ""
        if not reading.passages:
            return Draft(text=NO_PASSAGES, reasoning=reasoning)
        quotes = self._quotes(reading.question, reading.passages)
        return Draft(text=_answer(quotes), reasoning=reasoning)

    def _quotes(self, question: str, passages: tuple[Passage, ...]) -> list[_Quote]:
        asked = self._minilm.vector(question)
        scored = [(float(asked @ self._minilm.vector(p.text)), p) for p in passages]
        scored.sort(key=lambda pair: -pair[0])
        quotes = []
        for near, passage in scored[:_READ_CLOSELY]:
            windows = _windows(passage.text)
            best = max(
                ((float(asked @ self._minilm.vector(window)), window) for window in windows),
                key=lambda pair: pair[0],
            )
            score = _PASSAGE_WEIGHT * near + (1 - _PASSAGE_WEIGHT) * best[0]
            quotes.append(_Quote(score, passage.label, best[1]))
        return sorted(quotes, key=lambda quote: -quote.score)


def _answer(quotes: list[_Quote]) -> str:
    best = quotes[0]
    if best.score < _THRESHOLD:
        return NOT_FOUND
    chosen = [best]
    for quote in quotes[1:2]:
        if quote.score >= _CLOSE_SECOND * best.score and quote.text != best.text:
            chosen.append(quote)
    return " ".join(f"{quote.text} [{quote.label}]" for quote in chosen)


def _windows(text: str) -> list[str]:
    """All windows of one and of two sentences, the text as it is, whitespace made plain."""
    sentences = [" ".join(part.split()) for part in _SENTENCE_END.split(text) if part]
    sentences = [sentence for sentence in sentences if sentence][:_MAX_SENTENCES]
    pairs = [f"{a} {b}" for a, b in pairwise(sentences)]
    return sentences + pairs or [text]
