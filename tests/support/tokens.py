"""Token counts of real tokenisers: the emulator's own."""

from __future__ import annotations

from bedrock_emulator.engine.tokens import tokeniser

ENCODINGS = ("cl100k_base", "o200k_base")


def token_count(text: str) -> int:
    """The most that any of them makes of a text."""
    return max(tokeniser(encoding).count(text) for encoding in ENCODINGS)
