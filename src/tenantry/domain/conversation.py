"""What was said in a session: the newest turns, as much of them as a prompt has room for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

TURNS_MAX: Final = 50  # of a session; then another is begun
TTL_S: Final = 86_400  # from its first turn
SAID_CHARS_MAX: Final = 8_000  # about 2,000 tokens of every later prompt


@dataclass(frozen=True, slots=True)
class Turn:
    question: str
    answer: str


@dataclass(frozen=True, slots=True)
class Conversation:
    """Oldest first; older turns than fit are forgotten, whole."""

    turns: tuple[Turn, ...] = ()

    def then(self, turn: Turn) -> Conversation:
        kept: list[Turn] = []
        room = SAID_CHARS_MAX
        for one in (turn, *reversed(self.turns)):
            room -= len(one.question) + len(one.answer)
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


def conversation_from(value: Sequence[Sequence[str]]) -> Conversation:
    return Conversation(tuple(Turn(question, answer) for question, answer in value))
