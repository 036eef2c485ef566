"""A stand-in for the part of Stripe's API that invoices need, on its real wire.

It authenticates, reads bracketed forms strictly, keeps the first answer under an idempotency key
for 24 h of its own clock (the same key with another body: 400), lets its search lag by a minute,
and collects what is finalised: `collected` is what a customer would be charged.
"""

import itertools
import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from tests.support.wire_server import Exchange, wire_server

API_KEY = "sk_test_51StandIn"
KEYS_KEPT_S = 24 * 3_600
SEARCH_LAG_S = 60
THREE_DECIMALS = {"bhd", "jod", "kwd", "omr", "tnd"}
INVOICE = {
    "customer", "currency", "auto_advance", "pending_invoice_items_behavior", "discounts",
    "description", "metadata", "collection_method", "days_until_due",
    "due_date",
}  # fmt: skip
ITEM = {"customer", "invoice", "amount", "currency", "description", "discountable", "metadata"}


class Refused(Exception):
    def __init__(self, status: int, kind: str, message: str, code: str | None = None) -> None:
        super().__init__(message)
        error = {"type": kind, "message": message, "code": code}
        self.status, self.body = status, {"error": error}


@dataclass
class StandIn:
    customers: set[str] = field(default_factory=set)
    now_s: int = 1_900_000_000
    url: str = ""
    invoices: dict[str, dict[str, Any]] = field(default_factory=dict)
    items: dict[str, dict[str, Any]] = field(default_factory=dict)
    collected: list[tuple[str, str, int]] = field(default_factory=list)
    requests: list[tuple[str, str]] = field(default_factory=list)
    away: bool = False  # every request is answered 503
    search_finds: bool = True  # its index is behind otherwise
    has_search: bool = True  # not where the account is of India
    broken: dict[int, str] = field(default_factory=dict)  # which POST from now on: cut or 500
    meanwhile: Callable[[], Awaitable[None]] | None = None  # once, before the next POST is done
    _keys: dict[str, tuple[int, str, int, Any]] = field(default_factory=dict)
    _numbers: Any = field(default_factory=itertools.count)
    _posts: int = 0

    def break_post(self, number: int, how: str) -> None:
        """The `number`th POST from now on (0: the next) is done, and its answer lost (`cut`); or
        it is not done and fails (`500`), under its key for good."""
        self.broken[self._posts + number] = how

    async def __call__(self, exchange: Exchange) -> None:
        request = exchange.request
        path = urlsplit(request.target).path
        self.requests.append((request.method, path))
        how = None
        if request.method == "POST":
            how = self.broken.pop(self._posts, None)
            self._posts += 1
            meanwhile, self.meanwhile = self.meanwhile, None
            if meanwhile is not None:
                await meanwhile()
        try:
            if self.away:
                raise Refused(503, "api_error", "We are down")
            if request.header("authorization") != f"Bearer {API_KEY}":
                raise Refused(401, "invalid_request_error", "Invalid API Key provided: sk_***")
            status, body = self._once(request, path, fails=how == "500")
        except Refused as refused:
            status, body = refused.status, refused.body
        if how == "cut":
            exchange.cut()
            return
        headers = {"content-type": "application/json", "request-id": "req_1"}
        await exchange.respond(status, headers, json.dumps(body).encode())

    def _once(self, request: Any, path: str, *, fails: bool) -> tuple[int, Any]:
        """A POST under a key is done once; what validation refuses is not kept."""
        key = request.header("idempotency-key")
        if request.method != "POST" or key is None:
            return 200, self._answer(request.method, request.target, request.body.decode())
        asked = f"{path}?{request.body.decode()}"
        kept = self._keys.get(key)
        if kept is not None and kept[0] + KEYS_KEPT_S > self.now_s:
            if kept[1] != asked:
                message = "Keys for idempotent requests can only be used with the same parameters"
                raise Refused(400, "idempotency_error", message)
            return kept[2], kept[3]
        if fails:
            answer = (500, {"error": {"type": "api_error", "message": "Something went wrong"}})
        else:
            answer = (200, self._answer("POST", request.target, request.body.decode()))
        self._keys[key] = (self.now_s, asked, *answer)
        return answer

    def _answer(self, method: str, target: str, form: str) -> Any:
        parts = urlsplit(target)
        given = nested(parse_qsl(form if method == "POST" else parts.query, True))
        match method, parts.path.removeprefix("/v1/").split("/"):
            case "POST", ["invoices"]:
                return self._create_invoice(given)
            case "GET", ["invoices", "search"]:
                return self._search(given["query"])
            case "GET", ["invoices"]:
                return self._listed(self.invoices, given, "customer")
            case "POST", ["invoiceitems"]:
                return self._create_item(given)
            case "GET", ["invoiceitems"]:
                return self._listed(self.items, given, "invoice")
            case "GET", ["invoices", invoice_id]:
                return self._shown(self._invoice(invoice_id))
            case "POST", ["invoices", invoice_id]:
                return self._update(self._invoice(invoice_id), given)
            case "DELETE", ["invoices", invoice_id]:
                return self._delete(self._invoice(invoice_id))
            case "POST", ["invoices", invoice_id, "finalize"]:
                return self._finalise(self._invoice(invoice_id), given)
            case "POST", ["invoices", invoice_id, "void"]:
                return self._void(self._invoice(invoice_id))
        raise Refused(404, "invalid_request_error", f"Unrecognized request URL ({parts.path})")

    def _create_invoice(self, given: Mapping[str, Any]) -> Any:
        known(given, INVOICE)
        due_date = self._due_date(given, given["collection_method"])
        self._customer(given["customer"])
        invoice = {
            "id": f"in_{next(self._numbers)}",
            "object": "invoice",
            "created": self.now_s,
            "status": "draft",
            "customer": given["customer"],
            "currency": given["currency"],
            "collection_method": given["collection_method"],
            "description": given.get("description"),
            "metadata": given.get("metadata", {}),
            "due_date": due_date,
        }
        self.invoices[invoice["id"]] = invoice
        return self._shown(invoice)

    def _due_date(self, given: Mapping[str, Any], collection: str) -> int | None:
        """One of both, of an invoice that is sent; and in the future."""
        told = {"days_until_due", "due_date"} & given.keys()
        if len(told) != (collection == "send_invoice"):
            raise Refused(400, "invalid_request_error", "days_until_due or due_date")
        if not told:
            return None
        value = given[told.pop()]
        if not re.fullmatch(r"[1-9]\d{0,10}", value):
            raise Refused(400, "invalid_request_error", "Invalid integer", "parameter_invalid")
        if "days_until_due" in given:
            return self.now_s + int(value) * 86_400
        if int(value) <= self.now_s:
            message = "Invalid timestamp: must be an integer Unix timestamp in the future."
            raise Refused(400, "invalid_request_error", message)
        return int(value)

    def _update(self, invoice: dict[str, Any], given: Mapping[str, Any]) -> Any:
        known(given, {"due_date", "days_until_due"})
        if invoice["status"] != "draft":
            raise Refused(400, "invalid_request_error", "Finalized invoices can't be updated")
        invoice["due_date"] = self._due_date(given, invoice["collection_method"])
        return self._shown(invoice)

    def _create_item(self, given: Mapping[str, Any]) -> Any:
        known(given, ITEM)
        self._customer(given["customer"])
        invoice = self._invoice(given["invoice"])
        if invoice["status"] != "draft" or invoice["currency"] != given["currency"]:
            raise Refused(400, "invalid_request_error", "The invoice is no draft of that currency")
        if not re.fullmatch(r"-?\d{1,12}", given["amount"]):
            raise Refused(400, "invalid_request_error", "Invalid integer", "parameter_invalid")
        amount = int(given["amount"])
        if given["currency"] in THREE_DECIMALS and amount % 10:
            raise Refused(400, "invalid_request_error", "Amount must be a multiple of 10")
        item = {
            "id": f"ii_{next(self._numbers)}",
            "object": "invoiceitem",
            "customer": given["customer"],
            "invoice": invoice["id"],
            "amount": amount,
            "currency": given["currency"],
            "description": given.get("description"),
            "metadata": given.get("metadata", {}),
        }
        self.items[item["id"]] = item
        return item

    def _finalise(self, invoice: dict[str, Any], given: Mapping[str, Any]) -> Any:
        if invoice["status"] != "draft":
            raise Refused(400, "invalid_request_error", "This invoice is already finalized")
        if invoice["due_date"] is not None and invoice["due_date"] <= self.now_s:
            raise Refused(400, "invalid_request_error", "The due date is in the past")
        total = self._shown(invoice)["total"]
        invoice["status"] = "open" if total > 0 else "paid"
        if given.get("auto_advance") == "true":
            self.collected.append((invoice["customer"], invoice["currency"], total))
        return self._shown(invoice)

    def _void(self, invoice: dict[str, Any]) -> Any:
        if invoice["status"] not in ("open", "uncollectible"):
            raise Refused(400, "invalid_request_error", "You can only void open invoices")
        invoice["status"] = "void"
        return self._shown(invoice)

    def _delete(self, invoice: dict[str, Any]) -> Any:
        if invoice["status"] != "draft":
            raise Refused(400, "invalid_request_error", "You can only delete draft invoices")
        del self.invoices[invoice["id"]]
        self.items = {k: i for k, i in self.items.items() if i["invoice"] != invoice["id"]}
        return {"id": invoice["id"], "object": "invoice", "deleted": True}

    def _search(self, query: str) -> Any:
        if not self.has_search:
            message = "Search functionality is not available to merchants in India"
            raise Refused(400, "invalid_request_error", message)
        found = re.fullmatch(r'metadata\["([^"]+)"\]:"((?:[^"\\]|\\.)*)"', query)
        if found is None:
            raise Refused(400, "invalid_request_error", "malformed query")
        wanted = re.sub(r"\\(.)", r"\1", found[2])
        data = [
            self._shown(invoice)
            for invoice in self.invoices.values()
            if invoice["metadata"].get(found[1]) == wanted
            and invoice["created"] + SEARCH_LAG_S <= self.now_s
            and self.search_finds
        ]
        return {"object": "search_result", "data": data, "has_more": False, "url": "/v1/x"}

    def _listed(self, things: dict[str, Any], given: Mapping[str, Any], by: str) -> Any:
        """The newest first, page by page."""
        known(given, {by, "limit", "created", "starting_after"})
        if by == "customer":
            self._customer(given["customer"])
        since = int(given.get("created", {}).get("gte", 0))
        wanted = [
            thing
            for thing in reversed(things.values())
            if thing[by] == given[by] and thing.get("created", since) >= since
        ]
        if after := given.get("starting_after"):
            ids = [thing["id"] for thing in wanted]
            wanted = wanted[ids.index(after) + 1 :]
        limit = int(given.get("limit", 10))
        page = [self._shown(t) if by == "customer" else t for t in wanted[:limit]]
        kind = "invoices" if by == "customer" else "invoiceitems"
        more = len(wanted) > limit
        return {"object": "list", "data": page, "has_more": more, "url": f"/v1/{kind}"}

    def _shown(self, invoice: dict[str, Any]) -> dict[str, Any]:
        amounts = [i["amount"] for i in self.items.values() if i["invoice"] == invoice["id"]]
        return {**invoice, "total": sum(amounts)}

    def _invoice(self, invoice_id: str) -> dict[str, Any]:
        if invoice_id not in self.invoices:
            message = f"No such invoice: '{invoice_id}'"
            raise Refused(404, "invalid_request_error", message, "resource_missing")
        return self.invoices[invoice_id]

    def _customer(self, customer: str) -> None:
        if customer not in self.customers:
            message = f"No such customer: '{customer}'"
            raise Refused(400, "invalid_request_error", message, "resource_missing")


def known(given: Mapping[str, Any], names: set[str]) -> None:
    if unknown := set(given) - names:
        message = f"Received unknown parameter: {unknown.pop()}"
        raise Refused(400, "invalid_request_error", message, "parameter_unknown")


def nested(pairs: list[tuple[str, str]]) -> dict[str, Any]:
    """`metadata[a]=1` as Stripe reads it."""
    form: dict[str, Any] = {}
    for name, value in pairs:
        path = re.findall(r"[^\[\]]+", name)
        place = form
        for step in path[:-1]:
            place = place.setdefault(step, {})
        if path[-1] in place:
            raise Refused(400, "invalid_request_error", f"{name} is given twice")
        place[path[-1]] = value
    return form


@asynccontextmanager
async def stripe_stand_in(*customers: str) -> AsyncIterator[StandIn]:
    stand_in = StandIn(customers=set(customers))
    async with wire_server(stand_in) as server:
        stand_in.url = server.url
        yield stand_in
