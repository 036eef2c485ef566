"""Every request's way: route, caller, operation; and the refusal of whatever fails."""

from __future__ import annotations

import sys
import traceback
import uuid
from dataclasses import dataclass

from bedrock_emulator.engine.types import EmulatedError
from bedrock_emulator.wire import answers
from bedrock_emulator.wire.auth import Authenticator
from bedrock_emulator.wire.control import ControlPlane
from bedrock_emulator.wire.exchange import Exchange, Request
from bedrock_emulator.wire.guardrails import Guardrails
from bedrock_emulator.wire.inference import Inference
from bedrock_emulator.wire.own import OwnEndpoints
from bedrock_emulator.wire.routes import ControlRoute, GuardrailRoute, OwnRoute, route
from bedrock_emulator.wire.stats import Stats

IN_FLIGHT_MAX = 4_096


@dataclass(slots=True)
class Application:
    authenticator: Authenticator
    inference: Inference
    control: ControlPlane
    guardrails: Guardrails
    own: OwnEndpoints
    stats: Stats
    in_flight: int = 0

    async def handle(self, request: Request, exchange: Exchange) -> None:
        request_id = str(uuid.uuid4())
        self.in_flight += 1
        try:
            if self.in_flight > IN_FLIGHT_MAX:
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
        if isinstance(found, ControlRoute):
            self.control.serve(found, principal, request, exchange, request_id)
        elif isinstance(found, GuardrailRoute):
            await self.guardrails.serve(found, principal, request, exchange, request_id)
        else:
            await self.inference.serve(found, principal, request, exchange, request_id)
