"""The words that wire and engine share: a decoded call in, an answer or a refusal out.

The wire (`bedrock_emulator.wire`) turns bytes into a `Call`, checks signature and quota, paces,
frames, logs and bills. The engine turns a `Call` into an `Answer` without any I/O of its own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

Operation = Literal[
    "Converse",
    "ConverseStream",
    "InvokeModel",
    "InvokeModelWithResponseStream",
    "CountTokens",
    "Rerank",
]
Metered = Literal["output", "input", "none"]  # of tokens: all classes, input alone, no class
Json = Any


@dataclass(frozen=True, slots=True)
class Call:
    """One decoded request. `body` is parsed JSON; `headers` have lower-case names.

    `request_id` is the invocation's own: ids in its answer are made from it and from the request.
    """

    operation: Operation
    model_id: str  # as called, URL-decoded: base id, profile id or ARN
    account: str  # 12 digits
    region: str
    body: Json
    headers: Mapping[str, str] = field(default_factory=dict)
    request_id: str = ""


@dataclass(frozen=True, slots=True)
class TokenUsage:
    """Disjoint token counts of one invocation, as Bedrock meters them."""

    input: int = 0  # uncached input only
    output: int = 0
    cache_read: int = 0
    cache_write_5m: int = 0
    cache_write_1h: int = 0

    @property
    def cache_write(self) -> int:
        return self.cache_write_5m + self.cache_write_1h

    @property
    def cached(self) -> int:
        """Prompt tokens that the cache had a part in."""
        return self.cache_read + self.cache_write


@dataclass(frozen=True, slots=True)
class Event:
    """One event-stream message of a streamed answer, before framing.

    `type` is the `:event-type` (`chunk` for InvokeModel streams, whose `payload` is then the native
    JSON that the wire wraps as base64 `bytes`). `output_tokens` is cumulative, this event included.
    """

    type: str
    payload: Json
    output_tokens: int = 0


@dataclass(frozen=True, slots=True)
class Prepared:
    """A validated call, before anything is generated: what the quota check needs."""

    model: str  # resolved base model id
    input_tokens: int  # all prompt tokens, cached or not
    max_tokens: int  # asked for, or the model's maximum where absent
    burndown: int  # output tokens count this many times against the TPM quota
    plan: Any = field(default=None, repr=False, compare=False)  # the engine's own; hand it back
    metered: Metered = "output"
    cross_region: bool = False  # called through a cross-region profile, by whatever name


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole generation. Exactly one of `body` and `events` is set.

    For streams the last event carries usage (`metadata`, or a `chunk` with invocation metrics).
    Latencies (`metrics.latencyMs`, and two members of the invocation metrics) and `created` are
    placeholders that the wire overwrites; it also pads the frames.
    """

    usage: TokenUsage
    body: Json | None = None
    events: Sequence[Event] = ()
    headers: Mapping[str, str] = field(default_factory=dict)  # e.g. token counts, service tier
    service_tier: str | None = None  # the tier that served, where the model has tiers
    inference_region: str | None = None  # where a cross-region profile ran
    guardrail: Mapping[str, int] = field(default_factory=dict)  # units by member of its usage
    search_units: int = 0  # queries of a reranking model


class EmulatedError(Exception):
    """A refusal in Bedrock's shape: exception name, HTTP status, message, extra body members."""

    def __init__(self, name: str, status: int, message: str, **members: Json) -> None:
        super().__init__(message)
        self.name = name
        self.status = status
        self.message = message
        self.members = members
