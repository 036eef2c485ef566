"""The routes of the data-plane port."""

from __future__ import annotations

from typing import Final

from tenantry.entrypoints.http import health
from tenantry.entrypoints.http.bedrock import handlers as bedrock
from tenantry.entrypoints.http.bedrock_agent import handlers as bedrock_agent
from tenantry.entrypoints.http.knowledge import documents, questions, reindexing
from tenantry.entrypoints.http.openai import handlers as openai
from tenantry.entrypoints.http.openapi import routes_for
from tenantry.entrypoints.http.routes import RouteTable
from tenantry.entrypoints.http.tenant import budgets, export, keys, users
from tenantry.entrypoints.http.tenant import handlers as tenant

_ROUTES: Final = (
    *health.ROUTES,
    *bedrock.ROUTES,
    *bedrock_agent.ROUTES,
    *openai.ROUTES,
    *documents.ROUTES,
    *reindexing.ROUTES,
    *questions.ROUTES,
    *tenant.ROUTES,
    *budgets.ROUTES,
    *keys.ROUTES,
    *export.ROUTES,
    *users.ROUTES,
)
DATA_PLANE: Final = RouteTable((*_ROUTES, *routes_for("Tenantry data plane", _ROUTES)))
