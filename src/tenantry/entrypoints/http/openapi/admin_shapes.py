"""What the operator's routes answer, as it stands in JSON. Money is a decimal in a string."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any, Literal, NotRequired, TypedDict

from tenantry.domain.alert import Severity
from tenantry.domain.audit import Outcome, Wall
from tenantry.domain.budget import Basis, Period, Scope
from tenantry.domain.catalogue import ModelKind
from tenantry.domain.margin import MarginBy
from tenantry.domain.placement import PlacementKind
from tenantry.domain.shared_costs import AllocationKey
from tenantry.domain.shred import Step
from tenantry.domain.tenant import TenantStatus
from tenantry.entrypoints.http.openapi.invoice_shapes import Party
from tenantry.entrypoints.http.openapi.shapes import Instant
from tenantry.ports.billing import Outcome as RunOutcome


class Tenant(TypedDict):
    id: str
    name: str
    status: TenantStatus
    plan: str
    plan_version: int
    placement: str
    placement_kind: PlacementKind
    zone: str
    anchor_day: int
    currency: str
    regions_allowed: list[str] | None


class CatalogueModel(TypedDict):
    """A model of the catalogue."""

    id: str
    family: str
    kind: ModelKind
    window: int
    max_output: int
    price_key: str
    alias: str | None
    burndown: int
    image_tokens_max: int
    page_tokens_max: int
    retires_on: date | None
    native_body: str


class Placement(TypedDict):
    id: str
    kind: PlacementKind
    account: str
    region: str
    regions: list[str]
    endpoint_url: str | None
    inference_profiles: dict[str, str]
    kms_key: Literal["shared", "own"]
    invocation_log: str | None
    batch_s3_uri: str | None
    batch_role_arn: str | None


class BudgetSet(TypedDict):
    """A budget as it was set; the list says what is left of it."""

    id: str
    tenant: str
    scope: Scope
    scope_id: str
    period: Period
    basis: Basis
    limit: Decimal
    hard: bool


class Outlook(TypedDict):
    """Where a budget will end. Null figures: too little is known, or there is nothing to tell."""

    subject: str
    period: Period
    basis: Basis
    limit: Decimal | None
    hard: bool
    settled: Decimal
    reserved: Decimal
    unit: str
    starts_at: Instant | None
    ends_at: Instant | None
    forecast: Decimal | None
    low: Decimal | None
    high: Decimal | None
    passes_at: Instant | None
    based_on: Literal["weeks", "days"] | None


class Alert(TypedDict):
    id: str
    tenant: str
    tenant_name: str
    kind: str
    subject: str
    severity: Severity
    state: Literal["open", "acknowledged"]
    raised_at: Instant
    acknowledged_at: Instant | None
    starts_at: Instant | None
    ends_at: Instant | None
    observed: Decimal
    expected: Decimal
    unit: str
    excess_tokens: int | None
    excess_charge: Decimal | None
    currency: str
    detail: dict[str, Any]


class Mute(TypedDict):
    """Announced use."""

    id: str
    tenant: str
    starts_at: Instant
    ends_at: Instant
    reason: str
    muted_at: Instant


Price = TypedDict(
    "Price",
    {
        "model": str,
        "tier": str,
        "over_tokens": int,
        "class": str,
        "usd_per_million": Decimal | None,
    },
)


class PriceEdition(TypedDict):
    version: int
    effective_from: Instant
    source: str
    prices: list[Price]


class MarginRow(TypedDict):
    name: str
    requests: int
    tokens: int
    revenue: Decimal
    provider_cost: Decimal
    retries: Decimal
    abandoned: Decimal
    waste: Decimal
    shared: Decimal
    fees: Decimal
    contribution: Decimal
    margin_percent: Decimal | None


class SharedCost(TypedDict):
    name: str
    usd: Decimal
    allocated_by: AllocationKey


class PaymentFees(TypedDict):
    rate: Decimal
    each_usd: Decimal
    payers: int


Economics = TypedDict(
    "Economics",
    {
        "from": Instant,
        "to": Instant,
        "by": MarginBy,
        "currency": Literal["USD"],
        "data": list[MarginRow],
        "total": MarginRow,
        "audits": MarginRow | None,
        "shared_costs": list[SharedCost],
        "payment_fees": PaymentFees,
    },
)


class NothingInvoiced(TypedDict):
    """The period has nothing to invoice."""

    number: None
    status: Literal["nothing"]


class Voided(TypedDict):
    number: str
    status: Literal["void"]


class Verified(TypedDict):
    """`same`: what the ledger gives now has the bytes that were stored."""

    number: str
    sha256: str
    same: bool


class InvoiceRun(TypedDict):
    tenant_id: str
    name: str
    period_start: Instant
    period_end: Instant
    outcome: RunOutcome
    detail: str
    tried_at: Instant


class Contract(TypedDict):
    """One version. `tax_rate` is a fraction, of periods whose last day is on or after
    `tax_starts_on`, where that is set; `ends_on` is the first day without a contract."""

    version: int
    customer: Party
    currency: str
    tax_rate: Decimal
    tax_label: str
    tax_starts_on: date | None
    payment_days: int
    ends_on: date | None


class TaxStep(TypedDict):
    """The tax of periods whose last day is on or after `starts_on`, until the next; null: of all
    before it."""

    starts_on: date | None
    rate: Decimal
    label: str


class EnteredContract(Contract):
    """`tax_schedule`: the taxes by this version and those before it, by day."""

    tax_schedule: list[TaxStep]
    entered_at: Instant


class PlanChange(TypedDict):
    plan: str
    effective_at: Instant
    entered_at: Instant
    applied_at: Instant | None


class PlanChanged(TypedDict):
    tenant: str
    plan: str
    effective_at: Instant


class Credit(TypedDict):
    """An entry of the prepaid credit; `number` of the document that used it."""

    posted_at: Instant
    kind: Literal["credit_granted", "credit_used", "credit_returned"]
    number: str | None
    amount: Decimal
    currency: str
    note: str | None


class CreditLeft(TypedDict):
    tenant: str
    left: Decimal


class Attack(TypedDict):
    id: str
    wall: Wall
    outcome: Outcome
    sentence: str
    detail: NotRequired[str]
    after: NotRequired[str]


class AuditHead(TypedDict):
    id: str
    stored_at: Instant
    started_at: Instant
    ended_at: Instant
    version: str
    url: str
    counts: dict[str, int]


class Audit(AuditHead):
    canaries: list[str]
    attacks: list[Attack]
    findings: list[Attack]


class Certificate(TypedDict):
    """`signature` and `public_key` in hex; the content is what is signed."""

    content: dict[str, Any]
    sha256: str
    signature: str
    public_key: str


class Shred(TypedDict):
    tenant_id: str
    step: Step
    asked_at: Instant
    asked_by: str
    effective_at: Instant | None
    certificate: Certificate | None
