"""From rows of the directory to tenants and principals. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from tenantry.domain.ids import ApiKeyId, TenantId
from tenantry.domain.placement import Placement
from tenantry.domain.plan import Plan, plan_from
from tenantry.domain.tenant import Principal, Scope, Tenant, TenantStatus


def to_tenant(row: Mapping[str, Any]) -> Tenant:
    (tenant,) = to_tenants((row,))
    return tenant


def to_tenants(rows: Iterable[Mapping[str, Any]]) -> list[Tenant]:
    """Of one statement, in its order: plans and placements that several are on are read once."""
    plans: dict[tuple[str, int], Plan] = {}
    placements: dict[str, Placement] = {}
    found = []
    for row in rows:
        plan, placement = (row["plan"], row["plan_version"]), row["placement_id"]
        if plan not in plans:
            definition = json.loads(row["plan_definition"])
            plans[plan] = plan_from(row["plan"], definition, version=row["plan_version"])
        if placement not in placements:
            definition = json.loads(row["placement_definition"])
            placements[placement] = to_placement(placement, definition)
        found.append(_tenant(row, plans[plan], placements[placement]))
    return found


def _tenant(row: Mapping[str, Any], plan: Plan, placement: Placement) -> Tenant:
    return Tenant(
        id=TenantId(row["tenant_id"]),
        name=row["tenant_name"],
        status=TenantStatus(row["status"]),
        plan=plan,
        placement=placement,
        zone=row["zone"],
        anchor_day=row["anchor_day"],
        currency=row["currency"],
        regions_allowed=_frozen(row["regions_allowed"]),
        invoice_currency=row.get("invoice_currency") or row["currency"],
    )


def to_principal(row: Mapping[str, Any]) -> Principal:
    return Principal(
        tenant=to_tenant(row),
        api_key_id=ApiKeyId(row["api_key_id"]),
        scopes=frozenset(Scope(scope) for scope in row["scopes"]),
        models_allowed=_frozen(row["models_allowed"]),
        expires_at=row["expires_at"],
    )


def to_placement(placement_id: str, definition: Mapping[str, Any]) -> Placement:
    return Placement(
        id=placement_id,
        **{**definition, "regions": frozenset(definition.get("regions", ()))},
    )


def from_placement(placement: Placement) -> dict[str, Any]:
    """What is stored of a placement beside its id; `to_placement` is the inverse."""
    return {
        "kind": placement.kind,
        "account": placement.account,
        "region": placement.region,
        "regions": sorted(placement.regions),
        "endpoint_url": placement.endpoint_url,
        "inference_profiles": dict(placement.inference_profiles),
        "kms_key": placement.kms_key,
        "invocation_log": placement.invocation_log,
        "batch_s3_uri": placement.batch_s3_uri,
        "batch_role_arn": placement.batch_role_arn,
    }


def _frozen(values: list[str] | None) -> frozenset[str] | None:
    return None if values is None else frozenset(values)
