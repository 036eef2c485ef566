"""The emulator's own endpoints under `/_emulator/`, for the loopback only."""

from __future__ import annotations

import ipaddress
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import orjson

from bedrock_emulator.accounts import Directory, new_session
from bedrock_emulator.bill import LISTED_MAX, Bill
from bedrock_emulator.engine.types import EmulatedError
from bedrock_emulator.faults import RuleBook
from bedrock_emulator.invocation_log import InvocationLog
from bedrock_emulator.wire.answers import JSON
from bedrock_emulator.wire.exchange import Exchange, Request
from bedrock_emulator.wire.stats import Stats

DIGITS_MAX = 15  # of an offset or limit
SESSION_MAX_S = 43_200  # 12 hours, the longest that STS gives


@dataclass(frozen=True, slots=True)
class OwnEndpoints:
    bill: Bill
    log: InvocationLog
    rules: RuleBook
    stats: Stats
    directory: Directory
    now: Callable[[], datetime]
    start_batches: Callable[[], int]
    host: str  # where the emulator was told to listen

    async def serve(self, name: str, request: Request, exchange: Exchange) -> None:
        """Answers with JSON; raises EmulatedError for anything refused."""
        # A web page can make a browser call the loopback; it cannot do so without an Origin.
        if not request.from_loopback or "origin" in request.headers:
            raise EmulatedError("AccessDeniedException", 403, "Only for programs on this machine.")
        # Nor with a name of its own that it lets stand for the loopback: the host tells.
        if not names_this_machine(request.headers.get("host", ""), self.host):
            raise EmulatedError("AccessDeniedException", 403, "Only by a name of this machine.")
        endpoints: dict[tuple[str, str], Callable[[Request], Awaitable[Any]]] = {
            ("GET", "health"): self._health,
            ("GET", "bill"): self._bill,
            ("GET", "stats"): self._stats,
            ("GET", "rules"): self._list_rules,
            ("POST", "rules"): self._add_rules,
            ("DELETE", "rules"): self._clear_rules,
            ("POST", "flush-logs"): self._flush,
            ("POST", "start-batches"): self._start_batches,
            ("POST", "sessions"): self._create_session,
        }
        endpoint = endpoints.get((request.method, name))
        if endpoint is None:
            raise EmulatedError(
                "UnknownOperationException", 404, "The requested operation is not known."
            )
        try:
            document = await endpoint(request)
        except ValueError as error:
            raise EmulatedError("ValidationException", 400, str(error)) from error
        except OSError as error:  # a log folder that has gone
            raise EmulatedError("InternalServerException", 500, str(error)) from error
        exchange.respond(200, {"content-type": JSON}, orjson.dumps(document))

    async def _health(self, _: Request) -> Any:
        return {"status": "ready"}

    async def _bill(self, request: Request) -> Any:
        query = parse_qs(request.raw_query)
        account = query.get("account", [None])[-1]
        offset = _whole(query, "offset", 0)
        limit = _whole(query, "limit", LISTED_MAX)
        return self.bill.read(account, offset, limit)

    async def _stats(self, _: Request) -> Any:
        return {**self.stats.to_document(), "log_records_pending": self.log.pending}

    async def _list_rules(self, _: Request) -> Any:
        return {"rules": self.rules.list()}

    async def _add_rules(self, request: Request) -> Any:
        return {"ids": self.rules.add(orjson.loads(request.body))}

    async def _clear_rules(self, _: Request) -> Any:
        self.rules.clear()
        return {"rules": []}

    async def _flush(self, _: Request) -> Any:
        return {"delivered": await self.log.flush()}

    async def _start_batches(self, _: Request) -> Any:
        return {"under_way": self.start_batches()}

    async def _create_session(self, request: Request) -> Any:
        """A stand-in for STS: temporary credentials of an account, as an assumed role has them."""
        members = orjson.loads(request.body)
        if not isinstance(members, dict):
            raise ValueError("the body must be an object")
        account = self.directory.accounts.get(str(members.get("account")))
        if account is None:
            raise ValueError("account must be one of the emulator's accounts")
        duration_s = members.get("duration_s", 3_600)
        if type(duration_s) is not int or not -SESSION_MAX_S <= duration_s <= SESSION_MAX_S:
            raise ValueError(f"duration_s must be an integer of at most {SESSION_MAX_S}")
        role, session = str(members.get("role", "emulated")), str(members.get("session", "session"))
        expires_at = self.now() + timedelta(seconds=duration_s)
        credential = new_session(account.id, role, session, expires_at)
        self.directory.add(account, credential)
        return {
            "account": account.id,
            "arn": credential.arn,
            "access_key_id": credential.access_key_id,
            "secret_access_key": credential.secret_access_key,
            "session_token": credential.session_token,
            "expires_at": expires_at.isoformat(timespec="seconds"),
        }


def _whole(query: dict[str, list[str]], name: str, otherwise: int) -> int:
    """A whole number of a query, not negative. Raises ValueError, whose words name it."""
    given = query.get(name, [str(otherwise)])[-1]
    if not (given.isascii() and given.isdecimal() and len(given) <= DIGITS_MAX):
        raise ValueError(f"{name} must be a whole number of at most {DIGITS_MAX} digits.")
    return int(given)


def names_this_machine(host: str, listening: str) -> bool:
    """Whether the header `host` names the loopback or what is listened on.

    Who listens beyond the loopback has names that the emulator does not know: any is taken.
    """
    if not host or listening == "" or _is_loopback(listening) is False:
        return True
    try:
        name = (urlsplit(f"//{host}").hostname or "").removesuffix(".")
    except ValueError:  # brackets that hold no address
        return False
    if name in ("localhost", listening.lower()) or name.endswith(".localhost"):
        return True
    return _is_loopback(name) is True


def _is_loopback(name: str) -> bool | None:
    """None for what is no address."""
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return None
