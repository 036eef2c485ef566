"""The bodies of the control plane's requests. Money is a decimal in a string."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from tenantry.domain.batch import BUCKET_PATTERN, ROLE_PATTERN
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
    batch_s3_uri: Annotated[str, Meta(pattern=BUCKET_PATTERN)] | None = None
    batch_role_arn: Annotated[str, Meta(pattern=ROLE_PATTERN)] | None = None


class PricesRequest(Struct, forbid_unknown_fields=True):
    csv: str
    effective_from: datetime
    source: str
    backdated: bool = False
    until_later: bool = False


class ContractRequest(Struct, forbid_unknown_fields=True):
    tenant: str
    legal_name: str | UnsetType = UNSET
    address: list[str] | UnsetType = UNSET
    tax_id: str | UnsetType | None = UNSET
    email: str | UnsetType | None = UNSET
    currency: str | UnsetType = UNSET
    tax_rate: str | UnsetType = UNSET  # a fraction
    tax_label: str | UnsetType = UNSET
    payment_days: int | UnsetType = UNSET
    ends_on: str | UnsetType | None = UNSET  # the first civil day without a contract

    def changes(self) -> dict[str, Any]:
        """What the body names, without the tenant."""
        named = {name: getattr(self, name) for name in self.__struct_fields__ if name != "tenant"}
        return {name: value for name, value in named.items() if value is not UNSET}


class PlanChangeRequest(Struct, forbid_unknown_fields=True):
    tenant: str
    plan: str
    at: datetime | None = None  # now where absent


class CreditRequest(Struct, forbid_unknown_fields=True):
    tenant: str
    amount: str
    note: str = ""


class RateRequest(Struct, forbid_unknown_fields=True):
    quote: str
    rate: str
    day: str
    source: str
    base: str = "USD"


class FinaliseRequest(Struct, forbid_unknown_fields=True):
    tenant: str
    day: str | None = None  # of the period; absent: the next to be invoiced
    sha256: str | None = None  # of the draft that was approved


class ReviewRequest(Struct, forbid_unknown_fields=True):
    tenant: str
    day: str | None = None


class VoidRequest(Struct, forbid_unknown_fields=True):
    reason: str


class CreditNoteRequest(Struct, forbid_unknown_fields=True):
    reason: str
    amount: str | None = None  # before tax; absent: all that is left
