"""The JSON of the control plane. Pure; holds no secret."""

from __future__ import annotations

import dataclasses
from typing import Any

from tenantry.domain.catalogue import Model
from tenantry.domain.placement import Placement
from tenantry.domain.plan import Plan, plan_to_json
from tenantry.domain.price import PriceEdition, edition_to_rows
from tenantry.domain.tenant import Tenant


def from_tenant(tenant: Tenant) -> dict[str, Any]:
    regions = tenant.regions_allowed
    return {
        "id": tenant.id,
        "name": tenant.name,
        "status": str(tenant.status),
        "plan": tenant.plan.name,
        "plan_version": tenant.plan.version,
        "placement": tenant.placement.id,
        "placement_kind": tenant.placement.kind,
        "zone": tenant.zone,
        "anchor_day": tenant.anchor_day,
        "currency": tenant.invoice_currency,
        "regions_allowed": None if regions is None else sorted(regions),
    }


def from_plan(plan: Plan) -> dict[str, Any]:
    return {"name": plan.name, "version": plan.version, **plan_to_json(plan)}


def from_model(model: Model) -> dict[str, Any]:
    return dataclasses.asdict(model)


def from_placement(placement: Placement) -> dict[str, Any]:
    return {**dataclasses.asdict(placement), "regions": sorted(placement.regions)}


def from_edition(edition: PriceEdition) -> dict[str, Any]:
    columns = ("model", "tier", "over_tokens", "class", "usd_per_million")
    return {
        "version": edition.version,
        "effective_from": edition.effective_from,
        "source": edition.source,
        "prices": [dict(zip(columns, row, strict=True)) for row in edition_to_rows(edition)],
    }
