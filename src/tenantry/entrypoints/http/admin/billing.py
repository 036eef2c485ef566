"""Contracts, changes of plan, prepaid credit, exchange rates and the life of invoices."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime
from typing import TypeVar, get_args
from uuid import UUID

from tenantry.application.agreements import amend
from tenantry.application.invoice_lists import oldest_open, period_of
from tenantry.application.invoicing import (
    finalise_invoice,
    issue_credit_note,
    regenerate,
    store_for_review,
    void_invoice,
)
from tenantry.domain import money
from tenantry.domain.contract import ExchangeRate
from tenantry.domain.cursor import cursor_of, parts_of
from tenantry.domain.errors import BadRequest, NotFound
from tenantry.domain.invoice import content_sha256, rate_json
from tenantry.domain.period import Span
from tenantry.domain.remark import check_remark
from tenantry.domain.tenant import Tenant
from tenantry.entrypoints.http.admin import schema
from tenantry.entrypoints.http.admin.accounting import tenant_of
from tenantry.entrypoints.http.call import Call
from tenantry.entrypoints.http.json_body import to, zoned
from tenantry.entrypoints.http.paging import PAGE, page_of, page_response
from tenantry.entrypoints.http.response import Response, json_response
from tenantry.ports.billing import CREDIT_FIELDS, Outcome

T = TypeVar("T")


async def contracts(call: Call) -> Response:
    query = call.query("tenant", *PAGE)
    cursor, limit = page_of(query)
    after = parts_of(cursor, int)
    tenant = await tenant_of(call, query)
    found = await call.services.billing.contracts.contracts(
        tenant.id, limit + 1, after=None if after is None else after[0]
    )
    return page_response(found, limit, dict, lambda row: cursor_of(row["version"]))


async def set_contract(call: Call) -> Response:
    """The next version: what the body leaves out stays as it is."""
    asked = to(schema.ContractRequest, call.json())
    tenant = await call.services.control.get_tenant(asked.tenant)
    made = await amend(call.services.billing.contracts, tenant, asked.changes())
    return json_response(made.to_json(), 201)


async def plan_changes(call: Call) -> Response:
    query = call.query("tenant", *PAGE)
    cursor, limit = page_of(query)
    after = parts_of(cursor, datetime, datetime)
    tenant = await tenant_of(call, query)
    found = await call.services.billing.contracts.plan_changes(tenant.id, limit + 1, after=after)
    return page_response(
        found, limit, dict, lambda row: cursor_of(row["effective_at"], row["entered_at"])
    )


async def change_plan(call: Call) -> Response:
    asked = to(schema.PlanChangeRequest, call.json())
    when = asked.at and zoned(asked.at, "at")
    tenant = await call.services.control.get_tenant(asked.tenant)
    at = await call.services.billing.contracts.change_plan(tenant.id, asked.plan, when)
    call.services.directory.forget(tenant.id)
    return json_response({"tenant": tenant.id, "plan": asked.plan, "effective_at": at}, 201)


async def credits(call: Call) -> Response:
    query = call.query("tenant", *PAGE)
    cursor, limit = page_of(query)
    after = parts_of(cursor, datetime, UUID, int)
    tenant = await tenant_of(call, query)
    found = await call.services.billing.contracts.credits(tenant.id, limit + 1, after=after)
    return page_response(
        found,
        limit,
        lambda row: {name: row[name] for name in CREDIT_FIELDS},
        lambda row: cursor_of(row["posted_at"], row["posting_id"], row["line"]),
    )


async def grant_credit(call: Call) -> Response:
    asked = to(schema.CreditRequest, call.json())
    try:
        check_remark(asked.note)
    except ValueError as wrong:
        raise BadRequest(f"`note` {wrong}.") from None
    tenant = await call.services.control.get_tenant(asked.tenant)
    amount = _converted(lambda: money.amount_from(asked.amount))
    left = await call.services.billing.contracts.grant_credit(tenant.id, amount, asked.note)
    return json_response({"tenant": tenant.id, "left": money.plain(left)}, 201)


async def rates(call: Call) -> Response:
    cursor, limit = page_of(call.query(*PAGE))
    after = parts_of(cursor, str, str, date)
    found = await call.services.billing.contracts.rates(limit + 1, after=after)
    return page_response(
        found, limit, rate_json, lambda rate: cursor_of(rate.quote, rate.base, rate.day)
    )


async def add_rate(call: Call) -> Response:
    asked = to(schema.RateRequest, call.json())
    rate = _converted(
        lambda: ExchangeRate(
            date.fromisoformat(asked.day), asked.base, asked.quote,
            money.amount_from(asked.rate), asked.source,
        )
    )  # fmt: skip
    _converted(rate.check)
    await call.services.billing.contracts.add_rate(rate)
    return json_response(rate_json(rate), 201)


async def finalise(call: Call) -> Response:
    asked = to(schema.FinaliseRequest, call.json())
    tenant, period = await _period(call, asked.tenant, asked.day)
    billing, clock = call.services.billing, call.services.clock
    done = await finalise_invoice(
        billing.book, clock, billing.issuer, tenant.id, period, approved_sha256=asked.sha256
    )
    if done.number is None:
        return json_response({"number": None, "status": "nothing"})
    return json_response({**done.document, "sha256": done.sha256}, 201)


async def review(call: Call) -> Response:
    """Stores the draft of a period that is over; its hash is what is approved."""
    asked = to(schema.ReviewRequest, call.json())
    tenant, period = await _period(call, asked.tenant, asked.day)
    billing = call.services.billing
    made = await store_for_review(billing.book, billing.issuer, tenant.id, period)
    if made is None:
        return json_response({"number": None, "status": "nothing"})
    return json_response({**made, "sha256": content_sha256(made)}, 201)


async def void(call: Call) -> Response:
    asked = to(schema.VoidRequest, call.json())
    book, number = call.services.billing.book, call.params["number"]
    owner = await book.owner(number)
    await void_invoice(book, owner, number, asked.reason)
    return json_response({"number": number, "status": "void"})


async def credit_note(call: Call) -> Response:
    asked = to(schema.CreditNoteRequest, call.json())
    billing, number = call.services.billing, call.params["number"]
    amount = asked.amount
    net = None if amount is None else _converted(lambda: money.amount_from(amount))
    done = await issue_credit_note(
        billing.book,
        call.services.clock,
        billing.issuer,
        await billing.book.owner(number),
        number,
        net=net,
        reason=asked.reason,
    )
    return json_response({**done.document, "sha256": done.sha256}, 201)


async def verify(call: Call) -> Response:
    """Makes a final invoice again from the ledger, and says whether its bytes are the same."""
    book, number = call.services.billing.book, call.params["number"]
    owner = await book.owner(number)
    stored = await book.document(owner, number)
    again = await regenerate(book, owner, stored)
    return json_response({"number": number, "sha256": again.stored_sha256, "same": again.same})


async def runs(call: Call) -> Response:
    """What came of the periods that were due."""
    query = call.query("tenant", "outcome", *PAGE)
    cursor, limit = page_of(query)
    after = parts_of(cursor, datetime, str)
    outcome = query.get("outcome")
    if outcome is not None and outcome not in get_args(Outcome):
        raise BadRequest(f"`outcome` must be one of {', '.join(get_args(Outcome))}.")
    tenant = (await tenant_of(call, query)).id if "tenant" in query else None
    found = await call.services.billing.book.runs(tenant, outcome, limit + 1, after=after)  # type: ignore[arg-type]
    return page_response(
        found, limit, dict, lambda row: cursor_of(row["period_start"], row["tenant_id"])
    )


async def _period(call: Call, name: str, day: str | None) -> tuple[Tenant, Span]:
    """The period of a civil day of the tenant; without one, the next to be invoiced."""
    tenant = await call.services.control.get_tenant(name)
    if day is None:
        return tenant, await oldest_open(call.services.billing.book, tenant.id)
    try:
        civil_day = date.fromisoformat(day)
    except ValueError:
        raise NotFound("`day` must be a civil day such as 2026-11-30.") from None
    return tenant, await period_of(call.services.billing.book, tenant, civil_day)


def _converted(make: Callable[[], T]) -> T:
    """What is wrong with a value, as the caller's error."""
    try:
        return make()
    except ValueError as problem:
        raise BadRequest(f"{problem}.") from None
