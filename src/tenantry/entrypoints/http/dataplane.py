"""The routes of the data-plane port."""

from __future__ import annotations

from tenantry.entrypoints.http.bedrock import handlers as bedrock
from tenantry.entrypoints.http.openai import handlers as openai
from tenantry.entrypoints.http.routes import RouteTable

DATA_PLANE = RouteTable((*bedrock.ROUTES, *openai.ROUTES))
