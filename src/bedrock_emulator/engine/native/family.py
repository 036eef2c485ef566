"""What each native family brings: a reader, a renderer, a streamer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from bedrock_emulator.engine.catalogue import Model
from bedrock_emulator.engine.generation import Generation
from bedrock_emulator.engine.prompt import Prompt
from bedrock_emulator.engine.types import TokenUsage

Chunks = list[tuple[dict[str, Any], int]]
"""Native JSON of each chunk, with the tokens generated up to and with it."""


@dataclass(frozen=True, slots=True)
class Family:
    read: Callable[[dict[str, Any], Model], Prompt]
    body: Callable[[Prompt, Generation, TokenUsage, str], dict[str, Any]]
    stream: Callable[[Prompt, Generation, TokenUsage, str], Chunks]
