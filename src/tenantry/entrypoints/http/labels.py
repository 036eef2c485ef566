"""The labels under which the requests of both ports are counted."""

from __future__ import annotations

from typing import Final

from tenantry.entrypoints.http.adminplane import ADMIN_PLANE
from tenantry.entrypoints.http.dataplane import DATA_PLANE

LABELS: Final = tuple(
    f"{route.method} {route.template}" for route in (*DATA_PLANE.routes, *ADMIN_PLANE.routes)
)
