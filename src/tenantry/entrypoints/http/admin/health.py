"""Liveness, readiness, metrics."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from tenantry.domain.errors import TenantryError
from tenantry.entrypoints.http.call import Call
from tenantry.entrypoints.http.health import healthz
from tenantry.entrypoints.http.metrics import (
    alerts_exposition,
    attempts_exposition,
    clock_exposition,
    disks_exposition,
    info_exposition,
    ledger_exposition,
    rounds_exposition,
)
from tenantry.entrypoints.http.response import Response, json_response
from tenantry.entrypoints.http.routes import Access, Route
from tenantry.entrypoints.http.services import Services

T = TypeVar("T")


async def readyz(call: Call) -> Response:
    """503 while the worker should get no requests, with the stable code of what is missing."""
    try:
        await call.services.ready()
    except TenantryError as error:
        return json_response({"status": "unready", "code": error.code}, 503)
    return json_response({"status": "ready"})


async def metrics(call: Call) -> Response:
    """The worker's own counts, in any case; what the database counts where it can be asked in time,
    and what the disk knows where that answers in time."""
    services = call.services
    text = info_exposition(services.env, services.version) + services.counters.exposition()
    text += clock_exposition(services.clock_ahead())
    is_ready, *told = await asyncio.gather(
        _is_ready(services),
        _told(services.alert_counts, alerts_exposition),
        _told(services.attempt_counts, attempts_exposition),
        _told(services.last_rounds, rounds_exposition),
        _told(services.disk_free, disks_exposition),
    )
    text += "".join(told)
    text += ledger_exposition(is_ready)
    return Response(200, text.encode(), {"content-type": "text/plain; version=0.0.4"})


async def _is_ready(services: Services) -> bool:
    try:
        await services.ready()
    except TenantryError:
        return False
    return True


async def _told(ask: Callable[[], Awaitable[T]], told: Callable[[T], str]) -> str:
    try:
        return told(await ask())
    except TenantryError:
        return ""


ROUTES = (
    Route("GET", "/healthz", "tenantry", healthz, Access.PUBLIC, "The process answers"),
    Route("GET", "/readyz", "tenantry", readyz, Access.PUBLIC, "The worker can serve"),
    Route("GET", "/metrics", "tenantry", metrics, Access.PUBLIC, "Prometheus text format"),
)
