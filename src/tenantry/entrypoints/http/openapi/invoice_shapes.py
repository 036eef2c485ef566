"""Invoices and credit notes as they stand in JSON: docs/reference/invoices.md."""

from __future__ import annotations

from decimal import Decimal
from typing import Literal, NotRequired, TypedDict

from tenantry.domain.billing import LineKind
from tenantry.domain.invoice import Kind
from tenantry.entrypoints.http.openapi.shapes import Instant

InvoiceStatus = Literal["draft", "final", "void"]


class InvoicePeriod(TypedDict):
    start: Instant
    end: Instant
    label: str


class InvoiceHead(TypedDict):
    """What a list shows of a document. A draft that cannot be made says why in `trouble`, and has
    no amounts."""

    number: str
    kind: Kind
    status: InvoiceStatus
    period: InvoicePeriod
    issued_at: NotRequired[Instant | None]
    due_at: NotRequired[Instant | None]
    currency: NotRequired[str]
    total: NotRequired[Decimal]
    credit: NotRequired[Decimal]
    due: NotRequired[Decimal]
    sha256: NotRequired[str]
    credits: NotRequired[str]
    trouble: NotRequired[str]


class ExchangeRate(TypedDict):
    """From its day on, one unit of `base` is `rate` units of `quote`."""

    day: str
    base: str
    quote: str
    rate: Decimal
    source: str


class LinePeriod(TypedDict):
    start: Instant
    end: Instant


class TaxRate(TypedDict):
    """`rate` is a fraction: 8.25 % is 0.0825."""

    rate: Decimal
    label: str


class InvoiceLine(TypedDict):
    kind: LineKind
    description: str
    model: str | None
    token_class: str | None
    quantity: int
    unit_price: Decimal | None
    charge: Decimal
    amount: Decimal
    service_tiers: NotRequired[list[str]]
    price_keys: NotRequired[list[str]]
    plans: NotRequired[list[str]]
    priced_from: NotRequired[Instant | None]
    period: NotRequired[LinePeriod]
    reason: NotRequired[str | None]
    exchange_rate: NotRequired[ExchangeRate | None]
    tax: NotRequired[TaxRate]


class Party(TypedDict):
    name: str
    address: list[str]
    tax_id: str | None
    email: str | None


class Issuer(Party):
    payment: list[str]


class Customer(Party):
    tenant_id: str


class TaxPart(TaxRate):
    """The tax of the lines of one rate, which come to `net`."""

    net: Decimal
    amount: Decimal


class Tax(TaxRate):
    """`amount` is of all lines; `parts` it by rate, where there are several."""

    amount: Decimal
    parts: NotRequired[list[TaxPart]]


PlanVersion = TypedDict("PlanVersion", {"plan": str, "version": int, "from": str})


class InvoiceReferences(TypedDict):
    """A credit note's invoice and its reason, or the starts of the earlier periods that
    an invoice adjusts."""

    invoice: NotRequired[str]
    reason: NotRequired[str]
    adjusts: NotRequired[list[str]]


class Invoice(TypedDict):
    """A document with its lines. Amounts are in `currency`, in whole minor units."""

    number: str
    kind: Kind
    status: InvoiceStatus
    issued_at: Instant | None
    due_at: Instant | None
    issue_zone: NotRequired[str]
    edition: NotRequired[int]
    issuer: Issuer | None
    customer: Customer
    currency: str
    zone: str
    period: InvoicePeriod
    plan: str
    lines: list[InvoiceLine]
    subtotal: Decimal
    true_up: Decimal
    tax: Tax
    total: Decimal
    credit: Decimal
    due: Decimal
    exchange_rate: ExchangeRate | None
    references: InvoiceReferences
    price_versions: list[int]
    plan_versions: list[PlanVersion]
    watermark: Instant
    sha256: str
    voided_at: NotRequired[Instant]
    void_reason: NotRequired[str]
