"""Pushes finalised invoices to Stripe, and takes back voided ones."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any, Final

from tenantry.adapters.stripe.account import Missing, Session, StripeAccount
from tenantry.adapters.stripe.items import (
    ITEMS_MAX,
    BadInvoice,
    StripeInvoice,
    is_number,
    to_stripe,
)
from tenantry.adapters.stripe.terms import BadDueDate, Collection, Terms
from tenantry.adapters.stripe.whose import Wanted
from tenantry.ports.delivery import Delivery, DeliveryFailed

THREADS: Final = 8
# An invoice is at Stripe after its notice was written, give or take what two clocks differ; where
# they differ by more, it is among the newest of its customer.
CLOCKS_DIFFER: Final = timedelta(days=1)
# Of what went to another customer Stripe's search alone tells, and lags: longest after an outage.
# So long it is looked for from the last outage on, where nothing says for certain that it is there.
SEARCH_LAGS: Final = timedelta(days=1)


class StripeSink:
    def __init__(self, account: StripeAccount, *, collection: Collection, days_due: int) -> None:
        self._account = account
        self._terms = Terms(collection, days_due)
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="stripe")

    async def deliver(self, delivery: Delivery) -> None:
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(self._threads, self._deliver, delivery)

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _deliver(self, delivery: Delivery) -> None:
        session = self._account.session()
        match delivery.kind:
            case "invoice.finalised" if delivery.superseded:
                # Voided before it was pushed, or while it was. What the search does not know yet is
                # left to the void's own delivery.
                take_back(session, delivery)
            case "invoice.finalised":
                push(session, delivery, self._terms)
            case "invoice.voided":
                if delivery.waits:
                    raise DeliveryFailed("waits until the invoice's own delivery has ended")
                take_back(session, delivery)
            case "credit_note.issued":
                number = str(delivery.body.get("number", ""))[:100]
                raise DeliveryFailed(f"issue credit note {number} at Stripe by hand", final=True)
            case _:
                raise DeliveryFailed(f"Stripe takes no {delivery.kind}", final=True)


def push(session: Session, delivery: Delivery, terms: Terms) -> None:
    """One invoice at Stripe, finalised once. Idempotent for ever: each attempt asks what is there
    and makes what is missing.
    """
    customer = delivery.customer_id
    if customer is None:
        raise DeliveryFailed("the tenant is no customer at Stripe any more", final=True)
    try:
        invoice = to_stripe(delivery.body)
        new = terms.of_new(delivery.body, delivery.leased_at)
    except (BadInvoice, BadDueDate) as wrong:
        raise DeliveryFailed(f"not pushed: {wrong}", final=True) from None
    if not invoice.items:
        return  # nothing was used, nothing is owed
    wanted = Wanted.of_push(delivery, invoice, delivery.created_at - CLOCKS_DIFFER)
    remote = _pushed(session, wanted)
    is_new = remote is None
    if remote is None:
        remote = session.create(invoice, customer, wanted.marks, new)
    _check_same(remote, invoice, customer)
    if remote.status != "draft":
        return
    changes = {} if is_new else terms.of_draft(delivery.body, remote.due_date, delivery.leased_at)
    try:
        if changes:
            session.change_draft(remote.id, changes)
        _finish(session, remote.id, customer, invoice)
    except Missing:
        if session.now_of(remote.id) is not None:
            raise  # something else is, such as the customer
        told = f"the draft {remote.id} was deleted at Stripe meanwhile: the next attempt makes one"
        raise DeliveryFailed(told) from None


def take_back(session: Session, delivery: Delivery) -> None:
    """No invoice of that number that Stripe would collect. Idempotent."""
    number = delivery.body.get("number")
    if not isinstance(number, str) or not is_number(number):
        raise DeliveryFailed("the notice holds no invoice's number", final=True)
    own = delivery.invoice
    since = None if own is None else own.issued_at - CLOCKS_DIFFER
    wanted = Wanted.of_void(delivery, number, since)
    remote = _left(session, delivery, wanted)
    if remote is None or remote.status == "void":
        return
    match remote.status:
        case "draft":
            session.delete_draft(remote.id)
        case "open" | "uncollectible":
            session.void(remote.id)
        case _ if not remote.total:
            return  # nothing was collected
        case _:
            raise DeliveryFailed(
                f"Stripe's {remote.id} is {remote.status}: refund it there", final=True
            )


def _pushed(session: Session, wanted: Wanted) -> Any | None:
    """What earlier attempts made; None: nothing. By search and by lists: what the one does not know
    yet may be another customer's, of which there is no list. Another's that is void is in nobody's
    way.
    """
    found = {each.id: each for each in session.search(wanted.number) or ()}
    for customer in wanted.customers:
        found |= {e.id: e for e in session.listed(wanted.number, customer, wanted.since)}
    own = _one_of(wanted, list(found.values()))
    others = [each for each in found.values() if each.status != "void"]
    if own is None and others:
        told = f"Stripe has {wanted.number} {wanted.difference(others[0])}"
        raise DeliveryFailed(told, final=True)
    return own


def _left(session: Session, delivery: Delivery, wanted: Wanted) -> Any | None:
    """What is to be taken back; None: nothing is. Raises `DeliveryFailed` where nobody can tell."""
    searched = session.search(wanted.number)
    found = searched or []
    if _one_of(wanted, found) is None:
        for customer in wanted.customers:
            found = found + session.listed(wanted.number, customer, wanted.since)
    own = _one_of(wanted, list({each.id: each for each in found}.values()))
    if own is not None or delivery.superseded:
        return own
    number = wanted.number
    # The lists of all the customers that it was pushed to tell at once.
    waited = delivery.leased_at - delivery.since >= SEARCH_LAGS or bool(delivery.customers)
    lags = delivery.heard_of and not waited
    if found:
        told = f"Stripe has {number} {wanted.difference(found[0])}: nothing is voided there"
        raise DeliveryFailed(told, final=not lags, answered=True)
    if searched is None and delivery.heard_of and not delivery.customers:
        told = f"Stripe has no search for this account, and whose {number} became is not known"
        raise DeliveryFailed(f"{told}: look for it there, dismiss this", final=True)
    if delivery.pushed:
        # It was made there and cannot have gone: what does not find it is the search.
        raise DeliveryFailed(
            f"Stripe has {number} and does not find it: void it there, dismiss this"
        )
    if searched is not None and lags:
        told = f"the search at Stripe does not know {number} yet, if it is there"
        raise DeliveryFailed(told, answered=True)
    return None


def _one_of(wanted: Wanted, found: Sequence[Any]) -> Any | None:
    own = [each for each in found if wanted.difference(each) is None]
    if len(own) > 1:
        raise DeliveryFailed(f"Stripe has {len(own)} invoices for {wanted.number}", final=True)
    return own[0] if own else None


def _check_same(remote: Any, invoice: StripeInvoice, customer: str) -> None:
    if remote.customer != customer:
        raise DeliveryFailed(
            f"Stripe has {invoice.number} for another customer, {remote.customer}", final=True
        )
    if remote.status == "void":
        raise DeliveryFailed(
            f"Stripe's {remote.id} is void, {invoice.number} is not: void it here, or collect it"
            " yourself",
            final=True,
        )
    if remote.currency != invoice.currency:
        raise DeliveryFailed(
            f"Stripe's {remote.id} is in {remote.currency}, not {invoice.currency}", final=True
        )
    if remote.status != "draft" and remote.total != invoice.total:
        raise DeliveryFailed(
            f"Stripe's {remote.id} says {remote.total}, not {invoice.total}", final=True
        )


def _finish(session: Session, invoice_id: str, customer: str, invoice: StripeInvoice) -> None:
    """Fills a draft and finalises it. Raises `Missing` where it is deleted meanwhile."""
    there = session.items(invoice_id, ITEMS_MAX)
    for item in invoice.items:
        if item.key not in there:
            session.add(invoice_id, customer, invoice, item)
    total = session.total(invoice_id)
    if total != invoice.total:
        raise DeliveryFailed(
            f"Stripe's draft {invoice_id} says {total}, not {invoice.total}: look at it there",
            final=True,
        )
    session.finalise(invoice_id)
