"""POST routes under an idempotency key: run once, answered as often as asked."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Final
from uuid import UUID

from tenantry.application.context import Idempotency
from tenantry.application.idempotency import Made, Whole
from tenantry.application.recording import Flow
from tenantry.domain.errors import (
    ConcurrencyLimited,
    RateLimited,
    Unavailable,
    UpstreamThrottled,
    UpstreamUnavailable,
)
from tenantry.entrypoints.http.attribution import idempotency_of
from tenantry.entrypoints.http.call import Call
from tenantry.entrypoints.http.response import Response, StreamingResponse
from tenantry.entrypoints.http.routes import Access

RETRY_HEADER: Final = "x-should-retry"  # as OpenAI's and Anthropic's SDKs read it
REPLAYED_HEADER: Final = "idempotent-replayed"
WAIT_HEADERS: Final = ("retry-after", "x-amz-retry-after")
_PASSING: Final = (
    UpstreamThrottled, UpstreamUnavailable, Unavailable, RateLimited, ConcurrencyLimited,
)  # fmt: skip
_PIECE_BYTES: Final = 65_536  # of a replayed stream, so that a slow client holds no more of it


def key_of(call: Call) -> Idempotency | None:
    """The key under which to answer, if any. Raises `BadRequest`."""
    if call.route.access is Access.PUBLIC:
        return None
    given = idempotency_of(call.request, call.route.family, form=call.route.takes_form)
    return given if call.route.kept else None


async def answer_operator_once(call: Call) -> Response:
    """The answer of the control plane under the call's key."""
    assert call.idempotency is not None, "nothing to run once"

    async def make() -> Whole:
        answer = await call.route.handler(call)
        assert isinstance(answer, Response), "the control plane streams nothing"
        return _to_whole(answer)

    done, replayed = await call.services.operator_once.run(
        call.idempotency.key, call.idempotency.body_sha256, call.request_id, make
    )
    answer = Response(done.status, done.body, dict(done.headers))
    if replayed:
        answer.headers[REPLAYED_HEADER] = "true"
    return answer


async def answer_once(
    call: Call,
    refusal: Callable[[Exception], Response],
    authenticate_again: Callable[[], Awaitable[object]],
) -> tuple[Response | StreamingResponse, UUID]:
    """The answer, and the id of the request that made it.

    A replay passes no admission, which would have looked at tenant and API key again, so it
    authenticates afresh.
    """
    assert call.principal is not None and call.idempotency is not None, "nothing to run once"

    async def make() -> Made:
        try:
            answer = await call.route.handler(call)
        except Exception as error:
            return _refused(call, error, refusal(error))
        if isinstance(answer, Response):
            return Made(_to_whole(answer), True, call.user)
        return Made(Flow(answer.headers, answer.chunks, answer.leave), True, call.user)

    done = await call.services.idempotent.run(
        call.principal, call.request_id, call.idempotency, make
    )
    if done.replayed:
        await authenticate_again()
    answer = _from(done.answer)
    if done.replayed:
        answer.headers[REPLAYED_HEADER] = "true"
    return answer, done.request_id


def _refused(call: Call, error: Exception, response: Response) -> Made:
    """A failed run. One that asks for the same request again frees the key where its customer is
    charged for nothing, and where it is an upload, which goes on from what was paid. Else it is
    kept, and no SDK may take it for a passing one."""
    passes = isinstance(error, _PASSING)
    if not passes:
        return Made(_to_whole(response), call.progress.admitted, call.user)
    spent = call.progress.spent and not call.route.takes_form
    if spent:
        response.headers[RETRY_HEADER] = "false"
        for name in WAIT_HEADERS:
            response.headers.pop(name, None)
    return Made(_to_whole(response), spent, call.user)


def _to_whole(response: Response) -> Whole:
    return Whole(response.status, dict(response.headers), response.body)


def _from(answer: Whole | Flow) -> Response | StreamingResponse:
    headers = dict(answer.headers)
    if isinstance(answer, Flow):
        return StreamingResponse(answer.chunks, headers, answer.leave)
    if answer.streamed:
        return StreamingResponse(_pieces(answer.body), headers, lambda: None)
    return Response(answer.status, answer.body, headers)


async def _pieces(body: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(body), _PIECE_BYTES):
        yield body[start : start + _PIECE_BYTES]
