"""What a load balancer asks of the data plane: the status, and no word of why."""

from __future__ import annotations

from tenantry.domain.errors import TenantryError
from tenantry.entrypoints.http.call import Call
from tenantry.entrypoints.http.response import Response, json_response
from tenantry.entrypoints.http.routes import Access, Route


async def healthz(call: Call) -> Response:
    """The process answers; nothing else is asked."""
    return json_response({"status": "ok"})


async def readyz(call: Call) -> Response:
    """503 while the worker should get no requests."""
    try:
        await call.services.ready()
    except TenantryError:
        return json_response({"status": "unready"}, 503)
    return json_response({"status": "ready"})


ROUTES = (
    Route("GET", "/healthz", "tenantry", healthz, Access.PUBLIC, "The process answers"),
    Route("GET", "/readyz", "tenantry", readyz, Access.PUBLIC, "The worker can serve"),
)
