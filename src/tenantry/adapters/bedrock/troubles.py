"""What the operator is told of attempts that fail by the upstream, and how attempts are counted.

Owns: those words. They are ours or the system's: nothing of a request, an answer or a credential.
Quotas that are used up and requests that the model refuses are counted, and no line.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Final

from tenantry.domain.denial import Denial, denial_of
from tenantry.ports.model import (
    ANSWERED,
    DENIED,
    LEFT,
    Failure,
    FailureKind,
    StreamEnd,
    StreamEndKind,
)

_NAME: Final = re.compile(r"[A-Za-z]{1,64}")
_OF_STREAMS: Final[Mapping[StreamEndKind, str]] = {
    StreamEndKind.COMPLETE: ANSWERED,
    StreamEndKind.CLOSED: LEFT,
    StreamEndKind.CUT: FailureKind.BROKEN,
    StreamEndKind.GARBLED: FailureKind.RUBBISH,
    StreamEndKind.TIMED_OUT: FailureKind.TIMED_OUT,
}
_OF_EXCEPTIONS: Final[Mapping[str | None, FailureKind]] = {
    "throttlingException": FailureKind.THROTTLED,
    "validationException": FailureKind.REFUSED,
}

_DENIALS: Final[Mapping[Denial, str]] = {
    Denial.CREDENTIALS: "refuses our credentials",
    Denial.CLOCK: "refuses the time of our signatures, which is the database's",
    Denial.ACCESS: "does not let our credentials call {model}",
}


def outcome_of(failure: Failure) -> str:
    """One of `OUTCOMES`."""
    return DENIED if _denial(failure) is not None else failure.kind


def outcome_of_stream(end: StreamEnd) -> str:
    """One of `OUTCOMES`, of an answer that had begun."""
    if end.kind is StreamEndKind.EXCEPTION:
        return _OF_EXCEPTIONS.get(end.error_type, FailureKind.FAILED)
    return _OF_STREAMS[end.kind]


def trouble_of(failure: Failure, model_id: str = "") -> str | None:
    """What is wrong with the endpoint or with us there; None where it is nothing of the sort.
    `model_id`: as it went upstream."""
    match failure.kind:
        case FailureKind.UNREACHABLE:
            return f"is out of reach: {failure.message}"
        case FailureKind.TIMED_OUT:
            return f"is too slow: {failure.message}"
        case FailureKind.BROKEN:
            return f"fails: {failure.message}"
        case FailureKind.RUBBISH if failure.status is not None and failure.status >= 300:
            return f"does not answer as Bedrock does: {said_of(failure)}"
        case FailureKind.RUBBISH:
            return "answers what cannot be read"
        case FailureKind.FAILED:
            return f"fails: {said_of(failure)}"
        case FailureKind.REFUSED if (denial := _denial(failure)) is not None:
            words = _DENIALS[denial].format(model=model_id or "a model")
            return f"{words}: {said_of(failure)}"
        case _:
            return None


def trouble_of_clock(ahead: timedelta) -> str:
    """Of an endpoint whose clock is so far ahead of ours; a skew that is over is told too."""
    seconds = round(ahead.total_seconds())
    return (
        f"refused the time of a signature: its clock and the database's differ by {abs(seconds)} s;"
        " signed again by its clock"
    )


def _denial(failure: Failure) -> Denial | None:
    """None where the refusal is the request's, as of every other 4xx."""
    if failure.kind is not FailureKind.REFUSED:
        return None
    denial = denial_of(failure.status, failure.error_type, failure.message)
    return denial if denial in _DENIALS else None


def said_of(failure: Failure) -> str:
    """Status and name of an answer that is a failure."""
    return _named(failure.status, failure.error_type)


def trouble_of_stream(end: StreamEnd) -> str | None:
    """The same of an answer that had begun."""
    match end.kind:
        case StreamEndKind.TIMED_OUT:
            return "is too slow: a stream stalled or took too long"
        case StreamEndKind.CUT:
            return "fails: a stream broke off before its usage"
        case StreamEndKind.GARBLED:
            return "answers what cannot be read: a stream of no frames, or of too many"
        case StreamEndKind.EXCEPTION if end.error_type not in _OF_EXCEPTIONS:
            return f"fails: {_named(None, end.error_type)} in a stream"
        case _:
            return None


def _named(status: int | None, error_type: str | None) -> str:
    """A name that an upstream gives is repeated only where it is one."""
    name = error_type if error_type is not None and _NAME.fullmatch(error_type) else None
    return " ".join(str(word) for word in (status, name) if word is not None) or "an exception"
