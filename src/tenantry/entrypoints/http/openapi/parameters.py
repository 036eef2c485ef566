"""What a request says beside its body: path, query and headers."""

from __future__ import annotations

from typing import Final, get_args

from tenantry.application.documents import PAGE_DEFAULT
from tenantry.application.retrieval import TOP_K_MAX
from tenantry.domain.budget import RUN_WORDS
from tenantry.domain.end_user import USER_CHARS_MAX
from tenantry.domain.margin import MarginBy
from tenantry.entrypoints.http.admin.alerts import STATES
from tenantry.entrypoints.http.attribution import KNOWLEDGE_HEADER, TAGS_WORDS
from tenantry.entrypoints.http.bedrock.requests import INVOKE_HEADERS
from tenantry.entrypoints.http.described import Schema
from tenantry.entrypoints.http.paging import PAGE_MAX
from tenantry.entrypoints.http.routes import Access, Route
from tenantry.entrypoints.http.usage_pages import USAGE_ROWS
from tenantry.ports.billing import Outcome
from tenantry.ports.ledger import GroupBy

_TEXT: Final[Schema] = {"type": "string"}
_INSTANT: Final[Schema] = {"type": "string", "format": "date-time"}


def _header(name: str, words: str, schema: Schema) -> Schema:
    told = {"name": name, "in": "header", "required": False}
    return {**told, "description": words, "schema": schema}


_KNOWLEDGE: Final = _header(
    KNOWLEDGE_HEADER,
    "So many passages of the documents go into the prompt; scope `search` too.",
    {"type": "integer", "minimum": 1, "maximum": TOP_K_MAX},
)
_ATTRIBUTING: Final = (
    _header(
        "x-tenantry-user",
        "The end user, all of it printable",
        {"type": "string", "minLength": 1, "maxLength": USER_CHARS_MAX},
    ),
    _header(
        "x-tenantry-groups",
        "Groups for documents' access tags, joined by commas; none: untagged documents only",
        _TEXT,
    ),
    _header("x-tenantry-tags", f"What usage is grouped by: {TAGS_WORDS}", _TEXT),
    _header(
        "x-tenantry-run",
        f"An agent's run, {RUN_WORDS}",
        {"type": "string", "pattern": "^[A-Za-z0-9_.:/-]{1,128}$"},
    ),
)
_IDEMPOTENCY: Final = _header(
    "Idempotency-Key",
    "A repetition under it gets the first answer, and does nothing again",
    {"type": "string", "pattern": r"^[\x21-\x7e]{1,255}$"},
)
_KNOWN: Final = _header("If-None-Match", "The `etag` of what is there already: then 304", _TEXT)
_ACCEPT: Final = ("accept", "content-type")  # no parameters, in OpenAPI's words
_INVOKING: Final = (
    *(_header(name, "Bedrock's", _TEXT) for name in INVOKE_HEADERS if name not in _ACCEPT),
    _header("x-amzn-bedrock-service-tier", "Bedrock's", _TEXT),
    _header("x-amzn-bedrock-request-metadata", "Bedrock's: a JSON object of strings", _TEXT),
)
_HEADERS: Final = {
    each["name"]: each for each in (_KNOWLEDGE, *_ATTRIBUTING, _IDEMPOTENCY, *_INVOKING, _KNOWN)
}
_DESCRIPTIONS: Final = ("/openapi.json", "/docs")

_LIMIT: Final[Schema] = {"type": "integer", "minimum": 1, "maximum": PAGE_MAX}
_QUERY: Final[dict[str, Schema]] = {
    "cursor": {**_TEXT, "description": "The `next_cursor` of the page before."},
    "from": _INSTANT,
    "to": _INSTANT,
    "since": _INSTANT,
    "group_by": {
        "type": "array",
        "items": {"enum": list(get_args(GroupBy))},
        "minItems": 1,
        "uniqueItems": True,
    },
    "user": {"type": "string", "minLength": 1, "maxLength": USER_CHARS_MAX},
    "state": {"enum": list(STATES)},
    "outcome": {"enum": list(get_args(Outcome))},
    "by": {"enum": [str(by) for by in MarginBy]},
    "tag": {"type": "string", "minLength": 1, "maxLength": 128},
    "tenant": {"type": "string", "minLength": 1, "description": "By id or name."},
}
# Where the query may leave the tenant out: then it is about all of them, or a number says whose.
_ANY_TENANT: Final = frozenset(
    {
        "GET /admin/v1/alerts",
        "GET /admin/v1/invoice-runs",
        "GET /admin/v1/invoices/{number}",
    }
)
_PATH: Final[dict[str, Schema]] = {
    "section": {
        "enum": [
            "documents", "usage", "invoices", "budgets", "api_keys", "replies", "results",
            "sessions", "batch_jobs",
        ]
    },
}  # fmt: skip


def is_attributed(route: Route) -> bool:
    """Whether a route reads the headers of who and what a request is for."""
    about_documents = route.template.startswith(("/v1/documents", "/v1/limits"))
    return route.access is Access.TENANT or about_documents


def components(routes: tuple[Route, ...]) -> dict[str, Schema]:
    """The headers of requests that `parameters_of` these routes leads to."""
    wanted = {name for route in routes for name in _headers_of(route)}
    return {name: _HEADERS[name] for name in _HEADERS if name in wanted}


def parameters_of(route: Route) -> list[Schema]:
    in_path = [
        {"name": part[1:-1], "in": "path", "required": True, "schema": _PATH.get(part[1:-1], _TEXT)}
        for part in route.segments
        if part.startswith("{")
    ]
    headers = [{"$ref": f"#/components/parameters/{name}"} for name in _headers_of(route)]
    return [*in_path, *(_in_query(route, name) for name in route.query), *headers]


def _headers_of(route: Route) -> list[str]:
    named = [_KNOWLEDGE["name"]] if route.takes_knowledge else []
    if is_attributed(route):
        named += [each["name"] for each in _ATTRIBUTING]
    if route.method == "POST" and route.access is not Access.PUBLIC:
        named.append(_IDEMPOTENCY["name"])
    if route.template.startswith("/model/{model}/invoke"):
        named += [each["name"] for each in _INVOKING]
    if route.template in _DESCRIPTIONS:
        named.append(_KNOWN["name"])
    return named


def _in_query(route: Route, name: str) -> Schema:
    line = f"{route.method} {route.template}"
    told = {
        "name": name,
        "in": "query",
        "required": name == "tenant" and line not in _ANY_TENANT,
        "schema": _limit_of(route) if name == "limit" else _QUERY.get(name, _TEXT),
    }
    return {**told, "style": "form", "explode": False} if name == "group_by" else told


def _limit_of(route: Route) -> Schema:
    """Of a page of its list, with what it is where nothing is said."""
    if route.template.endswith("/usage"):
        return {**_LIMIT, "description": f"Without it {USAGE_ROWS:,}."}
    return {**_LIMIT, "default": PAGE_DEFAULT if route.template == "/v1/documents" else PAGE_MAX}
