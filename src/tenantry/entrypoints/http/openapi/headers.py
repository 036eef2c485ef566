"""The headers that answers may have, as components."""

from __future__ import annotations

from typing import Final

from tenantry.entrypoints.http.bedrock_agent.answers import SESSION_HEADER
from tenantry.entrypoints.http.charge import CHARGE_HEADER, MAX_TOKENS_HEADER
from tenantry.entrypoints.http.described import Schema
from tenantry.entrypoints.http.errors import RETRY_AFTER_MAX_S, Family
from tenantry.entrypoints.http.once import REPLAYED_HEADER, RETRY_HEADER
from tenantry.entrypoints.http.routes import Access, Route
from tenantry.entrypoints.http.tenant.export import UPDATED_AT_HEADER

_TEXT: Final[Schema] = {"type": "string"}
_ID: Final = "x-tenantry-request-id"
_TENANT: Final = "x-tenantry-tenant"
UPSTREAM_ID: Final = "x-tenantry-upstream-request-id"
CACHE: Final = "x-tenantry-cache"
HEADERS: Final[dict[str, tuple[str, Schema]]] = {
    _ID: ("The request's id", {"type": "string", "format": "uuid"}),
    "x-amzn-requestid": ("The same, where Bedrock's SDKs look for it", _TEXT),
    "x-request-id": ("The same, where OpenAI's SDKs look for it", _TEXT),
    UPSTREAM_ID: ("Bedrock's own id of the call, where its answer is passed on", _TEXT),
    SESSION_HEADER: ("The session", _TEXT),
    CACHE: ("That the plan's cache gave the answer", {"const": "hit"}),
    _TENANT: ("Whom it was served and billed as", _TEXT),
    CHARGE_HEADER: ("The exact list charge, where there was one: `0.0315 USD`", _TEXT),
    MAX_TOKENS_HEADER: ("The output limit, where it was lowered", {"type": "integer"}),
    REPLAYED_HEADER: ("That it is an earlier request's answer", {"const": "true"}),
    "RateLimit-Policy": ("The plan's limits", _TEXT),
    "RateLimit": ("What is left of the tightest of them", _TEXT),
    "location": ("Where it is", _TEXT),
    "vary": ("What of the request it goes by: `accept`, or `accept-encoding`", _TEXT),
    "content-disposition": ("A download, with its name", _TEXT),
    "cache-control": ("`no-store`, or `no-cache`: to be asked for again by its `etag`", _TEXT),
    "etag": ("Of its bytes, for `if-none-match`", _TEXT),
    "content-encoding": ("`gzip`, for who takes it", {"const": "gzip"}),
    "content-security-policy": ("That a browser loads and runs nothing", _TEXT),
    UPDATED_AT_HEADER: ("When its row was updated", {"type": "string", "format": "date-time"}),
    "retry-after": (
        "Seconds to wait, where that helps",
        {"type": "integer", "minimum": 1, "maximum": RETRY_AFTER_MAX_S},
    ),
    "x-amz-retry-after": ("The same in milliseconds", {"type": "integer", "minimum": 0}),
    RETRY_HEADER: ("`false`, where sending it again does not help", {"const": "false"}),
    "x-amzn-ErrorType": ("The exception", _TEXT),
    "WWW-Authenticate": ("How to be let in", _TEXT),
}
_IDS: Final[dict[Family, tuple[str, ...]]] = {
    "bedrock": (_ID, "x-amzn-requestid"),
    "openai": (_ID, "x-request-id"),
}


def component(name: str) -> Schema:
    words, schema = HEADERS[name]
    return {"description": words, "required": False, "schema": schema}


def of_answer(route: Route) -> tuple[str, ...]:
    """Those that every answer of a route may have."""
    named = _ids(route.family)
    if is_tenants(route):
        named += _of_tenants(route.family)
    if route.method == "POST" and route.kept and route.access is not Access.PUBLIC:
        named += (REPLAYED_HEADER,)
    return named


def of_refusal(family: Family, status: str, *, tenants: bool) -> tuple[str, ...]:
    """`tenants`: of a port that tenants call."""
    named = (*_ids(family), RETRY_HEADER, *(_of_tenants(family) if tenants else ()))
    if status in ("429", "503", "4XX", "5XX"):
        named += ("retry-after",)
        if family == "bedrock":
            named += ("x-amz-retry-after",)
    if family == "bedrock":
        named += ("x-amzn-ErrorType",)
    if status == "401":
        named += ("WWW-Authenticate",)
    return named


def is_tenants(route: Route) -> bool:
    return route.access in (Access.TENANT, Access.TENANT_FRESH)


def refs(names: tuple[str, ...]) -> dict[str, Schema]:
    return {name: {"$ref": f"#/components/headers/{name}"} for name in names}


def _of_tenants(family: Family) -> tuple[str, ...]:
    return (_TENANT,) if family == "bedrock" else (_TENANT, "RateLimit-Policy", "RateLimit")


def _ids(family: Family) -> tuple[str, ...]:
    return _IDS.get(family, (_ID,))
