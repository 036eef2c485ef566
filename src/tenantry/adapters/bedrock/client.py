"""Attempts at bedrock-runtime: signed, sent once, read under limits."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import Final

from tenantry.adapters.bedrock.answers import is_event_stream, to_failure, to_reply
from tenantry.adapters.bedrock.connection import ExchangeFailed
from tenantry.adapters.bedrock.connections import Connections, EndpointRefused
from tenantry.adapters.bedrock.credentials import CredentialsProvider, UnknownCredentials
from tenantry.adapters.bedrock.exchange import Exchange, open_exchange
from tenantry.adapters.bedrock.placements import endpoint_url
from tenantry.adapters.bedrock.signing_time import SigningTime
from tenantry.adapters.bedrock.sigv4 import Signer
from tenantry.adapters.bedrock.stream import EventStreamReply
from tenantry.adapters.bedrock.troubles import (
    outcome_of,
    outcome_of_stream,
    trouble_of,
    trouble_of_clock,
    trouble_of_stream,
)
from tenantry.domain.denial import Denial, denial_of
from tenantry.domain.model_ids import upstream_path
from tenantry.ports.clock import Clock
from tenantry.ports.model import (
    ANSWERED,
    Attempt,
    Failure,
    FailureKind,
    Reply,
    StreamEnd,
    StreamReply,
)

REPLY_BYTES_MAX: Final = 32 * 1024 * 1024  # the service's own bound on bodies is 25,000,000
STREAM_BYTES_MAX: Final = 256 * 1024 * 1024
ERROR_BYTES_MAX: Final = 64 * 1024
_log = logging.getLogger(__name__)


def uncounted(_: str) -> None:
    """Of a process whose attempts nobody counts."""


def untold() -> None:
    """Of a process whose clock nobody checks at once."""


class BedrockModel:
    """`ports.model.ModelPort` on the real wire; the emulator speaks the same. `count` is told
    once of each attempt what came of it, in one of `OUTCOMES`; `skewed` that an endpoint's clock is
    not ours. An attempt that is refused for the time of its signature is signed by the endpoint's
    clock and sent once more: nothing of it has run."""

    def __init__(
        self,
        credentials: CredentialsProvider,
        clock: Clock,
        connections: Connections,
        count: Callable[[str], None] = uncounted,
        skewed: Callable[[], None] = untold,
    ) -> None:
        self._credentials = credentials
        self._connections = connections
        self._count = count
        self._skewed = skewed
        self._time = SigningTime(clock)
        self._signer = Signer()

    async def invoke(self, attempt: Attempt) -> Reply | Failure:
        """See ModelPort."""
        reply = await self.ask(attempt)
        if isinstance(reply, Failure):
            return self._failed(attempt, reply)
        self._count(ANSWERED)
        return reply

    async def ask(self, attempt: Attempt) -> Reply | Failure:
        """A plain attempt that is neither counted nor told of."""
        try:
            exchange = await self._open(attempt)
            if isinstance(exchange, Failure):
                return exchange
            try:
                body = await exchange.read_all(REPLY_BYTES_MAX)
            finally:
                exchange.close()
        except ExchangeFailed as error:
            return _failed_exchange(error)
        return to_reply(exchange.status, exchange.headers, body)

    async def trouble_reaching(self, url: str, connect_timeout_ms: int) -> str | None:
        """Why there is no connection to an endpoint; None where there is. Nothing is sent."""
        try:
            pool = self._connections.endpoint(url).pool
            pool.give_back(await pool.acquire(connect_timeout_ms / 1_000))
        except EndpointRefused as refused:
            return str(refused)
        except ExchangeFailed as failed:
            return trouble_of(_failed_exchange(failed))
        return None

    async def stream(self, attempt: Attempt) -> StreamReply | Failure:
        """See ModelPort."""
        try:
            exchange = await self._open(attempt)
        except ExchangeFailed as error:
            return self._failed(attempt, _failed_exchange(error))
        if isinstance(exchange, Failure):
            return self._failed(attempt, exchange)
        ours = False
        try:
            if not is_event_stream(exchange.headers):
                message = "the answer is not an event stream"
                failure = Failure(FailureKind.RUBBISH, True, message, exchange.status)
                return self._failed(attempt, failure)
            ours = True
            return EventStreamReply(exchange, STREAM_BYTES_MAX, partial(self._ended, attempt))
        finally:
            if not ours:
                exchange.close()

    async def close(self) -> None:
        """End all connections."""
        self._connections.close()

    async def _open(self, attempt: Attempt) -> Exchange | Failure:
        """An answer of 2xx whose headers are there, or what another one tells. Raises
        ExchangeFailed."""
        answer, host, signed_at = await self._send(attempt)
        if isinstance(answer, Exchange) or not _is_of_clocks(answer):
            return answer
        ahead = self._time.learn(host, signed_at, answer.headers)
        if ahead is None:
            return answer
        self._warn(attempt, trouble_of_clock(ahead))
        self._skewed()
        answer, _, _ = await self._send(attempt)
        return answer

    async def _send(self, attempt: Attempt) -> tuple[Exchange | Failure, str, datetime]:
        """As `_open`; its host, and the time that was signed."""
        upstream = attempt.upstream
        try:
            credentials = await self._credentials.credentials(upstream.credentials_ref)
            endpoint = self._connections.endpoint(endpoint_url(upstream, attempt.operation))
            path = upstream_path(attempt.model_id, attempt.operation)
            signed_at = self._time.now(endpoint.host)
            headers = self._signer.sign(
                method=attempt.operation.method,
                host=endpoint.host,
                raw_path=path,
                headers=attempt.headers,
                body=attempt.body,
                region=upstream.region,
                credentials=credentials,
                timestamp=f"{signed_at:%Y%m%dT%H%M%SZ}",
            )
        except (EndpointRefused, UnknownCredentials) as error:
            _log.warning("a placement cannot be called: %s", error)
            raise ExchangeFailed(FailureKind.MISPLACED, False, str(error)) from error
        except ValueError as error:
            raise ExchangeFailed(FailureKind.UNSENDABLE, False, str(error)) from error
        exchange = await open_exchange(endpoint, path, headers, attempt)
        return await _answer(exchange), endpoint.host, signed_at

    def _failed(self, attempt: Attempt, failure: Failure) -> Failure:
        self._count(outcome_of(failure))
        self._warn(attempt, trouble_of(failure, attempt.model_id))
        return failure

    def _ended(self, attempt: Attempt, end: StreamEnd) -> None:
        self._count(outcome_of_stream(end))
        self._warn(attempt, trouble_of_stream(end))

    def _warn(self, attempt: Attempt, trouble: str | None) -> None:
        """Where the operator is to look. A process that serves folds lines that come again."""
        if trouble is not None:
            upstream = attempt.upstream
            url = endpoint_url(upstream, attempt.operation)
            _log.warning("%s, account %s, %s", url, upstream.account, trouble)


def _failed_exchange(error: ExchangeFailed) -> Failure:
    return Failure(error.kind, error.maybe_billed, error.message)


def _is_of_clocks(failure: Failure) -> bool:
    return denial_of(failure.status, failure.error_type, failure.message) is Denial.CLOCK


async def _answer(exchange: Exchange) -> Exchange | Failure:
    """The failure that an answer other than 2xx tells; its status counts even without a body."""
    if 200 <= exchange.status < 300:
        return exchange
    try:
        body = await exchange.read_all(ERROR_BYTES_MAX)
    except ExchangeFailed:
        body = b""
    finally:
        exchange.close()
    return to_failure(exchange.status, exchange.headers, body)
