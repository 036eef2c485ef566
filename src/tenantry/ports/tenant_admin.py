"""What an admin of a tenant may change of its own tenant: budgets and API keys.

Owns: the words. Everything is of the principal's tenant; another tenant's things are `NotFound`. An
admin can neither see nor change what the operator alone may: guards in provider cost, and budgets
that the operator has set.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any, Protocol

from tenantry.domain.budget import BudgetKey
from tenantry.domain.tenant import Principal, Scope
from tenantry.ports.control import KeyRow, NewKey


class TenantAdmin(Protocol):
    async def budgets(
        self, principal: Principal, *, after: BudgetKey | None, limit: int
    ) -> list[Mapping[str, Any]]:
        """In order of their subjects; the plan's own among them."""
        ...

    async def currency(self, principal: Principal) -> str:
        """That of the contract: limits in the customer's charge are in it."""
        ...

    async def set_budget(
        self, principal: Principal, key: BudgetKey, amount: Decimal, hard: bool
    ) -> Mapping[str, Any]:
        """Sets or replaces one in the customer's charge; returns it as `budgets` shows it.

        Raises `NotFound` for an API key that is not the tenant's, `Forbidden` for a budget of the
        operator's.
        """
        ...

    async def remove_budget(self, principal: Principal, key: BudgetKey) -> None: ...

    async def keys(
        self, principal: Principal, *, after: str | None, limit: int
    ) -> list[KeyRow]: ...

    async def create_key(
        self,
        principal: Principal,
        *,
        name: str,
        scopes: frozenset[Scope],
        models_allowed: frozenset[str] | None,
        expires_at: datetime | None,
    ) -> NewKey:
        """A key whose secrets are shown this once, and that may do no more than its maker.

        `models_allowed` None: those of the maker; `expires_at` None: when the maker does. Raises
        `ModelNotAllowed` for other models, and `Forbidden` for a later time and where the operator
        has set a budget on the maker, which the new key's spending would escape.
        """
        ...

    async def revoke_key(self, principal: Principal, api_key_id: str) -> None:
        """Idempotent. Raises `NotFound`, and `Conflict` for the last good key of an admin."""
        ...
