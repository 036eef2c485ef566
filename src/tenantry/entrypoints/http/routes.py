"""The table of routes: one line each, from which requests are dispatched, `/openapi.json` is made
and tests are driven."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from typing import TYPE_CHECKING, Final, Literal
from urllib.parse import unquote

from tenantry.domain.record import record
from tenantry.domain.tenant import Scope
from tenantry.entrypoints.http.errors import Family
from tenantry.entrypoints.http.response import Response, StreamingResponse
from tenantry.entrypoints.http.wire.limits import WireLimits

if TYPE_CHECKING:
    from tenantry.entrypoints.http.call import Call

# A body is read, hashed and parsed before limits of a plan are asked: what needs no more has less.
BODY_BYTES_MAX: Final = 1_000_000
LARGE_BODY_BYTES_MAX: Final = WireLimits().body_bytes
Handler = Callable[["Call"], Awaitable[Response | StreamingResponse]]
Method = Literal["GET", "POST", "PUT", "PATCH", "DELETE"]


class Access(Enum):
    """Who may call a route."""

    PUBLIC = "public"  # anyone who reaches the port
    TENANT = "tenant"  # an API key, from a short cache: the admit batch decides again
    TENANT_FRESH = "tenant_fresh"  # an API key, asked of the database: no admission follows
    OPERATOR = "operator"


_OF_TENANTS: Final = frozenset({Access.TENANT, Access.TENANT_FRESH})


@dataclass(frozen=True, slots=True)
class Route:
    method: Method
    template: str  # `/model/{model}/converse`; a parameter is one whole segment
    family: Family
    handler: Handler
    access: Access
    summary: str
    scopes: tuple[Scope, ...] = ()  # all of them
    takes_knowledge: bool = False  # `x-tenantry-knowledge`, with which it wants to search too
    kept: bool = True  # its answer, where an idempotency key asks for that
    body_bytes_max: int = BODY_BYTES_MAX
    takes_form: bool = False  # `multipart/form-data` beside JSON
    query: tuple[str, ...] = ()  # the members that its query may have, as it is described

    @property
    def segments(self) -> tuple[str, ...]:
        return tuple(self.template.split("/")[1:])


def own(
    method: Method,
    template: str,
    handler: Handler,
    summary: str,
    *scopes: Scope,
    query: tuple[str, ...] = (),
    kept: bool = True,
    body_bytes_max: int = BODY_BYTES_MAX,
    takes_form: bool = False,
) -> Route:
    """A route of ours for tenants that no admission follows."""
    return Route(
        method,
        template,
        "tenantry",
        handler,
        Access.TENANT_FRESH,
        summary,
        scopes,
        kept=kept,
        body_bytes_max=body_bytes_max,
        takes_form=takes_form,
        query=query,
    )


@record
class Match:
    """`route` None: no such route; `path_known`: it exists with another method."""

    route: Route | None
    params: Mapping[str, str]
    path_known: bool = False


_SEGMENTS_CACHED = 1_024  # model ids, mostly
_UNKNOWN = Match(None, {})


class RouteTable:
    """Dispatch by raw path: split first and decoded after, so `%2F` stays inside its segment."""

    def __init__(self, routes: Sequence[Route]) -> None:
        self.routes = tuple(routes)
        self.for_tenants = any(route.access in _OF_TENANTS for route in routes)
        self._fixed: dict[str, dict[str, Route]] = {}
        self._shaped: dict[tuple[str, int], list[tuple[tuple[str, ...], dict[str, Route]]]] = {}
        for route in routes:
            self._add(route)

    def _add(self, route: Route) -> None:
        if "{" not in route.template:
            by_method = self._fixed.setdefault(route.template, {})
        else:
            shapes = self._shaped.setdefault((route.segments[0], len(route.segments)), [])
            skeleton = tuple("" if part[0] == "{" else part for part in route.segments)
            by_method = next((found for known, found in shapes if known == skeleton), {})
            if not by_method:
                shapes.append((skeleton, by_method))
        assert route.method not in by_method, f"{route.method} {route.template} is there twice"
        by_method[route.method] = route

    def methods_of(self, raw_path: str) -> list[str]:
        """What a path can be called with: for `allow`."""
        return [
            m for m in ("GET", "POST", "PUT", "PATCH", "DELETE") if self.match(m, raw_path).route
        ]

    def match(self, method: str, raw_path: str) -> Match:
        method = "GET" if method == "HEAD" else method
        fixed = self._fixed.get(raw_path)
        if fixed is not None:
            return Match(fixed.get(method), {}, True)
        parts = raw_path.split("/")[1:]
        if not parts:
            return _UNKNOWN
        for skeleton, by_method in self._shaped.get((parts[0], len(parts)), ()):
            pairs = zip(skeleton, parts, strict=True)
            if all(part == known if known else part for known, part in pairs):
                return self._matched(by_method.get(method), parts)
        return _UNKNOWN

    def _matched(self, route: Route | None, parts: Sequence[str]) -> Match:
        if route is None:
            return Match(None, {}, True)
        names = route.segments
        try:
            params = {
                name[1:-1]: _decoded(part) if "%" in part else part
                for name, part in zip(names, parts, strict=True)
                if name[0] == "{"
            }
        except ValueError:
            return _UNKNOWN
        return Match(route, params, True)


@lru_cache(maxsize=_SEGMENTS_CACHED)
def _decoded(segment: str) -> str:
    """Raises `ValueError` for what nothing can be called: not UTF-8, or with a NUL."""
    text = unquote(segment, errors="strict")
    if "\x00" in text:
        raise ValueError("a NUL in a path")
    return text


_FAMILIES: tuple[tuple[str, Family], ...] = (
    ("/model/", "bedrock"),
    ("/guardrail", "bedrock"),
    ("/knowledgebases/", "bedrock"),
    ("/retrieveAndGenerate", "bedrock"),
    ("/rerank", "bedrock"),
    ("/async-invoke", "bedrock"),
    ("/v1/chat/", "openai"),
    ("/v1/completions", "openai"),
    ("/v1/responses", "openai"),
    ("/v1/embeddings", "openai"),
    ("/v1/models", "openai"),
    ("/v1/messages", "anthropic"),
)


# What each SDK sends with all that it asks. Anthropic's and OpenAI's have the last in common.
_OF_SDKS: tuple[tuple[str, Family], ...] = (
    ("amz-sdk-invocation-id", "bedrock"),
    ("anthropic-version", "anthropic"),
    ("x-stainless-lang", "openai"),
)


def family_of(raw_path: str) -> Family:
    """Whose errors a path speaks, also where no route exists."""
    return next((family for prefix, family in _FAMILIES if raw_path.startswith(prefix)), "tenantry")


def family_of_sdk(headers: Mapping[str, str]) -> Family | None:
    """Whose errors the SDK reads that asks, for an operation that is not served here."""
    return next((family for name, family in _OF_SDKS if name in headers), None)
