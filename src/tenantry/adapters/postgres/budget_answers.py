"""What the gate's functions for budgets and a tenant's own keys answer, as errors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from tenantry.domain.budget import BudgetKey
from tenantry.domain.errors import (
    BadRequest,
    Conflict,
    Forbidden,
    ModelNotAllowed,
    NotFound,
    ScopeMissing,
    TenantryError,
)

_SHOWN_MAX: Final = 200  # characters of what a caller named

# By the words of migrations/0016_budgets.sql and 0047_keys_no_mightier.sql.
_ERRORS: Final[Mapping[str, tuple[type[TenantryError], str]]] = {
    "unknown_tenant": (NotFound, "There is no such tenant."),
    "unknown_api_key": (NotFound, "There is no such API key."),
    "operators": (Forbidden, "The operator has set this budget; only the operator changes it."),
    "too_many": (Conflict, "There are 10,000 already; remove what has ended."),
    "not_admin": (ScopeMissing, "The API key is no admin's any more."),
    "models": (ModelNotAllowed, "An API key can allow no more models than the one that makes it."),
    "outlives": (
        Forbidden,
        "`expires_at` can be no later than that of the API key that makes it.",
    ),
    "capped": (
        Forbidden,
        "The operator limits what this API key spends, so it makes no others; the operator can.",
    ),
    "expired": (BadRequest, "`expires_at` must lie in the future."),
    "last_admin": (Conflict, "It is the last API key of an admin; make another one first."),
}


def raise_unless(done: str, answer: str, *, asked: str = "thing") -> None:
    """Raises what an answer other than `done` means. `asked`: what was named. Of a budget the
    subject is told to the operator alone: a tenant may have the id of another's."""
    if answer == "unknown":
        raise NotFound(f"There is no {asked}.")
    if answer != done:
        kind, message = _ERRORS[answer]
        raise kind(message)


def named(key: BudgetKey) -> str:
    """As it is told of one that is not there."""
    return f"budget {key.subject[:_SHOWN_MAX]}, {key.period}, {key.basis}"


def named_key(api_key_id: str) -> str:
    return f"API key {api_key_id[:_SHOWN_MAX]}"
