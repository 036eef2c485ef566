"""What was said in a session: the newest turns, as many as a prompt has room for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

TURNS_MAX: Final = 50  # of a session; then another is begun
TTL_S: Final = 86_400  # from its first turn
SAID_CHARS_MAX: Final = 8_000  # about 2,000 tokens of every later prompt
CUT: Final = "…"


@dataclass(frozen=True, slots=True)
class Turn:
    question: str
    answer: str


@dataclass(frozen=True, slots=True)
class Conversation:
    """Oldest first. The newest turn is always kept, shortened where it alone has no room; older
    turns than fit beside it are forgotten, whole."""

    turns: tuple[Turn, ...] = ()

    def then(self, turn: Turn) -> Conversation:
        newest = _shortened(turn)
        kept = [newest]
        room = SAID_CHARS_MAX - _size(newest)
        for one in reversed(self.turns):
            room -= _size(one)
            if room < 0:
                break
            kept.append(one)
        return Conversation(tuple(reversed(kept)))

    def messages(self) -> list[dict[str, Any]]:
        """As messages of Converse, before the question that is asked now."""
        said: list[dict[str, Any]] = []
        for turn in self.turns:
            said.append({"role": "user", "content": [{"text": turn.question}]})
            said.append({"role": "assistant", "content": [{"text": turn.answer}]})
        return said

    def to_json(self) -> list[list[str]]:
        return [[turn.question, turn.answer] for turn in self.turns]


def _size(turn: Turn) -> int:
    return len(turn.question) + len(turn.answer)


def _shortened(turn: Turn) -> Turn:
    """A turn that has room by itself: its question in one half, its answer in what that leaves."""
    question = _cut(turn.question, SAID_CHARS_MAX // 2)
    return Turn(question, _cut(turn.answer, SAID_CHARS_MAX - len(question)))


def _cut(text: str, chars_max: int) -> str:
    """Its beginning, with a sign that there was more."""
    return text if len(text) <= chars_max else text[: chars_max - 1] + CUT


def conversation_from(value: Sequence[Sequence[str]]) -> Conversation:
    return Conversation(tuple(Turn(question, answer) for question, answer in value))
