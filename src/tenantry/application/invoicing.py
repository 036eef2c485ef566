"""The life of an invoice: a draft, a final document, a void, a credit note, a regeneration.

Owns: which contract, usage and late usage a document is made from. Does not own: the arithmetic
(`domain/billing.py`), nor that a document is final exactly once (`ports/billing.py`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from tenantry.domain import money
from tenantry.domain.agreement import Agreement
from tenantry.domain.billing import LineKind, Statement, statement
from tenantry.domain.contract import LIST_CURRENCY, Contract, ContractError, terms_until
from tenantry.domain.credit_note import Credited, credit_note
from tenantry.domain.errors import BadRequest, Conflict, sentence
from tenantry.domain.ids import TenantId, prefixed, uuid7
from tenantry.domain.invoice import (
    Document,
    Made,
    canonical,
    content_sha256,
    document,
    instant,
)
from tenantry.domain.invoice_edition import PRESENT, Edition, edition_of
from tenantry.domain.late_usage import late_of
from tenantry.domain.party import Issuer, Party, PartyError, issuer_from
from tenantry.domain.period import Span
from tenantry.domain.postings import credit_note_transfers, invoice_transfers
from tenantry.domain.proration import civil_days
from tenantry.domain.remark import REMARK_CHARS_MAX, check_reason
from tenantry.ports.billing import (
    Compose,
    Composed,
    Finalised,
    InvoiceBook,
    Issue,
    Reading,
    Stored,
    TenantInvoices,
)
from tenantry.ports.clock import Clock


@dataclass(frozen=True, slots=True)
class Regenerated:
    """What the ledger says today of a document that is final: the same bytes, or a fault."""

    stored_sha256: str
    document: bytes
    same: bool


def draft_from(reading: Reading, issuer: Issuer | None, edition: Edition = PRESENT) -> Document:
    """The draft of a period as it was read. Raises `Conflict` where the contract cannot be invoiced
    as it stands."""
    agreement = reading.agreement or _without_contract(reading)
    return document(_made(reading, agreement, issuer, edition))


async def finalise_invoice(
    book: InvoiceBook,
    clock: Clock,
    issuer: Issuer | None,
    tenant_id: TenantId,
    period: Span,
    *,
    approved_sha256: str | None = None,
) -> Finalised:
    """Makes the invoice of a period final, or closes a period of nothing.

    Where the period's draft is under review, or a hash is given, the content must still be what was
    approved. Idempotent: a second call raises `Conflict` and writes nothing.
    """
    stored = await book.draft(tenant_id, period)
    approved = approved_sha256 or (stored.content_sha256 if stored else None)
    return await book.finalise(
        tenant_id, period, composer(issuer, approved), lambda at: _new_id(clock, at)
    )


def composer(issuer: Issuer | None, approved_sha256: str | None = None) -> Compose:
    """What makes a final document out of a reading. Pure; raises `Conflict`."""

    def compose(reading: Reading, issue: Issue) -> Composed | None:
        agreement = reading.agreement or _without_contract(reading)
        if _is_after_its_end(reading, agreement):
            return None
        made = _made(reading, agreement, issuer)
        if not made.statement.lines and not reading.usage:
            return None
        _check_parties(reading, issuer)
        made, body, content = _as_approved(reading, agreement, made, issue, approved_sha256)
        stated = made.statement
        late = [line for each in reading.earlier for line in each.late]
        charges = money.total(line.charge for line in (*reading.usage, *late))
        return Composed(
            document=body,
            content_sha256=content,
            transfers=invoice_transfers(stated, charges),
            total=stated.total,
            credit=stated.credit,
            due=stated.due,
            due_at=datetime.fromisoformat(body["due_at"]),
            contract_version=agreement.version,
        )

    return compose


async def store_for_review(
    book: InvoiceBook, issuer: Issuer | None, tenant_id: TenantId, period: Span
) -> Document | None:
    """Stores the draft of a period that is over, with its hash, for a person to approve; None: of
    nothing. Raises `Conflict`, as finalising does."""
    watermark = await book.close_ledger(tenant_id, period)
    reading = await book.read(tenant_id, period, watermark)
    if _is_after_its_end(reading, reading.agreement or _without_contract(reading)):
        return None
    made = draft_from(reading, issuer)
    if not made["lines"] and not reading.usage:
        return None
    _check_parties(reading, issuer)
    await book.store_draft(tenant_id, period, made, content_sha256(made))
    return made


async def void_invoice(book: InvoiceBook, tenant_id: TenantId, number: str, reason: str) -> bool:
    """The document keeps its number; its usage can be invoiced again. False: it was void."""
    _check_reason(reason, REMARK_CHARS_MAX)
    return await book.void(tenant_id, number, reason)


async def issue_credit_note(
    book: InvoiceBook,
    clock: Clock,
    issuer: Issuer | None,
    tenant_id: TenantId,
    number: str,
    *,
    net: Decimal | None,
    reason: str,
) -> Finalised:
    """Gives back `net` before tax of a final invoice, with its share of the tax; None: the rest.
    What prepaid credit had paid goes back to it."""
    _check_reason(reason, CREDIT_REASON_CHARS_MAX)
    if issuer is None:
        raise Conflict(NO_ISSUER)
    of = await book.document(tenant_id, number)
    if of.kind != "invoice" or of.status != "final":
        raise Conflict(f"{number} is no final invoice.")
    body = json.loads(of.document)
    by = issuer

    def compose(credited: Credited, issue: Issue) -> Composed:
        try:
            note, given = credit_note(
                body, by, issue.number, issue.issued_at, credited, net, reason
            )
        except ValueError as refused:
            raise Conflict(f"{refused}.") from None
        return Composed(
            document=note,
            content_sha256=content_sha256(note),
            transfers=credit_note_transfers(given, of.currency),
            total=money.minus(given.total),
            credit=money.minus(given.prepaid),
            due=money.minus(given.due),
            due_at=issue.issued_at,
            contract_version=of.contract_version,
        )

    return await book.issue_credit_note(tenant_id, of, compose, lambda at: _new_id(clock, at))


async def regenerate(invoices: TenantInvoices, tenant_id: TenantId, stored: Stored) -> Regenerated:
    """Makes a final invoice again from ledger, contract and rates of then. Its bytes must not
    differ, whatever has been posted or changed since. A credit note is what was asked for, not a
    function of the ledger: it equals itself."""
    if stored.kind != "invoice":
        return Regenerated(stored.sha256, stored.document, same=True)
    reading = await invoices.read(tenant_id, stored.period, stored.watermark, stored.issued_at)
    agreement = reading.agreement or _without_contract(reading)
    body = json.loads(stored.document)
    made = _made(reading, agreement, issuer_from(body["issuer"]), edition_of(body))
    made = replace(made, number=stored.number, issued_at=stored.issued_at)
    again = canonical(_spelt_as(body, document(made)))
    return Regenerated(stored.sha256, again, same=again == stored.document)


def shown(stored: Stored) -> dict[str, Any]:
    """A final document as it stands now: the bytes' content, and whether it is void by now."""
    body: dict[str, Any] = json.loads(stored.document)
    body["status"] = stored.status
    body["sha256"] = stored.sha256
    if stored.status == "void":
        body["voided_at"], body["void_reason"] = stored.voided_at, stored.void_reason
    return body


