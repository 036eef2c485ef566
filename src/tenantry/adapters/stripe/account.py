"""Stripe's wire through its SDK: the few requests we make, all of them bounded and blocking."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import datetime
from typing import Any, Final

from tenantry.adapters.stripe.items import Item, StripeInvoice
from tenantry.domain.extras import extra_of
from tenantry.ports.delivery import DeliveryFailed

CONNECT_TIMEOUT_S: Final = 5
READ_TIMEOUT_S: Final = 15
WORK_MAX_S: Final = 60.0  # of one attempt; what is not done then goes on with the next
INVOICES_MAX: Final = 2_000  # of one customer that are looked through
NEWEST: Final = 300  # that are looked at whenever they were made
DRAFTS_MAX: Final = 5  # of one invoice of ours, within the day that Stripe keeps a key
NUMBER: Final = "tenantry_invoice"  # names of our metadata
KEY: Final = "tenantry_item"
LEFT_OVER: Final = "tenantry_left_over_units"
_QUOTED: Final = str.maketrans({"\\": "\\\\", '"': '\\"'})


class Missing(DeliveryFailed):
    """Stripe has no such thing."""


class _Refused(DeliveryFailed):
    """Stripe does no such thing, or not for this account."""


class StripeAccount:
    """One account of Stripe's. Raises `DeliveryFailed` for whatever goes wrong there."""

    def __init__(self, api_key: str, url: str | None) -> None:
        try:
            import stripe  # an extra, and slow to import
        except ImportError:
            raise ValueError(f"stripe_api_key needs {extra_of('stripe')}") from None
        self._sdk = stripe
        client = stripe.RequestsClient(timeout=(CONNECT_TIMEOUT_S, READ_TIMEOUT_S))
        self._stripe = stripe.StripeClient(
            api_key,
            http_client=client,
            max_network_retries=0,  # the outbox repeats, after it has asked
            base_addresses={"api": url} if url else None,
        )

    def session(self) -> Session:
        return Session(self._sdk, self._stripe, time.monotonic() + WORK_MAX_S)


