"""The bodies of the control plane's requests. Money is a decimal in a string."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from msgspec import Struct

from tenantry.domain.budget import Basis, Period
from tenantry.domain.budget import Scope as BudgetScope
from tenantry.domain.tenant import Scope


class NewTenant(Struct, forbid_unknown_fields=True):
    name: str
    plan: str
    placement: str | None = None
    zone: str = "UTC"
    anchor_day: int = 1
    currency: str = "USD"
    regions_allowed: list[str] | None = None


class NewKeyRequest(Struct, forbid_unknown_fields=True):
    tenant: str
    name: str = ""
    scopes: list[Scope] | None = None
    models_allowed: list[str] | None = None
    expires_at: datetime | None = None


class BudgetRequest(Struct, forbid_unknown_fields=True):
    tenant: str
    scope: BudgetScope
    period: Period
    limit: str
    scope_id: str | None = None  # the tenant itself where absent
    user_hash: str | None = None  # in place of a user's name
    basis: Basis = "charge"
    currency: str | None = None  # the contract's, of a basis charge
    hard: bool = True


class MuteRequest(Struct, forbid_unknown_fields=True):
    tenant: str
    starts_at: datetime
    ends_at: datetime
    reason: str


class PlansRequest(Struct, forbid_unknown_fields=True):
    plans: dict[str, dict[str, Any]]


class ModelsRequest(Struct, forbid_unknown_fields=True):
    models: list[dict[str, Any]]


class PlacementRequest(Struct, forbid_unknown_fields=True):
    id: str
    kind: Literal["pool", "silo"]
    account: str
    region: str
    regions: list[str] = []
    endpoint_url: str | None = None
    inference_profiles: dict[str, str] = {}
    kms_key: Literal["shared", "own"] = "shared"
    invocation_log: str | None = None


class PricesRequest(Struct, forbid_unknown_fields=True):
    csv: str
    effective_from: datetime
    source: str
    backdated: bool = False
