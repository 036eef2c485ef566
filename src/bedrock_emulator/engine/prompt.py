"""A prompt as every API family is read into: pieces in cache order, turns, limits, tools.

The order tools, system, messages is the order in which a cached prefix grows.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Literal

from bedrock_emulator.engine.catalogue import Model, Ttl
from bedrock_emulator.engine.tokens import Tokeniser, tokeniser

LONG_CONTEXT = "context-1m-2025-08-07"  # of Claude, a beta
CHECKPOINTS_MAX = 4  # Bedrock user guide, prompt caching


@dataclass(frozen=True, slots=True)
class Piece:
    """One block of the prompt. A checkpoint asks to cache everything up to its end."""

    key: str  # what makes two prefixes the same
    tokens: int
    checkpoint: Ttl | None = None


@dataclass(frozen=True, slots=True)
class Tool:
    name: str
    description: str
    schema: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Turn:
    role: Literal["user", "assistant", "system"]
    text: str


@dataclass(frozen=True, slots=True)
class Source:
    """A document or a search result of the prompt, which an answer may be asked to cite."""

    kind: Literal["document", "search_result"]
    index: int  # among those of its kind, from 0
    title: str | None
    origin: str  # of a search result: where it says that it is from
    blocks: tuple[str, ...]  # its texts; of a document that is not read none
    one_text: bool  # cited by its characters; otherwise by its blocks
    cited: bool  # where it is quoted


@dataclass(slots=True)
class Prompt:
    """What one request asks; built by the readers in `requests/`."""

    model: Model
    pieces: list[Piece] = field(default_factory=list)
    system: str = ""
    turns: list[Turn] = field(default_factory=list)
    tools: list[Tool] = field(default_factory=list)
    called: list[tuple[str, Any]] = field(default_factory=list)
    """Name and input of the tools called since the user last asked."""
    built_in_tools: int = 0  # offered beside those, and never run here
    tool_choice: str = "auto"  # auto, any, none, or the name of a tool after "tool:"
    max_tokens: int | None = None
    stop_sequences: tuple[str, ...] = ()
    schema: dict[str, Any] | None = None
    thinking: bool = False
    tier: str = "default"
    long_context: bool = False
    field_paths: tuple[str, ...] = ()  # members of the native answer that are asked for
    checkpoints: int = 0
    documents: set[str] = field(default_factory=set)  # names of those in messages
    sources: list[Source] = field(default_factory=list)
    chat: bool = False  # a chat body, where the family also has another kind

    @property
    def tokeniser(self) -> Tokeniser:
        return tokeniser(self.model.encoding)

    @property
    def input_tokens(self) -> int:
        """All prompt tokens, cached or not."""
        return sum(piece.tokens for piece in self.pieces) + self.model.overhead.tail

    @property
    def window(self) -> int:
        return self.model.long_window if self.long_context else self.model.window

    def use_betas(self, names: Any) -> None:
        """Of the betas that a body asks for, the one that bears on what fits."""
        if isinstance(names, list):
            self.long_context = LONG_CONTEXT in names

    @property
    def output_limit(self) -> int:
        return self.model.max_output if self.max_tokens is None else self.max_tokens

    def open(self) -> None:
        """Begins with what the family's template puts before everything."""
        overhead = self.model.overhead
        self.pieces.append(Piece("", max(0, overhead.prompt - overhead.tail)))

    def think(self) -> None:
        """Thinking is asked for, which brings instructions of the template's."""
        self.thinking = True
        if self.model.overhead.thinking:
            self.pieces.append(Piece("thinking", self.model.overhead.thinking))

    def begin_turn(self, role: str) -> None:
        """What the template puts before each message but the first."""
        if self.turns:
            self.pieces.append(Piece(f"turn:{role}", self.model.overhead.turn))

    def add(self, key: str, tokens: int) -> None:
        self.pieces.append(Piece(key, tokens))

    def add_text(self, key: str, text: str) -> None:
        self.pieces.append(Piece(key + text, self.tokeniser.count(text)))

    def add_tool(self, tool: Tool) -> None:
        """One offered tool; the first also brings the template's instructions for tools."""
        text = json.dumps([tool.name, tool.description, tool.schema], ensure_ascii=False)
        preamble = 0 if self.tools else self.model.overhead.tools
        self.tools.append(tool)
        self.pieces.append(Piece("tool:" + text, self.tokeniser.count(text) + preamble))

    def add_source(
        self,
        kind: Literal["document", "search_result"],
        title: str | None,
        blocks: Iterable[str],
        *,
        one_text: bool,
        cited: bool,
        origin: str = "",
    ) -> None:
        """Notes a document or a search result, in the order in which they are numbered."""
        index = sum(source.kind == kind for source in self.sources)
        self.sources.append(Source(kind, index, title, origin, tuple(blocks), one_text, cited))

    def mark(self, ttl: Ttl) -> None:
        """Sets a checkpoint at the end of what has been read so far."""
        last = self.pieces[-1]
        self.pieces[-1] = Piece(last.key, last.tokens, ttl)
        self.checkpoints += 1

    def last_user_text(self) -> str:
        for turn in reversed(self.turns):
            if turn.role == "user" and turn.text.strip():
                return turn.text
        return ""

    def all_text(self) -> str:
        """System and all turns, in order, as one text."""
        return "\n\n".join(part for part in (self.system, *(t.text for t in self.turns)) if part)
