"""From a request to its answer: route, credentials, handler, and every error in its shape."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import hmac
import logging
from collections.abc import Mapping
from functools import partial
from typing import Final
from uuid import UUID

from tenantry.application.authenticate import BearerKey, require
from tenantry.application.context import Progress
from tenantry.domain.errors import (
    KeyMissing,
    KeyWrong,
    TenantryError,
    TenantSuspended,
    TooLarge,
    Unauthenticated,
    Unavailable,
    UnsupportedMedia,
)
from tenantry.domain.ids import uuid7
from tenantry.domain.tenant import Principal, Scope
from tenantry.entrypoints.http.attribution import KNOWLEDGE_HEADER
from tenantry.entrypoints.http.call import Call
from tenantry.entrypoints.http.credentials import credentials_of
from tenantry.entrypoints.http.errors import Family, status_response, to_response
from tenantry.entrypoints.http.let_go import let_go
from tenantry.entrypoints.http.log_words import about_of, reason_of, where_of
from tenantry.entrypoints.http.once import answer_once, answer_operator_once, key_of
from tenantry.entrypoints.http.ratelimit import left_header, policy_header
from tenantry.entrypoints.http.response import Response, StreamingResponse
from tenantry.entrypoints.http.routes import Access, Route, RouteTable, family_of, family_of_sdk
from tenantry.entrypoints.http.services import Services
from tenantry.entrypoints.http.wire.handover import Answering, Refusal
from tenantry.entrypoints.http.wire.limits import WireLimits
from tenantry.entrypoints.http.wire.request import Request

# Codings of bytes that are as they were, among them what some clients take for one.
_PLAIN: Final = frozenset({"", "identity", "utf-8", "utf8"})
_REQUESTS_MAX = WireLimits().requests
_PATH_CHARS_TOLD: Final = 200
# What admission says of who asks, where a worker knew it still as it was: it serves nobody.
_NOBODY: Final = (Unauthenticated, TenantSuspended)
_RESPONSES: Final = "/v1/responses"  # what some OpenAI clients ask by default
_log = logging.getLogger(__name__)


class App:
    """The application of one port."""

    def __init__(
        self, services: Services, table: RouteTable, requests_max: int = _REQUESTS_MAX
    ) -> None:
        self._services = services
        self._table = table
        self._requests_max = requests_max
        self._running = 0

    async def serve(self, request: Request, exchange: Answering) -> None:
        """Answers one request. Never raises but for cancellation."""
        clock = self._services.clock
        started = clock.monotonic()
        request_id = self._request_id()
        match = self._table.match(request.method, request.raw_path)
        route = match.route
        self._running += 1
        self._services.counters.begin()
        try:
            if self._running > self._requests_max:
                self._send(self._busy(request, request_id), exchange)
            elif route is None:
                answer = await self._unknown(request, match.path_known, request_id)
                self._send(answer, exchange)
            else:
                await self._serve_route(route, match.params, request, request_id, exchange)
        except asyncio.CancelledError:
            exchange.cut()
            raise
        finally:
            self._running -= 1
            label = None if route is None else f"{route.method} {route.template}"
            elapsed = clock.monotonic() - started
            self._services.counters.end(label, exchange.status or 499, elapsed)

    def refuse(self, status: int, message: str, raw_path: str, exchange: Answering) -> None:
        """Answers a request that could not be read."""
        request_id, family = self._request_id(), family_of(raw_path)
        response = status_response(status, message, family, request_id)
        _name(response, family, request_id)
        self._send(response, exchange)

    async def who(self, head: Request) -> str | Refusal:
        """Who sends a large body, by its request's head, before it is kept: a name for all that a
        tenant sends, or the operator; else the refusal that the whole request would have had. It
        decides nothing else: `serve` asks again, with the body. Never raises but for cancellation.
        """
        request_id = self._request_id()
        match = self._table.match(head.method, head.raw_path)
        route = match.route
        if route is None:
            answer = await self._unknown(head, match.path_known, request_id)
            return partial(self._send, answer)
        try:
            if route.access is Access.PUBLIC:
                raise TooLarge("No body is taken here.")
            if route.access is Access.OPERATOR:
                self._require_operator(head)
                return "operator"
            return await self._services.authenticator.owner(credentials_of(head))
        except Exception as error:
            answer = self._refusal(error, route=route, request_id=request_id)
        _name(answer, route.family, request_id)
        return partial(self._refuse_large, route, answer)

    def _refuse_large(self, route: Route, answer: Response, exchange: Answering) -> None:
        self._services.counters.begin()
        self._send(answer, exchange)
        self._services.counters.end(f"{route.method} {route.template}", answer.status, 0.0)

    async def _serve_route(
        self,
        route: Route,
        params: Mapping[str, str],
        request: Request,
        request_id: UUID,
        exchange: Answering,
    ) -> None:
        principal: Principal | None = None
        served: Principal | None = None
        progress = Progress()
        answer: Response | StreamingResponse

        def refusal(error: Exception) -> Response:
            nonlocal served
            served = None if isinstance(error, _NOBODY) else principal
            return self._refusal(error, route=route, request_id=request_id, principal=principal)

        try:
            principal = await self._who(route, request)
            served = principal
            _require_scopes(route, principal, request)
            _refuse_body(route, request)
            call = Call(
                self._services, request, request_id, route, params, principal, progress=progress
            )
            call.idempotency = key_of(call)
            if call.idempotency is None:
                answer = await route.handler(call)
            elif principal is None:
                answer = await answer_operator_once(call)
            else:
                again = partial(self._who_again, route, request)
                answer, request_id = await answer_once(call, refusal, again)
        except Exception as error:
            answer = refusal(error)
        self._tag(answer, route, served, request_id, progress)
        if isinstance(answer, Response):
            self._send(answer, exchange)
        else:
            await self._send_stream(answer, route, exchange, about_of(request_id, principal))

    def _refusal(
        self,
        error: Exception,
        *,
        route: Route,
        request_id: UUID,
        principal: Principal | None = None,
    ) -> Response:
        answer = self._told(error, route, request_id, principal)
        let_go(error)
        return answer

    def _told(
        self, error: Exception, route: Route, request_id: UUID, principal: Principal | None
    ) -> Response:
        about = about_of(request_id, principal)
        if isinstance(error, TenantryError):
            if isinstance(error, Unavailable):
                said, reason = error.message.rstrip("."), reason_of(error)
                about = about_of(request_id, principal, reason)
                _log.warning("unavailable at %s: %s", route.template, said, extra=about)
            return to_response(error, route.family, request_id)
        # Content could be in the message of an exception: only what the system said is logged.
        _log.error("unexpected at %s: %s", route.template, where_of(error), extra=about)
        message = "Something unexpected went wrong."
        return status_response(500, message, route.family, request_id)

    async def _who(
        self, route: Route, request: Request, *, fresh: bool = False
    ) -> Principal | None:
        if route.access is Access.PUBLIC:
            return None
        if route.access is Access.OPERATOR:
            self._require_operator(request)
            return None
        return await self._services.authenticator.authenticate(
            credentials_of(request),
            now=self._services.clock.now(),
            fresh=fresh or route.access is Access.TENANT_FRESH,
        )

    async def _who_again(self, route: Route, request: Request) -> None:
        _require_scopes(route, await self._who(route, request, fresh=True), request)

    def _require_operator(self, request: Request) -> None:
        credentials = credentials_of(request)
        if credentials is None:
            raise KeyMissing("No operator token was given.")
        if not isinstance(credentials, BearerKey):
            raise KeyWrong("The operator token is a bearer key.")
        if not credentials.presented:
            raise KeyWrong("The operator token is empty: is the variable set that should hold it?")
        digest = hashlib.sha256(credentials.presented.encode("latin-1", "replace")).digest()
        if not hmac.compare_digest(digest, self._services.operator_token_sha256):
            raise KeyWrong("The operator token is not known.")

    def _tag(
        self,
        answer: Response | StreamingResponse,
        route: Route,
        principal: Principal | None,
        request_id: UUID,
        progress: Progress,
    ) -> None:
        _name(answer, route.family, request_id)
        if principal is None:
            return
        answer.headers["x-tenantry-tenant"] = principal.tenant_id
        if route.family == "bedrock":
            return
        if policy := policy_header(principal.tenant.plan):
            answer.headers["RateLimit-Policy"] = policy
        if progress.verdict and (left := left_header(principal.tenant, progress.verdict)):
            answer.headers.setdefault("RateLimit", left)

    async def _unknown(self, request: Request, path_known: bool, request_id: UUID) -> Response:
        family = family_of_sdk(request.headers) or family_of(request.raw_path)
        # Bedrock says 404 for a known path's other methods too.
        status = 405 if path_known and family != "bedrock" else 404
        message = "The method is not allowed here." if status == 405 else _no_route(request)
        response = status_response(status, message, family, request_id)
        if status == 405:
            response.headers["allow"] = ", ".join(self._table.methods_of(request.raw_path))
        _name(response, family, request_id)
        principal = await self._whoever(request)
        if principal is not None:
            response.headers["x-tenantry-tenant"] = principal.tenant_id
        return response

    async def _whoever(self, request: Request) -> Principal | None:
        """Whose key it is, where nothing depends on it."""
        if not self._table.for_tenants:
            return None
        with contextlib.suppress(TenantryError):
            return await self._services.authenticator.authenticate(
                credentials_of(request), now=self._services.clock.now(), fresh=False
            )
        return None

    def _busy(self, request: Request, request_id: UUID) -> Response:
        busy, family = Unavailable("Too many requests at once."), family_of(request.raw_path)
        response = to_response(busy, family, request_id)
        _name(response, family, request_id)
        return response

    def _send(self, response: Response, exchange: Answering) -> None:
        exchange.respond(response.status, response.headers, response.body)

    async def _send_stream(
        self,
        answer: StreamingResponse,
        route: Route,
        exchange: Answering,
        about: Mapping[str, object],
    ) -> None:
        """Piece by piece, as fast as the client reads. When it goes, only this reader ends: the
        answer is drained and settled by the task that owns it."""
        reader = asyncio.current_task()
        assert reader is not None

        def left() -> None:
            answer.leave()
            reader.cancel()

        exchange.start(200, answer.headers)
        exchange.when_gone(left)
        try:
            async for chunk in answer.chunks:
                await exchange.send(chunk)
            exchange.finish()
        except asyncio.CancelledError:
            answer.leave()
            if not exchange.gone:
                raise
            reader.uncancel()
        except Exception as error:
            _log.error(
                "unexpected in a stream of %s: %s", route.template, where_of(error), extra=about
            )
            answer.leave()
            exchange.cut()

    def _request_id(self) -> UUID:
        clock = self._services.clock
        return uuid7(int(clock.now().timestamp() * 1_000), clock.random(10))


def _name(answer: Response | StreamingResponse, family: Family, request_id: UUID) -> None:
    """The id by which whoever asks can tell of an answer; SDKs read it where their API puts it.
    Bedrock's own, by which its logs are joined, stands beside it."""
    answer.headers["x-tenantry-request-id"] = str(request_id)
    if family == "bedrock":
        theirs = answer.headers.get("x-amzn-requestid")
        if theirs is not None:
            answer.headers["x-tenantry-upstream-request-id"] = theirs
        answer.headers["x-amzn-requestid"] = str(request_id)
    elif family == "openai":
        answer.headers.setdefault("x-request-id", str(request_id))


def _no_route(request: Request) -> str:
    path = request.raw_path if request.raw_path.isprintable() else ascii(request.raw_path)
    message = f"There is no route {request.method} {path[:_PATH_CHARS_TOLD]}."
    return f"{message} Use /v1/chat/completions." if path == _RESPONSES else message


def _require_scopes(route: Route, principal: Principal | None, request: Request) -> None:
    if principal is not None:
        for scope in route.scopes:
            require(principal, scope)
        if route.takes_knowledge and KNOWLEDGE_HEADER in request.headers:
            require(principal, Scope.SEARCH)


def _refuse_body(route: Route, request: Request) -> None:
    """Nobody here decompresses, which a few bytes could make gigabytes of."""
    codings = request.headers.get("content-encoding")
    if codings is not None:
        for named in codings.split(","):
            coding = named.partition(";")[0].strip().lower()
            if coding not in _PLAIN:
                raise UnsupportedMedia(
                    f"A body with the content-encoding {coding[:40]} is not read: send it as it is."
                )
    if len(request.body) > route.body_bytes_max:
        raise TooLarge(f"The request body is larger than {route.body_bytes_max:,} bytes.")
