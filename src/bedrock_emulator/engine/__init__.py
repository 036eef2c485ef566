"""Turns a decoded Bedrock call into an answer: validation, prompt cache, models, token counts.

Owns: the model catalogue, request validation with Bedrock's messages, the prompt cache, the models.
Does not own: sockets, signatures, quotas, logs, bills, time on the wire.
Invariants: usage counts are disjoint; the same call with the same cache state gives the same
answer, ids made from the request id among it.
"""

from bedrock_emulator.engine.engine import Engine
from bedrock_emulator.engine.types import (
    Answer,
    Call,
    EmulatedError,
    Event,
    Operation,
    Prepared,
    TokenUsage,
)

__all__ = [
    "Answer",
    "Call",
    "EmulatedError",
    "Engine",
    "Event",
    "Operation",
    "Prepared",
    "TokenUsage",
]
