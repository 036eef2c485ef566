"""Step 6 of the request's way: attempts at a model, each ours, each with its row.

Owns: which failures are tried again, how often, after how long. The adapter never retries. A
retry that may have been billed before is allowed once: its cost is our waste, and the customer
pays for one answer.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from tenantry.application import metering
from tenantry.application.admission import PlannedCall
from tenantry.application.admitted import AdmittedRequest
from tenantry.domain import errors
from tenantry.domain.denial import Denial, denial_of
from tenantry.ports.model import Attempt, Failure, FailureKind, Reply, StreamReply

THROTTLED_ATTEMPTS_MAX = 5  # nothing is billed: worth the wait
FAILED_ATTEMPTS_MAX = 3
BILLED_ATTEMPTS_MAX = 2  # attempts that may have been billed, in all
PAUSE_FIRST_MS = 100
PAUSE_MAX_MS = 2_000

Answer = TypeVar("Answer", Reply, StreamReply)
_RETRIED = frozenset(
    {FailureKind.FAILED, FailureKind.TIMED_OUT, FailureKind.UNREACHABLE, FailureKind.BROKEN}
)


async def attempts(
    request: AdmittedRequest,
    planned: PlannedCall,
    call: int,
    send: Callable[[Attempt], Awaitable[Answer | Failure]],
    make: Callable[[int], Attempt],
) -> tuple[Answer, int]:
    """The first answer and its attempt's number; raises what the last failure means.

    Every failed attempt is noted on the request. The caller settles, whatever is raised.
    """
    number, maybe_billed = 1, 0
    while True:
        if number > 1:
            await request.begin(planned, call, number)
        result = await send(_made(make, request, call, number))
        if not isinstance(result, Failure):
            return result, number
        request.ended(metering.failed(result, call=call, attempt=number))
        maybe_billed += result.maybe_billed
        if not _again(result, number, maybe_billed):
            raise to_error(result)
        await asyncio.sleep(_pause_ms(result, number) / 1_000)
        number += 1


def _made(
    make: Callable[[int], Attempt], request: AdmittedRequest, call: int, number: int
) -> Attempt:
    """What leaves. Where it cannot even be written, its intent is no doubt: nothing has left."""
    try:
        return make(number)
    except BaseException:
        request.ended(metering.never_left(call=call, attempt=number))
        raise


def _again(failure: Failure, attempts_made: int, maybe_billed: int) -> bool:
    if failure.kind is FailureKind.THROTTLED:
        return attempts_made < THROTTLED_ATTEMPTS_MAX
    if failure.kind not in _RETRIED or maybe_billed >= BILLED_ATTEMPTS_MAX:
        return False
    return attempts_made < FAILED_ATTEMPTS_MAX


def _pause_ms(failure: Failure, attempts_made: int) -> int:
    doubled = PAUSE_FIRST_MS << (attempts_made - 1)
    return min(PAUSE_MAX_MS, max(doubled, failure.retry_after_ms or 0))


def to_error(failure: Failure) -> errors.TenantryError:
    """What the caller is told of the last failed attempt."""
    match failure.kind:
        case FailureKind.THROTTLED:
            return errors.UpstreamThrottled(retry_after_ms=failure.retry_after_ms or 1_000)
        case FailureKind.REFUSED:
            return _refused(failure)
        case FailureKind.UNSENDABLE:
            return errors.UpstreamRefused(
                failure.message, status=400, error_type="ValidationException"
            )
        case FailureKind.MISPLACED:  # which account it is, is the operator's to know
            return errors.UpstreamUnavailable("the model's account cannot be called as set up")
        case FailureKind.TIMED_OUT:
            return errors.UpstreamTimeout()
        case FailureKind.RUBBISH:
            return errors.UpstreamRubbish()
        case FailureKind.FAILED if failure.status == 408:
            return errors.UpstreamTimeout()
        case FailureKind.FAILED if failure.status == 424:
            return errors.UpstreamFailed()
        case FailureKind.FAILED | FailureKind.UNREACHABLE | FailureKind.BROKEN:
            return errors.UpstreamUnavailable()


def _refused(failure: Failure) -> errors.TenantryError:
    """Of a denial nothing is repeated: Bedrock's words for it name account and role."""
    denial = denial_of(failure.status, failure.error_type, failure.message)
    if failure.status is None or denial is Denial.CREDENTIALS:  # ours, never the tenant's
        return errors.UpstreamUnavailable("the model's account refused our credentials")
    if denial is Denial.CLOCK:
        return errors.UpstreamUnavailable("the model's account refused the time of our signature")
    if denial is Denial.ACCESS:  # until the operator has opened it, asking again is in vain
        return errors.ModelNotAllowed("the model is not open to this deployment")
    message = failure.message
    if denial is Denial.CACHING:
        message = "the model caches no prompts: leave out what marks a prefix for its cache"
    return errors.UpstreamRefused(
        message,
        status=failure.status,
        error_type=failure.error_type or "ValidationException",
    )