class Session:
    """The requests of one attempt."""

    def __init__(self, sdk: Any, client: Any, deadline: float) -> None:
        self._sdk = sdk
        self._v1 = client.v1
        self._deadline = deadline

    def search(self, number: str) -> list[Any] | None:
        """The invoices of that number, of all customers. It lags behind by a minute or more.

        None: Stripe has no search for this account, as in India (docs.stripe.com/search, 2026-11).
        """
        query = f'metadata["{NUMBER}"]:"{number.translate(_QUOTED)}"'
        asked = {"query": query, "limit": 10}
        try:
            found = self._call(lambda: self._v1.invoices.search(asked)).data
        except _Refused:
            return None
        return self._as_now(each.id for each in found)

    def listed(self, number: str, customer: str, since: datetime | None) -> list[Any]:
        """The invoices of that number of a customer, made since then or among its newest; this does
        not lag. Empty where Stripe has no such customer, too.

        `since` is of our clock, which may have been days ahead of Stripe's.
        """
        params = {"customer": customer, "limit": 100}
        until_s = 0.0 if since is None else since.timestamp()
        found = []
        try:
            there = self._all(lambda: self._v1.invoices.list(params), INVOICES_MAX)
            for count, each in enumerate(there, 1):  # the newest first
                if metadata(each).get(NUMBER) == number:
                    found.append(each.id)
                if count >= NEWEST and each.created < until_s:
                    break  # without another page, which would be older still
        except Missing:
            return []
        return self._as_now(found)

    def _as_now(self, ids: Iterable[str]) -> list[Any]:
        return [each for key in ids if (each := self.now_of(key)) is not None]

    def now_of(self, invoice_id: str) -> Any | None:
        """An invoice as it is now; None where it is deleted, which the search may not know yet."""
        try:
            invoice = self._call(lambda: self._v1.invoices.retrieve(invoice_id))
        except Missing:
            return None
        return None if getattr(invoice, "deleted", False) else invoice

    def create(
        self,
        invoice: StripeInvoice,
        customer: str,
        marks: Mapping[str, str],
        terms: Mapping[str, Any],
    ) -> Any:
        """A draft that Stripe does nothing with by itself, as it is now. `marks`: which invoice of
        ours it is; `terms`: how and until when it is to be paid.

        A key may give the answer that an earlier attempt got, about a draft that somebody has
        deleted since: then another one is made, under a key of its own.
        """
        noted = {NUMBER: invoice.number, **marks}
        if invoice.left_over:
            noted[LEFT_OVER] = str(invoice.left_over)
        params = {
            "customer": customer,
            "currency": invoice.currency,
            "auto_advance": False,
            "pending_invoice_items_behavior": "exclude",
            "discounts": "",
            "description": f"Invoice {invoice.number}",
            "metadata": noted,
            **terms,
        }
        for key in ("invoice", *(f"invoice/{count}" for count in range(2, DRAFTS_MAX + 1))):
            made = self._make(self._v1.invoices.create, params, f"{invoice.number}/{key}")
            draft = self.now_of(made.id)
            if draft is not None:
                return draft
        raise DeliveryFailed(f"{DRAFTS_MAX} drafts were deleted at Stripe within a day")

    def change_draft(self, invoice_id: str, changes: Mapping[str, Any]) -> None:
        """Says what holds, so that it needs no idempotency key."""
        self._call(lambda: self._v1.invoices.update(invoice_id, dict(changes)))

    def items(self, invoice_id: str, limit: int) -> dict[str, int]:
        """Key and amount of the items that a draft has; those of others under their own ids."""
        params = {"invoice": invoice_id, "limit": 100}
        found = self._all(lambda: self._v1.invoice_items.list(params), limit)
        return {metadata(each).get(KEY) or each.id: each.amount for each in found}

    def add(self, invoice_id: str, customer: str, invoice: StripeInvoice, item: Item) -> None:
        params = {
            "customer": customer,
            "invoice": invoice_id,
            "amount": item.amount,
            "currency": invoice.currency,
            "description": item.description,
            "discountable": False,
            "metadata": {NUMBER: invoice.number, KEY: item.key},
        }
        self._make(self._v1.invoice_items.create, params, f"{invoice_id}/{item.key}")

    def finalise(self, invoice_id: str) -> None:
        """From here on Stripe collects it."""
        self._make(
            lambda params, options: self._v1.invoices.finalize_invoice(invoice_id, params, options),
            {"auto_advance": True},
            f"{invoice_id}/finalise",
        )

    def total(self, invoice_id: str) -> int:
        total: int = self._call(lambda: self._v1.invoices.retrieve(invoice_id)).total
        return total

    def delete_draft(self, invoice_id: str) -> None:
        with suppress(Missing):  # somebody else was quicker
            self._call(lambda: self._v1.invoices.delete(invoice_id))

    def void(self, invoice_id: str) -> None:
        self._make(
            lambda params, options: self._v1.invoices.void_invoice(invoice_id, params, options),
            {},
            f"{invoice_id}/void",
        )

    def _make(self, call: Callable[[Any, Any], Any], params: object, key: str) -> Any:
        return self._call(lambda: call(params, {"idempotency_key": f"tenantry/{key}"}))

    def _all(self, listed: Callable[[], Any], limit: int) -> Iterator[Any]:
        """Everything that is listed, page by page. Raises `DeliveryFailed` past the limit."""
        pages = self._call(listed).auto_paging_iter()
        for _ in range(limit + 1):
            each = self._call(lambda: next(pages, None))
            if each is None:
                return
            yield each
        raise DeliveryFailed(f"Stripe lists more than {limit}", final=True)

    def _call(self, call: Callable[[], Any]) -> Any:
        if time.monotonic() > self._deadline:
            raise DeliveryFailed("Stripe was slow; what is missing goes on with the next attempt")
        with _told(self._sdk):
            return call()


def metadata(thing: Any) -> dict[str, str]:
    """Of an invoice or an item."""
    return {} if thing.metadata is None else dict(thing.metadata.to_dict())


@contextmanager
def _told(sdk: Any) -> Iterator[None]:
    """Stripe's refusals as ours. What it calls an invalid request stays invalid; all else passes:
    a wrong API key is replaced, an idempotency key is forgotten after a day, a limit ends.
    """
    try:
        yield
    except sdk.IdempotencyError as error:
        raise DeliveryFailed(f"Stripe: {_words(error)}") from None
    except sdk.InvalidRequestError as error:
        if error.http_status == 404 or error.code == "resource_missing":
            raise Missing(f"Stripe refused: {_words(error)}", final=True) from None
        again = error.http_status == 409 or error.code == "lock_timeout"
        if error.http_status == 400 and not again:
            raise _Refused(f"Stripe refused: {_words(error)}", final=True) from None
        raise DeliveryFailed(f"Stripe refused: {_words(error)}", final=not again) from None
    except sdk.StripeError as error:
        raise DeliveryFailed(f"Stripe: {_words(error)}") from None


def _words(error: Any) -> str:
    """Its message without what could be part of an API key."""
    if error.http_status in (401, 403):
        return f"the API key was refused ({error.http_status})"
    if error.http_status is None:
        return f"out of reach ({type(error).__name__})"
    return f"{error.http_status} {error.code or ''} {error.user_message or ''}".strip()[:400]
