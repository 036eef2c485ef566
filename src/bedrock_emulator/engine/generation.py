"""Turns what a model wants to say into what it may say: limits, stop sequences, tools, schemas.

A model (see `models/`) yields a `Draft`; this module tokenises it and stops where the request says,
at token granularity, as a sampling loop would.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from bedrock_emulator.engine.citing import Citation, Part
from bedrock_emulator.engine.prompt import Prompt
from bedrock_emulator.engine.tokens import Tokeniser

StopReason = Literal["end_turn", "tool_use", "max_tokens", "stop_sequence", "guardrail_intervened"]
TOKENS_PER_CHUNK = 4  # of a stream; recorded streams carry one to six tokens an event
TOOL_CALL_TOKENS = 12  # template around a call, besides its name and input


@dataclass(frozen=True, slots=True)
class ToolCall:
    name: str
    input: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Draft:
    """What a model would say without any limit."""

    text: str = ""
    parts: tuple[Part, ...] = ()  # the same with citations, where the request asks for them
    calls: tuple[ToolCall, ...] = ()
    reasoning: str = ""


@dataclass(frozen=True, slots=True)
class Block:
    """A generated block. `tokens` are cumulative at its end over the whole generation."""

    kind: Literal["text", "tool", "reasoning"]
    tokens: int
    text: str = ""
    call: ToolCall | None = None
    ids: tuple[int, ...] = ()  # of `text`, for streaming
    first: int = 0  # cumulative tokens before the block
    citations: tuple[Citation, ...] = ()  # of a text


@dataclass(frozen=True, slots=True)
class Generation:
    blocks: tuple[Block, ...]
    stop_reason: StopReason
    output_tokens: int
    stop_sequence: str | None = None


class _Loop:
    """Takes blocks until a limit is met. `used` are the tokens generated so far."""

    def __init__(self, prompt: Prompt) -> None:
        self.tokeniser = prompt.tokeniser
        self.limit = prompt.output_limit
        self.stops = prompt.stop_sequences
        self.used = 0
        self.blocks: list[Block] = []
        self.stopped: StopReason | None = None
        self.stop_sequence: str | None = None

    def text(
        self,
        kind: Literal["text", "reasoning"],
        text: str,
        citations: tuple[Citation, ...] = (),
    ) -> None:
        """A text that is cut off comes without its citations, which would follow it."""
        if self.stopped or not text:
            return
        ids = self.tokeniser.encode(text)
        allowed = self.limit - self.used
        if len(ids) > allowed:
            ids, self.stopped = ids[:allowed], "max_tokens"
            text = self.tokeniser.decode(ids)
        if kind == "text" and self.stops:
            text, ids = self._stop(text, ids)
        first, self.used = self.used, self.used + len(ids)
        if text:  # what a stop sequence or the limit has left nothing of is no block
            kept = () if self.stopped else citations
            self.blocks.append(Block(kind, self.used, text, None, tuple(ids), first, kept))

    def _stop(self, text: str, ids: list[int]) -> tuple[str, list[int]]:
        """Ends at the stop sequence that is complete first; its own tokens were generated."""
        found = [(text.find(stop) + len(stop), stop) for stop in self.stops if stop in text]
        if not found:
            return text, ids
        end, stop = min(found, key=lambda match: (match[0], -len(match[1])))
        needed = len(text[:end].encode())
        size = 0
        for count, token in enumerate(ids, 1):
            size += len(self.tokeniser.token_bytes(token))
            if size >= needed:
                ids = ids[:count]
                break
        self.stopped, self.stop_sequence = "stop_sequence", stop
        return text[: end - len(stop)], ids

    def call(self, call: ToolCall) -> None:
        if self.stopped:
            return
        text = json.dumps(call.input, ensure_ascii=False, separators=(",", ":"))
        ids = self.tokeniser.encode(text)
        cost = TOOL_CALL_TOKENS + self.tokeniser.count(call.name) + len(ids)
        first = self.used
        if cost > self.limit - self.used:
            # A call that is cut off cannot be parsed: the input is lost, the tokens are spent.
            self.used, self.stopped = self.limit, "max_tokens"
            self.blocks.append(Block("tool", self.used, "", ToolCall(call.name, {}), (), first))
            return
        self.used += cost
        self.blocks.append(Block("tool", self.used, text, call, tuple(ids), first))


def generate(prompt: Prompt, draft: Draft) -> Generation:
    """Runs a draft into the limits of its request."""
    loop = _Loop(prompt)
    loop.text("reasoning", draft.reasoning)
    for part in _parts(prompt, draft):
        loop.text("text", part.text, part.citations)
    for call in draft.calls:
        loop.call(call)
    reason: StopReason = loop.stopped or ("tool_use" if draft.calls else "end_turn")
    return Generation(tuple(loop.blocks), reason, loop.used, loop.stop_sequence)


def _parts(prompt: Prompt, draft: Draft) -> tuple[Part, ...]:
    """An answer that is stopped is one text: a stop sequence may stand across its parts."""
    whole = "".join(part.text for part in draft.parts)
    if draft.parts and not any(stop in whole for stop in prompt.stop_sequences):
        return draft.parts
    return (Part(draft.text),)


def chunks(block: Block, tokeniser: Tokeniser) -> Iterator[tuple[str, int]]:
    """A text block as a stream: (text, cumulative tokens), never inside a character.

    Where a stop sequence ended the block, the tokens of the stop itself come with the last chunk.
    """
    left = len(block.text)
    held: list[int] = []
    for start in range(0, len(block.ids), TOKENS_PER_CHUNK):
        held += block.ids[start : start + TOKENS_PER_CHUNK]
        end = min(start + TOKENS_PER_CHUNK, len(block.ids))
        data = tokeniser.decode_bytes(held)
        if end < len(block.ids) and _cut_inside_character(data):
            continue
        held = []
        text = data.decode("utf-8", "ignore")[:left]
        left -= len(text)
        if text:
            yield text, block.first + end


def _cut_inside_character(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return True
    return False
