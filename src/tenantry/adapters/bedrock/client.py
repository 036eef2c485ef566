"""Attempts at bedrock-runtime: signed, sent once, read under limits."""

from __future__ import annotations

import logging
from typing import Final

from tenantry.adapters.bedrock.answers import is_event_stream, to_failure, to_reply
from tenantry.adapters.bedrock.connection import ExchangeFailed
from tenantry.adapters.bedrock.connections import Connections, EndpointRefused
from tenantry.adapters.bedrock.credentials import CredentialsProvider, UnknownCredentials
from tenantry.adapters.bedrock.exchange import Exchange, open_exchange
from tenantry.adapters.bedrock.placements import endpoint_url
from tenantry.adapters.bedrock.sigv4 import Signer
from tenantry.adapters.bedrock.stream import EventStreamReply
from tenantry.domain.model_ids import upstream_path
from tenantry.ports.clock import Clock
from tenantry.ports.model import Attempt, Failure, FailureKind, Reply, StreamReply

MAX_REPLY_BYTES: Final = 32 * 1024 * 1024  # the service's own bound on bodies is 25,000,000
MAX_STREAM_BYTES: Final = 256 * 1024 * 1024
MAX_ERROR_BYTES: Final = 64 * 1024
_log = logging.getLogger(__name__)


class BedrockModel:
    """`ports.model.ModelPort` on the real wire; the emulator speaks the same."""

    def __init__(
        self, credentials: CredentialsProvider, clock: Clock, connections: Connections
    ) -> None:
        self._credentials = credentials
        self._clock = clock
        self._connections = connections
        self._signer = Signer()

    async def invoke(self, attempt: Attempt) -> Reply | Failure:
        """See ModelPort."""
        try:
            exchange = await self._open(attempt)
            try:
                if not 200 <= exchange.status < 300:
                    return await _failure(exchange)
                body = await exchange.read_all(MAX_REPLY_BYTES)
            finally:
                exchange.close()
        except ExchangeFailed as error:
            return Failure(error.kind, error.maybe_billed, error.message)
        return to_reply(exchange.status, exchange.headers, body)

    async def stream(self, attempt: Attempt) -> StreamReply | Failure:
        """See ModelPort."""
        try:
            exchange = await self._open(attempt)
        except ExchangeFailed as error:
            return Failure(error.kind, error.maybe_billed, error.message)
        ours = False
        try:
            if not 200 <= exchange.status < 300:
                return await _failure(exchange)
            if not is_event_stream(exchange.headers):
                message = "the answer is not an event stream"
                return Failure(FailureKind.RUBBISH, True, message, exchange.status)
            ours = True
            return EventStreamReply(exchange, MAX_STREAM_BYTES)
        finally:
            if not ours:
                exchange.close()

    async def close(self) -> None:
        """End all connections."""
        self._connections.close()

    async def _open(self, attempt: Attempt) -> Exchange:
        upstream = attempt.upstream
        try:
            credentials = await self._credentials.credentials(upstream.credentials_ref)
            endpoint = self._connections.endpoint(endpoint_url(upstream, attempt.operation))
            path = upstream_path(attempt.model_id, attempt.operation)
            headers = self._signer.sign(
                method=attempt.operation.method,
                host=endpoint.host,
                raw_path=path,
                headers=attempt.headers,
                body=attempt.body,
                region=upstream.region,
                credentials=credentials,
                timestamp=f"{self._clock.now():%Y%m%dT%H%M%SZ}",
            )
        except (EndpointRefused, UnknownCredentials) as error:
            _log.warning("a placement cannot be called: %s", error)
            raise ExchangeFailed(FailureKind.MISPLACED, False, str(error)) from error
        except ValueError as error:
            raise ExchangeFailed(FailureKind.UNSENDABLE, False, str(error)) from error
        return await open_exchange(endpoint, path, headers, attempt)


async def _failure(exchange: Exchange) -> Failure:
    """The failure that an answer other than 2xx tells; its status counts even without a body."""
    try:
        body = await exchange.read_all(MAX_ERROR_BYTES)
    except ExchangeFailed:
        body = b""
    return to_failure(exchange.status, exchange.headers, body)
