"""Tenants, API keys, plans, models, placements and prices, for an operator."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from decimal import InvalidOperation
from typing import TypeVar
from zoneinfo import ZoneInfo

from tenantry.application.price_import import (
    Overtaken,
    UnknownModels,
    plan_import,
    refuse_unknown,
    unknown_models,
)
from tenantry.domain.catalogue import Catalogue, Model
from tenantry.domain.currency import is_currency
from tenantry.domain.cursor import cursor_of, parts_of
from tenantry.domain.errors import BadRequest, Conflict
from tenantry.domain.placement import Placement
from tenantry.domain.price import PriceError, edition_from_csv
from tenantry.entrypoints.http.admin import schema, views
from tenantry.entrypoints.http.call import Call
from tenantry.entrypoints.http.json_body import to, zoned
from tenantry.entrypoints.http.key_views import from_key_row, from_new_key
from tenantry.entrypoints.http.paging import PAGE, page_of, page_response, required
from tenantry.entrypoints.http.response import Response, json_response

T = TypeVar("T")


async def list_tenants(call: Call) -> Response:
    cursor, limit = page_of(call.query(*PAGE))
    found = await call.services.control.list_tenants(after=cursor, limit=limit + 1)
    return page_response(found, limit, views.from_tenant, lambda tenant: tenant.id)


async def create_tenant(call: Call) -> Response:
    asked = to(schema.NewTenant, call.json())
    _check_zone(asked.zone)
    if not 1 <= asked.anchor_day <= 31:
        raise BadRequest("`anchor_day` must be 1 to 31.")
    if not is_currency(asked.currency):
        raise BadRequest("`currency` must be an ISO 4217 code such as USD.")
    tenant = await call.services.control.create_tenant(
        asked.name,
        plan=asked.plan,
        placement=asked.placement,
        zone=asked.zone,
        anchor_day=asked.anchor_day,
        currency=asked.currency,
        regions_allowed=asked.regions_allowed,
    )
    return json_response(views.from_tenant(tenant), 201)


async def get_tenant(call: Call) -> Response:
    tenant = await call.services.control.get_tenant(call.params["tenant"])
    return json_response(views.from_tenant(tenant))


async def suspend_tenant(call: Call) -> Response:
    return await _set_suspended(call, True)


async def resume_tenant(call: Call) -> Response:
    return await _set_suspended(call, False)


async def _set_suspended(call: Call, suspended: bool) -> Response:
    control = call.services.control
    tenant = await control.get_tenant(call.params["tenant"])
    await control.set_suspended(tenant.id, suspended)
    call.services.directory.forget(tenant.id)
    return json_response(views.from_tenant(await control.get_tenant(tenant.id)))


async def list_keys(call: Call) -> Response:
    query = call.query("tenant", *PAGE)
    cursor, limit = page_of(query)
    tenant = await call.services.control.get_tenant(required(query, "tenant"))
    found = await call.services.control.list_keys(tenant.id, after=cursor, limit=limit + 1)
    return page_response(found, limit, from_key_row, lambda row: row.id)


async def create_key(call: Call) -> Response:
    """The only answer that ever holds the key's secrets."""
    asked = to(schema.NewKeyRequest, call.json())
    expires_at = asked.expires_at and zoned(asked.expires_at, "expires_at")
    tenant = await call.services.control.get_tenant(asked.tenant)
    key = await call.services.control.create_key(
        tenant.id,
        name=asked.name,
        scopes=None if asked.scopes is None else frozenset(asked.scopes),
        models_allowed=None if asked.models_allowed is None else frozenset(asked.models_allowed),
        expires_at=expires_at,
    )
    response = json_response(from_new_key(key), 201)
    response.headers["cache-control"] = "no-store"
    return response


async def revoke_key(call: Call) -> Response:
    tenant = await call.services.control.get_tenant(required(call.query("tenant"), "tenant"))
    await call.services.control.revoke_key(tenant.id, call.params["key"])
    call.services.directory.forget(tenant.id)
    return Response(204)