CREDIT_REASON_CHARS_MAX: Final = 200  # stands on the document
NO_ISSUER = "No issuer is set: name its TOML file in the setting invoice_issuer."


def _check_reason(reason: str, chars_max: int) -> None:
    try:
        check_reason(reason, chars_max)
    except ValueError as wrong:
        raise BadRequest(f"The reason {wrong}.") from None


def _check_parties(reading: Reading, issuer: Issuer | None) -> None:
    if issuer is None:
        raise Conflict(NO_ISSUER)
    if reading.agreement is None or not reading.agreement.customer.address:
        raise Conflict(
            f"{reading.tenant_name} has no contract with a billing address yet: "
            f"tenantry tenants contract {reading.tenant_name} --address …"
        )


def _is_after_its_end(reading: Reading, agreement: Agreement) -> bool:
    """A period after the contract's end in which nothing was used."""
    ends_on = agreement.ends_on
    if ends_on is None or reading.usage or reading.earlier:
        return False
    return ends_on <= civil_days(reading.period, reading.zone).start


def _without_contract(reading: Reading) -> Agreement:
    """Raises `Conflict` for a tenant from the time when names were not checked."""
    try:
        return Agreement(Party(reading.tenant_name))
    except PartyError as problem:
        raise Conflict(
            f"The tenant's {problem}; enter a contract with another: "
            f"tenantry tenants contract {reading.tenant_id} --legal-name …"
        ) from None


