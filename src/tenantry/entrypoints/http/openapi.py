"""`/openapi.json`, made from the table of routes (OpenAPI 3.1)."""

from __future__ import annotations

from collections.abc import Iterable
from importlib.metadata import version
from typing import Any, Final

from tenantry.application.retrieval import TOP_K_MAX
from tenantry.entrypoints.http.attribution import KNOWLEDGE_HEADER
from tenantry.entrypoints.http.call import Call
from tenantry.entrypoints.http.paging import PAGE_MAX
from tenantry.entrypoints.http.response import Response, json_response
from tenantry.entrypoints.http.routes import Access, Route

_TAGS: Final = {
    "bedrock": "Bedrock runtime",
    "openai": "OpenAI",
    "anthropic": "Anthropic",
    "tenantry": "Tenantry",
}
_SCHEMES: Final = {
    "bearer": {"type": "http", "scheme": "bearer"},
    "apiKey": {"type": "apiKey", "in": "header", "name": "x-api-key"},
    "sigv4": {
        "type": "apiKey",
        "in": "header",
        "name": "Authorization",
        "description": "AWS Signature Version 4, service `bedrock`.",
    },
}

_KNOWLEDGE: Final = {
    "name": KNOWLEDGE_HEADER,
    "in": "header",
    "required": False,
    "description": "So many passages of the documents go into the prompt; scope `search` too.",
    "schema": {"type": "integer", "minimum": 1, "maximum": TOP_K_MAX},
}

_TEXT: Final = {"type": "string"}
_QUERY: Final = {
    "limit": {"type": "integer", "minimum": 1, "maximum": PAGE_MAX},
}


def document(title: str, routes: Iterable[Route]) -> dict[str, Any]:
    """The description of one port."""
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        paths.setdefault(route.template, {})[route.method.lower()] = _operation(route)
    return {
        "openapi": "3.1.0",
        "info": {"title": title, "version": version("tenantry")},
        "paths": paths,
        "components": {"securitySchemes": _SCHEMES},
    }


def route_for(title: str, routes: tuple[Route, ...]) -> Route:
    """The route that describes `routes` and itself."""

    async def openapi(call: Call) -> Response:
        return json_response(document(title, (*routes, itself)))

    itself = Route("GET", "/openapi.json", "tenantry", openapi, Access.PUBLIC, "This description")
    return itself


def _operation(route: Route) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": f"{route.handler.__module__.rpartition('.')[2]}_{route.handler.__name__}",
        "summary": route.summary,
        "tags": [_TAGS[route.family]],
        "parameters": [
            {"name": part[1:-1], "in": "path", "required": True, "schema": {"type": "string"}}
            for part in route.segments
            if part.startswith("{")
        ]
        + ([_KNOWLEDGE] if route.takes_knowledge else [])
        + [
            {"name": name, "in": "query", "required": False, "schema": _QUERY.get(name, _TEXT)}
            for name in route.query
        ],
        "responses": {
            "2XX": {"description": "Done"},
            "4XX": {"description": "Refused, in the shape of the API called"},
        },
    }
    if route.method in ("POST", "PUT"):
        operation["requestBody"] = {"content": {"application/json": {"schema": {"type": "object"}}}}
    if route.access is Access.OPERATOR:
        operation["security"] = [{"bearer": []}]
    elif route.access is not Access.PUBLIC:
        operation["security"] = [{name: []} for name in _SCHEMES]
    if route.scopes:
        operation["description"] = "Scopes: " + ", ".join(f"`{s}`" for s in route.scopes)
    return operation
