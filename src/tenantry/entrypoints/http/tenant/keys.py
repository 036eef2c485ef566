"""`/v1/keys`: a tenant's own API keys, for its admins."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Final

from msgspec import Struct

from tenantry.domain.errors import BadRequest, ModelRetired, NotFound
from tenantry.domain.tenant import DEFAULT_SCOPES, Principal, Scope
from tenantry.entrypoints.http.call import Call
from tenantry.entrypoints.http.described import KeyName, Zoned, described
from tenantry.entrypoints.http.json_body import to, zoned
from tenantry.entrypoints.http.key_views import from_key_row, from_new_key
from tenantry.entrypoints.http.paging import PAGE, page_of, page_response
from tenantry.entrypoints.http.response import Response, json_response
from tenantry.entrypoints.http.routes import own

MODELS_MAX: Final = 100
_ID_CHARS_MAX: Final = 64


class NewKey(Struct, forbid_unknown_fields=True):
    name: KeyName = ""
    scopes: Annotated[list[Scope], described(minItems=1)] | None = None
    models_allowed: Annotated[list[str], described(minItems=1, maxItems=MODELS_MAX)] | None = None
    expires_at: Zoned | None = None


async def index(call: Call) -> Response:
    cursor, limit = page_of(call.query(*PAGE))
    found = await call.services.tenant_admin.keys(call.tenant(), after=cursor, limit=limit + 1)
    return page_response(found, limit, from_key_row, lambda row: row.id)


async def create(call: Call) -> Response:
    """The only answer that ever holds the key's secrets."""
    asked = to(NewKey, call.json())
    principal = call.tenant()
    scopes = DEFAULT_SCOPES if asked.scopes is None else frozenset(asked.scopes)
    if not scopes:
        raise BadRequest("`scopes` must not be empty: such a key could do nothing.")
    made = await call.services.tenant_admin.create_key(
        principal,
        name=asked.name,
        scopes=scopes,
        models_allowed=await _models(call, principal, asked.models_allowed),
        expires_at=asked.expires_at and zoned(asked.expires_at, "expires_at"),
    )
    response = json_response(from_new_key(made), 201)
    response.headers["cache-control"] = "no-store"
    return response


async def revoke(call: Call) -> Response:
    """From the next request on; a second time changes nothing."""
    principal, api_key_id = call.tenant(), call.params["key"]
    if len(api_key_id) > _ID_CHARS_MAX:
        raise NotFound("There is no such API key.")
    await call.services.tenant_admin.revoke_key(principal, api_key_id)
    call.services.directory.forget(principal.tenant_id)
    return Response(204)


async def _models(
    call: Call, principal: Principal, names: Sequence[str] | None
) -> frozenset[str] | None:
    """Names that the catalogue knows: of another one the key could call nothing."""
    if names is None:
        return None
    if not 0 < len(names) <= MODELS_MAX:
        raise BadRequest(f"`models_allowed` takes 1 to {MODELS_MAX} names; absent: all.")
    catalogue = await call.services.directory.catalogue()
    profiles = principal.tenant.placement.inference_profiles
    for name in names:
        try:
            catalogue.resolve(name, profiles, today=call.services.clock.now().date())
        except (NotFound, ModelRetired) as problem:
            raise BadRequest(f"`models_allowed`: {problem.message}") from None
    return frozenset(names)


_ADMIN: Final = Scope.ADMIN
ROUTES: Final = (
    own("GET", "/v1/keys", index, "API keys, without secrets", _ADMIN, query=PAGE),
    own("POST", "/v1/keys", create, "Create an API key; its secrets are shown once", _ADMIN),
    own("DELETE", "/v1/keys/{key}", revoke, "Revoke an API key", _ADMIN),
)
