"""The routes of the admin port."""

from __future__ import annotations

from tenantry.entrypoints.http.admin import health
from tenantry.entrypoints.http.routes import RouteTable

ADMIN_PLANE = RouteTable((*health.ROUTES,))
