"""How routes refuse, from the table by which they do (`errors.SHAPES`): a component for each API
family, status, and what routes do of which such a refusal comes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from tenantry.domain import errors
from tenantry.domain.errors import TenantryError
from tenantry.entrypoints.http.described import Schema
from tenantry.entrypoints.http.errors import BY_STATUS, SHAPES, Family, Shape
from tenantry.entrypoints.http.openapi.headers import is_tenants, of_refusal, refs
from tenantry.entrypoints.http.openapi.parts import JSON, ref
from tenantry.entrypoints.http.routes import Access, Route

_TEXT: Final[Schema] = {"type": "string"}
_LIMITED: Final[dict[str, Schema]] = {
    "limit": {"type": "string", "description": "The limit that was reached."},
    "resets_at": {"type": "string", "format": "date-time"},
    "worst_charge": {**_TEXT, "description": "The most it would have been charged."},
    "charge_left": {**_TEXT, "description": "What its budget has left."},
    "currency": {**_TEXT, "description": "Of both: the budget's."},
}


def _object(members: dict[str, Schema], *optional: str, says: str = "") -> Schema:
    required = [name for name in members if name not in optional]
    told: Schema = {"type": "object", "properties": members, "required": required}
    return {**told, "description": says} if says else told


SCHEMAS: Final[dict[str, Schema]] = {
    "BedrockError": _object({"message": _TEXT}, says="Its kind is the header `x-amzn-ErrorType`."),
    "OpenAIError": _object(
        {
            "error": _object(
                {
                    "message": _TEXT,
                    "type": _TEXT,
                    "param": {"type": ["string", "null"]},
                    "code": {"type": ["string", "null"]},
                    **_LIMITED,
                },
                *_LIMITED,
            )
        }
    ),
    "Problem": _object(
        {
            "type": {"type": "string", "format": "uri"},
            "title": _TEXT,
            "status": {"type": "integer", "minimum": 400, "maximum": 599},
            "detail": _TEXT,
            "code": {"type": "string", "description": "Stable; by it a client decides."},
            "request_id": {"type": "string", "format": "uuid"},
            **_LIMITED,
        },
        *_LIMITED,
        says="RFC 9457.",
    ),
}
_SCHEMA_OF: Final[dict[Family, str]] = {
    "bedrock": "BedrockError",
    "openai": "OpenAIError",
    "tenantry": "Problem",
}


@dataclass(frozen=True, slots=True)
class _Trait:
    """What only some routes do, and the refusals that come of it alone."""

    of: Callable[[Route], bool]
    refusals: frozenset[type[TenantryError]]


def _asks_a_model(route: Route) -> bool:
    """Now, or for what it takes to be indexed."""
    indexes = route.method in ("POST", "PUT") and route.template.startswith("/v1/documents")
    return route.access is Access.TENANT or indexes


def _names_a_model(route: Route) -> bool:
    return "{model}" in route.template or _asks_a_model(route)


def _is_done_once(route: Route) -> bool:
    return route.method == "POST" and route.kept and route.access is not Access.PUBLIC


_TRAITS: Final[dict[str, _Trait]] = {
    "model": _Trait(
        _asks_a_model,
        frozenset(
            {
                errors.ModelRetired,
                errors.ModelUnpriced,
                errors.LargerThanLimit,
                errors.ModelNotAllowed,
                errors.RegionNotAllowed,
                errors.UpstreamFailed,
                errors.UpstreamThrottled,
                errors.UpstreamTimeout,
                errors.UpstreamUnavailable,
                errors.UpstreamRubbish,
                errors.UpstreamRefused,
            }
        ),
    ),
    "named": _Trait(_names_a_model, frozenset({errors.ModelNotFound})),
    "upload": _Trait(lambda route: route.takes_form, frozenset({errors.Unreadable})),
    "once": _Trait(
        _is_done_once,
        frozenset({errors.IdempotencyInFlight, errors.ResultNotKept, errors.IdempotencyMismatch}),
    ),
}
_ANY: Final = ("4XX", "5XX")
_WORDS: Final = {"4XX": "Refused", "5XX": "Failed"}


def statuses_of(route: Route) -> list[str]:
    """Those that a route is known to refuse with, and the ranges of all that may come besides: what
    Bedrock itself refuses keeps its own status."""
    known = {400, 414, 431, 500, 503}
    if route.method in ("POST", "PUT"):
        known |= {408, 413, 415}
    if "{" in route.template or route.access is Access.TENANT:
        known |= {404}
    if route.access is not Access.PUBLIC:
        known |= {401}
        known |= {409, 422} if _is_done_once(route) else {409}
    if is_tenants(route):
        known |= {403}
    if route.access is Access.TENANT or route.takes_form:
        known |= {402, 424, 429}
    if route.family == "bedrock":
        known -= {401}
    return [*map(str, sorted(known)), *_ANY]


def refs_of(route: Route) -> dict[str, Schema]:
    """The refusals of a route by status."""
    return {
        status: {"$ref": f"#/components/responses/{_name(route.family, status, traits)}"}
        for status, traits in _told(route)
    }


def components(routes: tuple[Route, ...]) -> dict[str, Schema]:
    """The responses that `refs_of` these routes leads to."""
    wanted = {(route.family, *told) for route in routes for told in _told(route)}
    tenants = any(map(is_tenants, routes))
    return {_name(*one): _response(*one, tenants) for one in sorted(wanted)}


def _told(route: Route) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Its statuses, each with those of its traits by which there are more refusals of that."""
    had = [name for name, trait in _TRAITS.items() if trait.of(route)]
    for status in statuses_of(route):
        yield status, tuple(name for name in had if status in _statuses(route.family, name))


def _statuses(family: Family, trait: str) -> set[str]:
    return {_status(family, SHAPES[kind]) for kind in _TRAITS[trait].refusals}


def _name(family: Family, status: str, traits: tuple[str, ...]) -> str:
    return "-".join((_SCHEMA_OF[family], status, *traits))


def _response(family: Family, status: str, traits: tuple[str, ...], tenants: bool) -> Schema:
    media = "application/problem+json" if family == "tenantry" else JSON
    said = ", ".join(f"`{kind}`" for kind in dict.fromkeys(_kinds(family, status, traits)))
    return {
        "description": said or _WORDS[status],
        "headers": refs(of_refusal(family, status, tenants=tenants)),
        "content": {media: {"schema": ref(_SCHEMA_OF[family])}},
    }


def _kinds(family: Family, status: str, traits: tuple[str, ...]) -> Iterator[str]:
    """Codes of refusals, on Bedrock's routes exceptions, with a status, of routes with these traits
    and no others."""
    others = [trait.refusals for name, trait in _TRAITS.items() if name not in traits]
    coded = [(kind.code, shape) for kind, shape in SHAPES.items() if not _among(kind, others)]
    for code, shape in (*coded, *BY_STATUS.values()):
        if _status(family, shape) == status:
            yield shape.aws_type if family == "bedrock" else code


def _among(kind: type[TenantryError], refusals: Iterable[frozenset[type[TenantryError]]]) -> bool:
    return any(kind in some for some in refusals)


def _status(family: Family, shape: Shape) -> str:
    return str(shape.aws_status if family == "bedrock" else shape.status)
