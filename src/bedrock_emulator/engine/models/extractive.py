"""A language model that can only quote: it answers with the prompt's own sentences, cited.

Score of a sentence: .7 × cos(question, passage) + .3 × cos(question, window of 1–2 sentences).
Under .35 it says that the documents do not hold the answer.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import pairwise

from bedrock_emulator.engine.citing import cited
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
_SENTENCES_MAX = 48  # of a passage
_SENTENCE_END = re.compile(
    r"(?<=[.!?])\s+(?=[\"'(\[A-Z0-9`<])|(?<=[.!?][\"')\]])\s+(?=[\"'(\[A-Z0-9`<])"
)
_ITEM = re.compile(r"[-*•] |\d{1,3}[.)] ")
_LEAST_SPACES = 2  # a statement has three words or more
_THINKING = "The question is compared with each passage; the nearest sentences are quoted."


@dataclass(frozen=True, slots=True)
class _Quote:
    score: float
    label: str
    text: str


@dataclass(frozen=True, slots=True)
class _Window:
    compared: str
    said: str


class Extractive:
    def __init__(self, minilm: MiniLm) -> None:
        self._minilm = minilm

    def draft(self, prompt: Prompt) -> Draft:
        reading = read(prompt)
        reasoning = _THINKING if prompt.thinking or prompt.model.reasons else ""
        if not reading.passages:
            return Draft(text=NO_PASSAGES, reasoning=reasoning)
        chosen = _chosen(self._quotes(reading.question, reading.passages))
        if not chosen:
            return Draft(text=NOT_FOUND, reasoning=reasoning)
        text = " ".join(f"{quote.text} [{quote.label}]" for quote in chosen)
        parts = cited(prompt, ((quote.text, quote.label) for quote in chosen))
        return Draft(text=text, parts=parts, reasoning=reasoning)

    def _quotes(self, question: str, passages: tuple[Passage, ...]) -> list[_Quote]:
        asked = self._minilm.vector(question)
        scored = [(float(asked @ self._minilm.vector(p.text)), p) for p in passages]
        scored.sort(key=lambda pair: -pair[0])
        quotes = []
        for near, passage in scored:
            windows = _windows(passage.text)
            if not windows:
                continue
            scores = [float(asked @ self._minilm.vector(window.compared)) for window in windows]
            best = max(range(len(windows)), key=scores.__getitem__)
            score = _PASSAGE_WEIGHT * near + (1 - _PASSAGE_WEIGHT) * scores[best]
            quotes.append(_Quote(score, passage.label, windows[best].said))
            if len(quotes) == _READ_CLOSELY:
                break
        if not quotes:  # only titles and the like: the nearest is quoted as it is
            near, passage = scored[0]
            quotes.append(_Quote(near, passage.label, " ".join(passage.text.split())))
        return sorted(quotes, key=lambda quote: -quote.score)


def _chosen(quotes: list[_Quote]) -> list[_Quote]:
    """The best and perhaps a second; none where the best is not near enough."""
    best = quotes[0]
    if best.score < _THRESHOLD:
        return []
    chosen = [best]
    for quote in quotes[1:2]:
        if quote.score >= _CLOSE_SECOND * best.score and quote.text != best.text:
            chosen.append(quote)
    return chosen


def _windows(text: str) -> list[_Window]:
    """Windows of one and of two sentences of which the last is a statement.

    Headings and questions are compared with the statement that follows, for they say what it is
    about, but are not said. A passage without any statement has no windows.
    """
    sentences = _sentences(text)[:_SENTENCES_MAX]
    windows = [_Window(one, one) for one in sentences if _is_statement(one)]
    for one, two in pairwise(sentences):
        if _is_statement(two):
            said = f"{one} {two}" if _is_statement(one) else two
            windows.append(_Window(f"{one} {two}", said))
    return windows


def _sentences(text: str) -> list[str]:
    """Sentences, headings and list items in order, whitespace made plain, code fences left out."""
    blocks: list[list[str]] = [[]]
    for line in text.splitlines():
        line = line.strip()
        if not line or line.startswith("```"):
            blocks.append([])
        elif line.startswith("#"):
            blocks += [[line], []]
        elif _ITEM.match(line):
            blocks.append([line])
        else:
            blocks[-1].append(line)
    joined = (" ".join(" ".join(block).split()) for block in blocks)
    return [one for block in joined for one in _SENTENCE_END.split(block) if one]


def _is_statement(sentence: str) -> bool:
    """Not a heading, a question, a lead-in to a list, or a name."""
    return (
        not sentence.startswith("#")
        and not sentence.endswith(("?", ":"))
        and sentence.count(" ") >= _LEAST_SPACES
    )
