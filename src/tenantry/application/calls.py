"""The words between the wires and the use cases: a call to a model, and what came of it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Literal, Protocol
from uuid import UUID

from tenantry.domain.eventstream import Frame
from tenantry.domain.record import record
from tenantry.domain.usage import NO_USAGE, Usage

ChatOperation = Literal[
    "Converse", "ConverseStream", "InvokeModel", "InvokeModelWithResponseStream"
]


@record
class ChatCall:
    """A call as its wire understood it.

    `body` is the decoded JSON of a Converse request, or the native JSON of an InvokeModel one.
    `headers` are those that Bedrock models for InvokeModel (accept, guardrail, trace, latency),
    lower case.
    """

    operation: ChatOperation
    model: str  # as the client named it: alias, id, profile id, ARN
    body: Mapping[str, Any]
    headers: Mapping[str, str] = field(default_factory=dict)
    service_tier: str | None = None
    request_metadata: Mapping[str, str] = field(default_factory=dict)


@record
class Completed:
    """A whole answer, settled. `body` is what the model sent, byte for byte."""

    request_id: UUID
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)  # upstream's, to pass on
    usage: Usage = NO_USAGE
    charge: Decimal | None = None  # None: nothing was charged (count-tokens)
    currency: str = "USD"
    max_tokens: int | None = None  # the output limit that went upstream, where it was lowered


class Streamed(Protocol):
    """An answer under way. It is drained and settled whether or not anybody reads it.

    `frames` yields what the model sends; the last one (`metadata`, or the chunk with invocation
    metrics) comes only after the settlement is durable, and then `charge` and `usage` are set.
    A failure after the first frame comes as a frame with `exception_type`. `leave()` tells that
    the client has gone.
    """

    request_id: UUID
    headers: Mapping[str, str]
    currency: str
    max_tokens: int | None  # the output limit that went upstream, where it was lowered

    @property
    def frames(self) -> AsyncIterator[Frame]: ...

    @property
    def charge(self) -> Decimal | None: ...

    @property
    def usage(self) -> Usage: ...

    def leave(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Embedded:
    """Vectors of texts, in order, settled."""

    request_id: UUID
    vectors: Sequence[Sequence[float]]
    model: str
    usage: Usage
    charge: Decimal | None  # None: not all known yet
    currency: str
