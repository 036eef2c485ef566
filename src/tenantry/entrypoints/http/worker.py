"""One worker: both ports' applications on the listening sockets it was given."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import gc
import logging
import ssl
import sys
from collections.abc import Callable

from tenantry.entrypoints.http.adminplane import ADMIN_PLANE
from tenantry.entrypoints.http.app import App
from tenantry.entrypoints.http.dataplane import DATA_PLANE
from tenantry.entrypoints.http.open_files import ADMIN
from tenantry.entrypoints.http.services import Services
from tenantry.entrypoints.http.wire.limits import WireLimits
from tenantry.entrypoints.http.wire.listeners import Listeners
from tenantry.entrypoints.http.wire.server import Server

_DEFAULT_LIMITS = WireLimits()
# A request makes few cycles: Python's own (700, 10, 10) spends 6 % of a worker's CPU on looking
# for them, these 1 %, with the same peak memory (`make bench-gateway`).
_GC_THRESHOLDS = (20_000, 20, 20)
# How long a thread that computes may keep the interpreter from the loop, and the loop from it. At
# the default of 5 ms the 99th percentile of searches is an eighth longer (`bench-retrieval`, HTTP).
_SWITCH_S = 0.000_1
_log = logging.getLogger(__name__)


async def serve_worker(
    services: Services,
    listeners: Listeners,
    tls: ssl.SSLContext,
    stop: asyncio.Event,
    *,
    started: asyncio.Event | None = None,
    drain_s: float = 30.0,
    roll_drain_s: Callable[[], float | None] = lambda: None,
    limits: WireLimits = _DEFAULT_LIMITS,
    admin_connections: int = ADMIN,
) -> None:
    """Serves until `stop`, then lets requests and owned tasks end, each at most `drain_s`.

    Where `roll_drain_s` tells of a time, a successor serves already: so long every connection may
    end by itself first. Closes the services.
    """
    admin_limits = dataclasses.replace(limits, connections=admin_connections)
    async with contextlib.AsyncExitStack() as stack:
        stack.push_async_callback(services.close)
        tenants = App(services, DATA_PLANE, limits.requests)
        operators = App(services, ADMIN_PLANE, limits.requests)
        data = Server(tenants, limits, who=tenants.who)
        admin = Server(operators, admin_limits, who=operators.who)
        await data.listen(listeners.http)
        await data.listen(listeners.https, tls)
        await admin.listen(listeners.admin)
        gc.collect()
        gc.freeze()  # made at start, it lives for ever: the collector need not look at it again
        gc.set_threshold(*_GC_THRESHOLDS)
        sys.setswitchinterval(_SWITCH_S)
        if started is not None:
            started.set()
        try:
            await stop.wait()
        finally:
            admin.stop_listening()  # whoever starts after us, while we drain, needs the port
            roll_s = roll_drain_s()
            if roll_s is not None:
                await data.finish(roll_s)
            cut = await data.drain(drain_s)
            if cut:
                _log.warning("%d requests were cut off after %.0f s", cut, drain_s)
            await services.drain(drain_s if roll_s is None else roll_s)
            await admin.drain(1.0)
