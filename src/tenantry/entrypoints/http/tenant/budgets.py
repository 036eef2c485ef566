"""`/v1/budgets`: what an admin of a tenant caps, in the customer's charge."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Final, Literal

from msgspec import Struct

from tenantry.application.budgets import budget_subject
from tenantry.domain.budget import BudgetError, BudgetKey, Period, key_from_id, limit_from
from tenantry.domain.budget import Scope as BudgetScope
from tenantry.domain.errors import BadRequest, NotFound
from tenantry.domain.tenant import Scope
from tenantry.entrypoints.http.call import Call
from tenantry.entrypoints.http.described import LimitText, UserHash
from tenantry.entrypoints.http.json_body import to
from tenantry.entrypoints.http.paging import PAGE, page_of, page_response
from tenantry.entrypoints.http.response import Response, json_response
from tenantry.entrypoints.http.routes import own


class NewBudget(Struct, forbid_unknown_fields=True):
    scope: BudgetScope
    period: Period
    limit: LimitText
    scope_id: str | None = None  # the tenant itself where absent
    user_hash: UserHash | None = None  # in place of a user's name
    basis: Literal["charge"] = "charge"
    currency: str | None = None  # the contract's
    hard: bool = True


async def index(call: Call) -> Response:
    after, limit = budget_page_of(call.query(*PAGE))
    found = await call.services.tenant_admin.budgets(call.tenant(), after=after, limit=limit + 1)
    return page_response(found, limit, dict, lambda budget: key_of(budget).id)


async def place(call: Call) -> Response:
    """Sets or replaces one; 201 with what is settled and reserved of it already."""
    asked = to(NewBudget, call.json())
    principal = call.tenant()
    if asked.currency is not None:
        check_currency(asked.currency, await call.services.tenant_admin.currency(principal))
    amount = to_limit(asked.limit)
    subject = await budget_subject(
        call.services.labels,
        principal.tenant,
        asked.scope,
        asked.scope_id,
        user_hash=asked.user_hash,
    )
    key = BudgetKey(subject, asked.period, asked.basis)
    made = await call.services.tenant_admin.set_budget(principal, key, amount, asked.hard)
    return json_response(dict(made), 201)


async def remove(call: Call) -> Response:
    key = _key(call.params["budget"], NotFound("There is no such budget."))
    if key.basis != "charge":  # a guard of the operator's: no tenant learns whether it is there
        raise NotFound("There is no such budget.")
    await call.services.tenant_admin.remove_budget(call.tenant(), key)
    return Response(204)


def budget_page_of(query: Mapping[str, str]) -> tuple[BudgetKey | None, int]:
    """`page_of` a list of budgets. Raises `BadRequest`."""
    cursor, limit = page_of(query)
    if cursor is None:
        return None, limit
    return _key(cursor, BadRequest("`cursor` is not one that this list returned.")), limit


def to_limit(text: str) -> Decimal:
    """Raises `BadRequest`."""
    try:
        return limit_from(text)
    except BudgetError as error:
        raise BadRequest(f"`limit`: {error}.") from None


def check_currency(currency: str | None, contract: str) -> None:
    """Raises `BadRequest` for another one than the contract's: a limit means what it says."""
    if currency is not None and currency != contract:
        raise BadRequest(f"`currency` must be that of the contract, {contract}.")


def _key(text: str, problem: BadRequest | NotFound) -> BudgetKey:
    key = key_from_id(text)
    if key is None:
        raise problem
    return key


def key_of(budget: Mapping[str, object]) -> BudgetKey:
    """Also of the plan's own, which has no `id`."""
    scope, which = str(budget["scope"]), str(budget["scope_id"])
    subject = f"{scope}:{which}" if which else scope
    return BudgetKey(subject, str(budget["period"]), str(budget["basis"]))


_ADMIN: Final = Scope.ADMIN
ROUTES: Final = (
    own("GET", "/v1/budgets", index, "Budgets and what is left", _ADMIN, query=PAGE),
    own("POST", "/v1/budgets", place, "Set a budget", _ADMIN),
    own("DELETE", "/v1/budgets/{budget}", remove, "Remove a budget", _ADMIN),
)
