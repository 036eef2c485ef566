"""The bodies of the control plane's requests. Money is a decimal in a string."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from tenantry.domain.agreement import PAYMENT_DAYS_MAX
from tenantry.domain.batch import BUCKET_PATTERN, ROLE_PATTERN
from tenantry.domain.budget import Basis, Period
from tenantry.domain.budget import Scope as BudgetScope
from tenantry.domain.contract import LIST_CURRENCY
from tenantry.domain.placement import PlacementKind
from tenantry.domain.tenant import Scope
from tenantry.entrypoints.http.described import (
    Amount,
    Currency,
    Day,
    KeyName,
    LimitText,
    Name,
    Reason,
    Remark,
    TenantName,
    UserHash,
    Zoned,
    described,
    referring,
)


class NewTenant(Struct, forbid_unknown_fields=True):
    name: TenantName
    plan: Name
    placement: str | None = None
    zone: Annotated[str, described(minLength=1, examples=["Europe/Zurich"])] = "UTC"
    anchor_day: Annotated[int, described(minimum=1, maximum=31)] = 1
    currency: Currency = "USD"
    regions_allowed: list[str] | None = None


class NewKeyRequest(Struct, forbid_unknown_fields=True):
    tenant: Name
    name: KeyName = ""
    scopes: list[Scope] | None = None
    models_allowed: list[str] | None = None
    expires_at: Zoned | None = None


class BudgetRequest(Struct, forbid_unknown_fields=True):
    tenant: Name
    scope: BudgetScope
    period: Period
    limit: LimitText
    scope_id: str | None = None  # the tenant itself where absent
    user_hash: UserHash | None = None  # in place of a user's name
    basis: Basis = "charge"
    currency: str | None = None  # the contract's, of a basis charge
    hard: bool = True


class MuteRequest(Struct, forbid_unknown_fields=True):
    tenant: Name
    starts_at: Zoned
    ends_at: Zoned
    reason: Reason


class PlansRequest(Struct, forbid_unknown_fields=True):
    plans: dict[str, Annotated[dict[str, Any], referring("PlanTable")]]


class ModelsRequest(Struct, forbid_unknown_fields=True):
    models: list[Annotated[dict[str, Any], referring("Model")]]


class PlacementRequest(Struct, forbid_unknown_fields=True):
    id: Annotated[str, described(pattern="^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
    kind: PlacementKind
    account: Annotated[str, described(pattern="^[0-9]{12}$")]
    region: Name
    regions: list[str] = []
    endpoint_url: str | None = None
    inference_profiles: dict[str, str] = {}
    kms_key: Literal["shared", "own"] = "shared"
    invocation_log: str | None = None
    batch_s3_uri: Annotated[str, Meta(pattern=BUCKET_PATTERN)] | None = None
    batch_role_arn: Annotated[str, Meta(pattern=ROLE_PATTERN)] | None = None


class PricesRequest(Struct, forbid_unknown_fields=True):
    csv: Name
    effective_from: Zoned
    source: Name
    backdated: bool = False
    until_later: bool = False
    unknown_models: bool = False


class ContractRequest(Struct, forbid_unknown_fields=True):
    tenant: Name
    legal_name: str | UnsetType = UNSET
    address: list[str] | UnsetType = UNSET
    tax_id: str | UnsetType | None = UNSET
    email: str | UnsetType | None = UNSET
    currency: Currency | UnsetType = UNSET
    tax_rate: LimitText | UnsetType = UNSET  # a fraction
    tax_label: str | UnsetType = UNSET
    tax_starts_on: Day | UnsetType | None = UNSET  # periods that end before keep the tax of before
    payment_days: Annotated[int, described(minimum=0, maximum=PAYMENT_DAYS_MAX)] | UnsetType = UNSET
    ends_on: Day | UnsetType | None = UNSET  # the first civil day without a contract

    def changes(self) -> dict[str, Any]:
        """What the body names, without the tenant."""
        named = {name: getattr(self, name) for name in self.__struct_fields__ if name != "tenant"}
        return {name: value for name, value in named.items() if value is not UNSET}


class PlanChangeRequest(Struct, forbid_unknown_fields=True):
    tenant: Name
    plan: Name
    at: Zoned | None = None  # now where absent


class CreditRequest(Struct, forbid_unknown_fields=True):
    tenant: Name
    amount: Amount
    note: Remark = ""


class RateRequest(Struct, forbid_unknown_fields=True):
    quote: Currency
    rate: Amount
    day: Day
    source: Name
    base: Annotated[str, described(const=LIST_CURRENCY)] = LIST_CURRENCY


class FinaliseRequest(Struct, forbid_unknown_fields=True):
    tenant: Name
    day: Day | None = None  # of the period; absent: the next to be invoiced
    sha256: str | None = None  # of the draft that was approved


class ReviewRequest(Struct, forbid_unknown_fields=True):
    tenant: Name
    day: Day | None = None


class VoidRequest(Struct, forbid_unknown_fields=True):
    reason: Reason


class CreditNoteRequest(Struct, forbid_unknown_fields=True):
    reason: Reason
    amount: Amount | None = None  # before tax; absent: all that is left
