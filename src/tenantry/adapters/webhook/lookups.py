"""Addresses of names that tenants choose, whose name servers may never answer.

The system's resolver cannot be broken off: a lookup that is given up keeps its thread until that
ends by itself. So lookups have threads of their own, and each tenant few of them. A process that
ends waits for none.
"""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Final

from tenantry.domain.backoff import REST
from tenantry.domain.ids import TenantId
from tenantry.ports.clock import Clock
from tenantry.ports.delivery import DeliveryFailed

LOOKUP_MAX_S: Final = 10.0
LOOKUPS_MAX: Final = 64  # none waits for a thread, so that its time is its own
TENANT_LOOKUPS_MAX: Final = 2  # with those that were given up
# Blocks, and may raise what `socket.getaddrinfo` raises.
Resolve = Callable[[str, int], Sequence[str]]
_Name = tuple[TenantId, str, int]


class Lookups:
    """Those of one worker."""

    def __init__(self, clock: Clock, resolve: Resolve) -> None:
        self._clock = clock
        self._resolve = resolve
        self._under_way: dict[_Name, asyncio.Future[Sequence[str]]] = {}
        self._silent: dict[_Name, float] = {}  # until when they are not asked for again

    async def addresses(self, tenant_id: TenantId, host: str, port: int) -> Sequence[str]:
        """At least one. Raises `DeliveryFailed` within `LOOKUP_MAX_S`, at once for a name that was
        not answered lately.
        """
        name = (tenant_id, host, port)
        now_s = self._clock.monotonic()
        self._silent = {each: end_s for each, end_s in self._silent.items() if end_s > now_s}
        if name not in self._silent:
            lookup = self._under_way.get(name) or self._begun(name)
            await asyncio.wait({lookup}, timeout=LOOKUP_MAX_S)
            if lookup.done():
                return _found(lookup)
            self._silent[name] = self._clock.monotonic() + REST.total_seconds()
        raise DeliveryFailed(f"the host's name servers did not answer within {LOOKUP_MAX_S:.0f} s")

    def _begun(self, name: _Name) -> asyncio.Future[Sequence[str]]:
        tenant_id, host, port = name
        own = sum(each[0] == tenant_id for each in self._under_way)
        if own >= TENANT_LOOKUPS_MAX or len(self._under_way) >= LOOKUPS_MAX:
            whose = "of the tenant's " if own >= TENANT_LOOKUPS_MAX else ""
            raise DeliveryFailed(
                f"the host's name was not looked up: earlier lookups {whose}have not ended"
            )
        answer = Future[Sequence[str]]()
        answer.set_running_or_notify_cancel()  # from now on nobody cancels it

        def look_up() -> None:
            try:
                answer.set_result(self._resolve(host, port))
            except BaseException as failure:
                answer.set_exception(failure)

        threading.Thread(target=look_up, name="lookup", daemon=True).start()
        lookup = self._under_way[name] = asyncio.wrap_future(answer)

        def ended(_: object) -> None:
            del self._under_way[name]
            if not lookup.cancelled():
                lookup.exception()  # perhaps nobody waits for it any more

        lookup.add_done_callback(ended)
        return lookup


def _found(lookup: asyncio.Future[Sequence[str]]) -> Sequence[str]:
    try:
        found = lookup.result()
    except socket.gaierror as error:
        if error.errno == socket.EAI_AGAIN:
            raise DeliveryFailed("the host's name servers gave no answer") from None
        found = ()
    except (OSError, UnicodeError):
        found = ()
    if not found:
        raise DeliveryFailed("the host's name is not known")
    return found


def system_addresses(host: str, port: int) -> Sequence[str]:
    """The addresses of a name, as the system resolves it. Blocks; raises `OSError`."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))
