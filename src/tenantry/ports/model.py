"""One attempt at a model, and what can come of it: every attempt is ours, no SDK's.

Owns: the words of an attempt. An implementation makes exactly one attempt per call, never
retries, raises nothing that the world can cause, and says of every failure whether the provider
may bill it: the application decides on retries, and on what is released or stays unknown.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final, Protocol

from tenantry.domain.eventstream import Frame
from tenantry.domain.model_ids import Operation
from tenantry.domain.record import record

__all__ = [
    "ANSWERED",
    "DENIED",
    "LEFT",
    "OUTCOMES",
    "Attempt",
    "Failure",
    "FailureKind",
    "ModelPort",
    "Operation",
    "Reply",
    "StreamEnd",
    "StreamEndKind",
    "StreamReply",
    "Timeouts",
    "Upstream",
]


@record
class Upstream:
    """The account and region that answer: a placement, resolved for one call."""

    account: str  # 12 digits
    region: str
    endpoint_url: str | None  # scheme, host and port alone; None: Amazon Bedrock's of the region
    credentials_ref: str  # what the adapter's provider finds the credentials by


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Limits of one attempt. A plain answer's first byte comes only when it is complete.

    `first_byte_timeout_ms` bounds every later wait too; `idle_timeout_ms`, where it is shorter,
    bounds those within a stream.
    """

    connect_timeout_ms: int = 3_000
    first_byte_timeout_ms: int = 300_000
    idle_timeout_ms: int = 60_000  # between two pieces of a stream
    total_timeout_ms: int = 600_000


@record
class Attempt:
    """What goes upstream. `headers` are lower case, without host, date and signature."""

    upstream: Upstream
    operation: Operation
    model_id: str  # as it goes upstream: base id, profile id or ARN
    body: bytes
    headers: Mapping[str, str] = field(default_factory=lambda: {"content-type": "application/json"})
    timeouts: Timeouts = Timeouts()


@record
class Reply:
    """A complete answer, status 2xx. `headers` are lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes  # as it came
    document: Any  # the decoded JSON; None where the answer is of another content type

    @property
    def request_id(self) -> str | None:
        """Bedrock's id of the call, by which its invocation log is joined."""
        return self.headers.get("x-amzn-requestid")


class FailureKind(StrEnum):
    """How an attempt failed."""

    THROTTLED = "throttled"  # 429
    REFUSED = "refused"  # any other 4xx; the upstream's answer is passed on
    FAILED = "failed"  # 5xx, and the model's own failures 408 and 424
    TIMED_OUT = "timed_out"
    UNREACHABLE = "unreachable"  # no connection: name, TCP, TLS, or no free connection in time
    BROKEN = "broken"  # the connection broke after the request had begun to leave
    RUBBISH = "rubbish"  # an answer that does not parse, or is larger than allowed
    UNSENDABLE = "unsendable"  # the attempt itself is malformed; nothing left
    MISPLACED = "misplaced"  # its placement has no credentials or endpoint to use; nothing left


ANSWERED: Final = "answered"  # a stream: to its end, with its usage
LEFT: Final = "left"  # a stream that we closed before its end
DENIED: Final = "denied"  # 401 or 403: our credentials or their rights, never what was sent
OUTCOMES: Final = (ANSWERED, LEFT, DENIED, *map(str, FailureKind))  # by which attempts are counted


@dataclass(frozen=True, slots=True)
class Failure:
    """An attempt that gave no answer. `status` and what follows exist where upstream answered."""

    kind: FailureKind
    maybe_billed: bool  # False: certainly no tokens were billed
    message: str
    status: int | None = None
    error_type: str | None = None  # ThrottlingException, …
    retry_after_ms: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""

    @property
    def request_id(self) -> str | None:
        """Bedrock's id of the call, where it answered."""
        return self.headers.get("x-amzn-requestid")


class StreamEndKind(StrEnum):
    """How a stream ended. Anything but COMPLETE leaves its usage unknown."""

    COMPLETE = "complete"  # with its usage
    EXCEPTION = "exception"  # an exception or error frame came
    CUT = "cut"  # the end came without usage, or within a frame
    GARBLED = "garbled"  # bytes that are no event stream, or more of them than allowed
    TIMED_OUT = "timed_out"
    CLOSED = "closed"  # by us, before its end


@record
class StreamEnd:
    """The end of a stream."""

    kind: StreamEndKind
    error_type: str | None = None  # of an exception frame, e.g. modelStreamErrorException
    message: str = ""


class StreamReply(Protocol):
    """A stream under way. Iterating never raises for what the world does: it stops, and `end`
    says why. Exception frames are yielded like all others. One consumer."""

    @property
    def status(self) -> int: ...

    @property
    def headers(self) -> Mapping[str, str]: ...

    @property
    def request_id(self) -> str | None: ...

    @property
    def end(self) -> StreamEnd | None:
        """None while the stream runs."""
        ...

    def __aiter__(self) -> AsyncIterator[Frame]: ...

    async def aclose(self) -> None:
        """Give the connection back, read to its end or not. Idempotent."""
        ...


class ModelPort(Protocol):
    """Bedrock, or something that speaks as it does."""

    async def invoke(self, attempt: Attempt) -> Reply | Failure:
        """One plain attempt. Not to be run within a client's cancel scope."""
        ...

    async def stream(self, attempt: Attempt) -> StreamReply | Failure:
        """One streamed attempt, returned once its headers are there. Must be closed."""
        ...