async def list_plans(call: Call) -> Response:
    after, limit = _page_by_name(call)
    found = await call.services.control.list_plans(after=after, limit=limit + 1)
    return page_response(found, limit, views.from_plan, lambda plan: cursor_of(plan.name))


async def apply_plans(call: Call) -> Response:
    asked = to(schema.PlansRequest, call.json())
    try:
        plans = await call.services.control.apply_plans(asked.plans)
    except ValueError as error:  # PlanError: its message names plan and field
        raise BadRequest(str(error)) from None
    return json_response({"data": [views.from_plan(plan) for plan in plans], "next_cursor": None})


async def list_models(call: Call) -> Response:
    after, limit = _page_by_name(call)
    models = sorted(await call.services.directory.catalogue(), key=lambda model: model.id)
    found = [model for model in models if after is None or model.id > after]
    return page_response(found, limit, views.from_model, lambda model: cursor_of(model.id))


async def apply_models(call: Call) -> Response:
    asked = to(schema.ModelsRequest, call.json())
    models = [to(Model, row) for row in asked.models]
    await call.services.control.apply_models(models)
    data = [views.from_model(model) for model in models]
    return json_response({"data": data, "next_cursor": None})


async def list_placements(call: Call) -> Response:
    after, limit = _page_by_name(call)
    found = await call.services.control.list_placements(after=after, limit=limit + 1)
    return page_response(found, limit, views.from_placement, lambda each: cursor_of(each.id))


async def apply_placement(call: Call) -> Response:
    asked = to(schema.PlacementRequest, call.json())
    placement = Placement(
        asked.id,
        asked.kind,
        asked.account,
        asked.region,
        frozenset(asked.regions or (asked.region,)),
        asked.endpoint_url,
        asked.inference_profiles,
        asked.kms_key,
        asked.invocation_log,
        asked.batch_s3_uri,
        asked.batch_role_arn,
    )
    await call.services.control.apply_placement(placement)
    return json_response(views.from_placement(placement), 201)


async def show_prices(call: Call) -> Response:
    return json_response(views.from_edition(await call.services.directory.prices(reload=True)))


async def import_prices(call: Call) -> Response:
    asked = to(schema.PricesRequest, call.json())
    effective_from = zoned(asked.effective_from, "effective_from")
    lines = asked.csv.splitlines()
    edition = _converted(
        lambda: edition_from_csv(
            lines, version=0, effective_from=effective_from, source=asked.source
        )
    )
    control = call.services.control
    try:
        plan = await plan_import(
            control,
            edition,
            (),
            layer=False,
            effective_from=effective_from,
            now=await control.now(),
            backdated=asked.backdated,
            later="until" if asked.until_later else "refuse",
        )
        if not asked.unknown_models:
            refuse_unknown(unknown_models(plan, Catalogue(await control.list_models())))
    except Overtaken as problem:
        raise Conflict(f"{problem} (`until_later`).") from None
    except UnknownModels as problem:
        raise BadRequest(f"{problem} (`unknown_models`).") from None
    except PriceError as problem:
        raise BadRequest(f"{problem}.") from None
    [stored] = await control.import_editions([edition], upon=plan.upon)
    return json_response(views.from_edition(stored), 201)


def _page_by_name(call: Call) -> tuple[str | None, int]:
    cursor, limit = page_of(call.query(*PAGE))
    parts = parts_of(cursor, str)
    return (None if parts is None else parts[0]), limit


def _converted(make: Callable[[], T]) -> T:
    """What is wrong with a value, as the caller's error."""
    try:
        return make()
    except (ValueError, InvalidOperation) as error:
        detail = str(error) if type(error) is not InvalidOperation else "not a decimal number"
        raise BadRequest(f"{detail}.") from None


def _check_zone(zone: str) -> None:
    try:
        datetime.now(ZoneInfo(zone))
    except (KeyError, ValueError, OSError):  # ZoneInfoNotFoundError is a KeyError
        raise BadRequest("`zone` must be an IANA zone such as Europe/Zurich.") from None
