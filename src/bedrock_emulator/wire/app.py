"""Every request's way: route, caller, operation; and the refusal of whatever fails."""

from __future__ import annotations

import sys
import traceback
import uuid
from dataclasses import dataclass

import orjson

from bedrock_emulator.engine.types import EmulatedError
from bedrock_emulator.log_settings import LogSettingsStore, from_document
from bedrock_emulator.wire import answers
from bedrock_emulator.wire.auth import Authenticator, Principal
from bedrock_emulator.wire.exchange import Exchange, Request
from bedrock_emulator.wire.inference import Inference
from bedrock_emulator.wire.own import OwnEndpoints
from bedrock_emulator.wire.routes import LoggingRoute, OwnRoute, route
from bedrock_emulator.wire.stats import Stats

MAX_IN_FLIGHT = 4_096


@dataclass(slots=True)
class Application:
    authenticator: Authenticator
    inference: Inference
    log_settings: LogSettingsStore
    own: OwnEndpoints
    stats: Stats
    in_flight: int = 0

    async def handle(self, request: Request, exchange: Exchange) -> None:
        request_id = str(uuid.uuid4())
        self.in_flight += 1
        try:
            if self.in_flight > MAX_IN_FLIGHT:
                raise EmulatedError(
                    "ServiceUnavailableException", 503, "Too many connections, please wait."
                )
            await self._serve(request, exchange, request_id)
        except EmulatedError as error:
            self._refuse(exchange, request_id, error)
        except Exception:
            traceback.print_exc(file=sys.stderr)
            message = answers.DEFAULT_MESSAGES["InternalServerException"]
            failure = EmulatedError("InternalServerException", 500, message)
            self._refuse(exchange, request_id, failure)
        finally:
            self.in_flight -= 1

    def refuse(self, status: int, name: str, message: str, exchange: Exchange) -> None:
        """Answers a request that broke a limit of the connection."""
        self._refuse(exchange, str(uuid.uuid4()), EmulatedError(name, status, message))

    def _refuse(self, exchange: Exchange, request_id: str, error: EmulatedError) -> None:
        self.stats.by_status[f"{error.status} {error.name}"] += 1
        if exchange.started:
            # A status is out already: only a cut connection still tells that this went wrong.
            exchange.keep_alive = False
            return
        answers.refuse(exchange, request_id, error)

    async def _serve(self, request: Request, exchange: Exchange, request_id: str) -> None:
        found = route(request.method, request.raw_path)
        if isinstance(found, OwnRoute):
            await self.own.serve(found.name, request, exchange)
            return
        self.stats.count(found.operation, request.headers.get("amz-sdk-invocation-id"))
        principal = self.authenticator.authenticate(request)
        if isinstance(found, LoggingRoute):
            self._serve_logging(request, exchange, principal, request_id)
        else:
            await self.inference.serve(found, principal, request, exchange, request_id)

    def _serve_logging(
        self, request: Request, exchange: Exchange, principal: Principal, request_id: str
    ) -> None:
        account, region = principal.account.id, principal.region
        document: object = {}
        if request.method == "GET":
            settings = self.log_settings.get(account, region)
            document = {} if settings is None else {"loggingConfig": settings.to_document()}
        elif request.method == "DELETE":
            self.log_settings.put(account, region, None)
        else:
            try:
                body = orjson.loads(request.body)
            except orjson.JSONDecodeError as error:
                raise EmulatedError("SerializationException", 400, str(error)) from error
            self.log_settings.put(account, region, from_document(body))
        headers = {"content-type": answers.JSON, "x-amzn-RequestId": request_id}
        exchange.respond(200, headers, orjson.dumps(document))
