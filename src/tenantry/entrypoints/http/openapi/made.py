"""The document of one port, from its table of routes and the tables of this package."""

from __future__ import annotations

from collections.abc import Iterable
from importlib.metadata import version
from typing import Any, Final

from tenantry.entrypoints.http.call import Call
from tenantry.entrypoints.http.described import Schema
from tenantry.entrypoints.http.docs import POLICY, to_page
from tenantry.entrypoints.http.fixed_answer import FixedAnswer
from tenantry.entrypoints.http.made_once import MadeOnce
from tenantry.entrypoints.http.openapi import (
    answers,
    bodies,
    families,
    headers,
    parameters,
    refusals,
)
from tenantry.entrypoints.http.openapi.parts import HTML, JSON, Answer, Body, Schemas, referred
from tenantry.entrypoints.http.response import Response, to_json
from tenantry.entrypoints.http.routes import Access, Route

_TAGS: Final = {
    "bedrock": "Bedrock runtime",
    "openai": "OpenAI",
    "anthropic": "Anthropic",
    "tenantry": "Tenantry",
}
_SCHEMES: Final[dict[str, Schema]] = {
    "bearer": {"type": "http", "scheme": "bearer"},
    "apiKey": {"type": "apiKey", "in": "header", "name": "x-api-key"},
    "sigv4": {
        "type": "apiKey",
        "in": "header",
        "name": "Authorization",
        "description": "AWS Signature Version 4, service `bedrock`.",
    },
}
_ABOUT: Final = (
    "Strings hold no NUL and no lone surrogate. Money is a decimal in a string. Answers may "
    "come to have further members."
)


def document(title: str, routes: Iterable[Route]) -> dict[str, Any]:
    """The description of one port."""
    routes = tuple(routes)
    schemas = _schemas(routes)
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        paths.setdefault(route.template, {})[route.method.lower()] = _operation(route, schemas)
    components: dict[str, Any] = {
        "securitySchemes": _SCHEMES,
        "parameters": parameters.components(routes),
        "responses": refusals.components(routes),
    }
    named = referred((paths, components), "headers")
    components["headers"] = {name: headers.component(name) for name in sorted(named)}
    components["schemas"] = schemas.used_by((paths, components))
    families_there = sorted({_TAGS[route.family] for route in routes})
    return {
        "openapi": "3.1.0",
        "info": {"title": title, "version": version("tenantry"), "description": _ABOUT},
        "tags": [{"name": name} for name in families_there],
        "paths": paths,
        "components": components,
    }


def routes_for(title: str, routes: tuple[Route, ...]) -> tuple[Route, Route]:
    """The routes that describe `routes` and themselves: for programs, and as a page to read. Who
    asks first waits until both are made."""

    async def openapi(call: Call) -> Response:
        for_programs, _ = await forms()
        return for_programs.to(call.request.headers)

    async def docs(call: Call) -> Response:
        _, page = await forms()
        return page.to(call.request.headers)

    def make() -> tuple[FixedAnswer, FixedAnswer]:
        told = document(title, (*routes, *themselves))
        of_page = {"content-type": f"{HTML}; charset=utf-8", "content-security-policy": POLICY}
        return (
            FixedAnswer(to_json(told), {"content-type": JSON}),
            FixedAnswer(to_page(told).encode(), of_page),
        )

    forms = MadeOnce(make)
    themselves = (
        Route("GET", "/openapi.json", "tenantry", openapi, Access.PUBLIC, "This description"),
        Route("GET", "/docs", "tenantry", docs, Access.PUBLIC, "This description, as a page"),
    )
    return themselves


def _schemas(routes: tuple[Route, ...]) -> Schemas:
    lines = [_line(route) for route in routes]
    taken = [bodies.BODIES[line].kind for line in lines if line in bodies.BODIES]
    given = [answer.kind for line in lines for answer in answers.ANSWERS[line]]
    named = families.NAMED + answers.NAMED
    return Schemas([*taken, *given, *named], {**refusals.SCHEMAS, **bodies.by_hand()})


def _line(route: Route) -> str:
    return f"{route.method} {route.template}"


def _operation(route: Route, schemas: Schemas) -> dict[str, Any]:
    line = _line(route)
    operation: dict[str, Any] = {
        "operationId": f"{route.handler.__module__.rpartition('.')[2]}_{route.handler.__name__}",
        "summary": route.summary,
        "tags": [_TAGS[route.family]],
        "parameters": parameters.parameters_of(route),
        "responses": _responses(route, schemas),
    }
    if line in bodies.BODIES:
        operation["requestBody"] = _request(bodies.BODIES[line], schemas)
    if line in families.REFERENCES:
        operation["externalDocs"] = {"url": families.REFERENCES[line]}
    if route.access is Access.OPERATOR:
        operation["security"] = [{"bearer": []}]
    elif route.access is not Access.PUBLIC:
        operation["security"] = [{name: []} for name in _SCHEMES]
    if route.scopes:
        operation["description"] = "Scopes: " + ", ".join(f"`{s}`" for s in route.scopes)
    return operation


def _request(body: Body, schemas: Schemas) -> Schema:
    schema = schemas.of(body.kind)
    if body.also is not None:
        schema = {"allOf": [schema, body.also]}
    content = {JSON: {"schema": schema}}
    if body.form is not None:
        content["multipart/form-data"] = {"schema": body.form}
    return {"required": True, "content": content}


def _responses(route: Route, schemas: Schemas) -> dict[str, Any]:
    found = refusals.refs_of(route)
    for answer in answers.ANSWERS[_line(route)]:
        found[str(answer.status)] = _response(route, answer, schemas)
    return dict(sorted(found.items()))


def _response(route: Route, answer: Answer, schemas: Schemas) -> dict[str, Any]:
    told: dict[str, Any] = {
        "description": answer.says,
        "headers": headers.refs((*headers.of_answer(route), *answer.headers)),
    }
    if answer.kind is not None:
        content = {media: {"schema": schemas.of(answer.kind)} for media in answer.media}
        content |= {media: {"schema": schema} for media, schema in answer.others.items()}
        told["content"] = content
    return told
