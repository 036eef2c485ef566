"""From rows of the directory to tenants and principals. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from tenantry.domain.ids import ApiKeyId, TenantId
from tenantry.domain.placement import Placement
from tenantry.domain.plan import plan_from
from tenantry.domain.tenant import Principal, Scope, Tenant, TenantStatus


def to_tenant(row: Mapping[str, Any]) -> Tenant:
    return Tenant(
        id=TenantId(row["tenant_id"]),
        name=row["tenant_name"],
        status=TenantStatus(row["status"]),
        plan=plan_from(
            row["plan"], json.loads(row["plan_definition"]), version=row["plan_version"]
        ),
        placement=to_placement(row["placement_id"], json.loads(row["placement_definition"])),
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
