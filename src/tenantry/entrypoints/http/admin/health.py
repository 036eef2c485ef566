"""Liveness, readiness, metrics."""

from __future__ import annotations

from tenantry.domain.errors import TenantryError
from tenantry.entrypoints.http.call import Call
from tenantry.entrypoints.http.health import healthz
from tenantry.entrypoints.http.metrics import alerts_exposition, ledger_exposition
from tenantry.entrypoints.http.response import Response, json_response
from tenantry.entrypoints.http.routes import Access, Route


async def readyz(call: Call) -> Response:
    """503 while the worker should get no requests, with the stable code of what is missing."""
    try:
        await call.services.ready()
    except TenantryError as error:
        return json_response({"status": "unready", "code": error.code}, 503)
    return json_response({"status": "ready"})


async def metrics(call: Call) -> Response:
    """Counts of requests, and of alerts where the worker is ready to ask for them."""
    text = call.services.counters.exposition()
    try:
        await call.services.ready()
        text += alerts_exposition(await call.services.alerts.counts()) + ledger_exposition(True)
    except TenantryError:
        text += ledger_exposition(False)
    return Response(200, text.encode(), {"content-type": "text/plain; version=0.0.4"})


ROUTES = (
    Route("GET", "/healthz", "tenantry", healthz, Access.PUBLIC, "The process answers"),
    Route("GET", "/readyz", "tenantry", readyz, Access.PUBLIC, "The worker can serve"),
    Route("GET", "/metrics", "tenantry", metrics, Access.PUBLIC, "Prometheus text format"),
)