def _stated(reading: Reading, agreement: Agreement, edition: Edition) -> Statement:
    terms = terms_until(reading.terms, agreement.ends_on)
    if not terms:
        raise Conflict(f"The contract ends on {agreement.ends_on}, before its first terms start.")
    try:
        contract = Contract(
            reading.zone,
            terms,
            currency=agreement.currency,
            ends=agreement.ends_on,
            tax_rate=reading.tax.rate,
            tax_label=reading.tax.label,
            prepaid=reading.prepaid,
            usage_currency=LIST_CURRENCY,
            rates=reading.rates,
        )
        late = late_of(contract, reading.earlier, edition=edition)
        return statement(contract, reading.period, reading.usage, late, edition=edition)
    except ContractError as problem:
        raise Conflict(sentence(str(problem))) from None


def _made(
    reading: Reading, agreement: Agreement, issuer: Issuer | None, edition: Edition = PRESENT
) -> Made:
    reading = _as_told_by(edition, reading)
    stated = _stated(reading, agreement, edition)
    return Made(
        tenant_id=reading.tenant_id,
        agreement=agreement,
        zone=reading.zone,
        period=reading.period,
        statement=stated,
        watermark=reading.watermark,
        issuer=issuer,
        price_versions=reading.price_versions,
        plan_versions=reading.plan_versions,
        references=_references(reading, stated),
        edition=edition,
    )


def _as_told_by(edition: Edition, reading: Reading) -> Reading:
    """With what its prices were asked for as documents of an edition say it."""
    if edition >= Edition.STANDING_TOLD:
        return reading
    earlier = [replace(each, late=[row.as_posted for row in each.late]) for each in reading.earlier]
    return replace(
        reading,
        usage=[row.as_posted for row in reading.usage],
        price_versions=reading.posted_versions,
        earlier=earlier,
    )


def _as_approved(
    reading: Reading, agreement: Agreement, made: Made, issue: Issue, approved_sha256: str | None
) -> tuple[Made, Document, str]:
    """The document and its content's hash, which must be what was approved, if anything was. A
    draft of an earlier edition is issued as it is. Raises `Conflict`."""
    for edition in sorted(Edition, reverse=True):
        if edition != made.edition:
            made = _made(reading, agreement, made.issuer, edition)
        made = replace(made, number=issue.number, issued_at=issue.issued_at)
        body = document(made)
        content = content_sha256(body)
        if approved_sha256 in (None, content):
            return made, body, content
    body = document(_made(reading, agreement, made.issuer))
    content = content_sha256(body)
    raise Conflict(
        f"The draft of {body['period']['label']} has changed since it was approved: its "
        f"hash is {content} now; review it again."
    )


def _references(reading: Reading, stated: Statement) -> Mapping[str, Any]:
    """Of an invoice: the earlier periods that it adjusts."""
    if not any(line.kind is LineKind.ADJUSTMENT for line in stated.lines):
        return {}
    return {"adjusts": [instant(each.period.start) for each in reading.earlier]}


def _spelt_as(stored: Mapping[str, Any], made: Document) -> Document:
    """The first invoices wrote the starts of earlier periods with an offset in place of the `Z`."""
    starts = made["references"].get("adjusts", [])
    spelt = [start.replace("Z", "+00:00") for start in starts]
    if not starts or stored["references"].get("adjusts") != spelt:
        return made
    return made | {"references": made["references"] | {"adjusts": spelt}}


def _new_id(clock: Clock, at: datetime) -> str:
    return prefixed("inv", uuid7(int(at.timestamp() * 1_000), clock.random(10)))
