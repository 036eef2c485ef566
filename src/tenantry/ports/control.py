"""The control plane's writes: tenants, API keys, plans, prices, models, placements.

Owns: the words. An implementation writes as the `control` role; secrets are sealed or hashed
before they reach it, and a secret is returned exactly once, by `create_key`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Protocol

from tenantry.domain.budget import Basis, BudgetKey, Period
from tenantry.domain.budget import Scope as BudgetScope
from tenantry.domain.catalogue import Model
from tenantry.domain.ids import ApiKeyId, TenantId
from tenantry.domain.placement import Placement
from tenantry.domain.plan import Plan
from tenantry.domain.price import PriceEdition
from tenantry.domain.tenant import Scope, Tenant


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key as it is shown once. `bearer` is `tk_…`; the pair is for SigV4 clients."""

    id: ApiKeyId
    bearer: str
    access_key_id: str
    secret_access_key: str


@dataclass(frozen=True, slots=True)
class KeyRow:
    id: ApiKeyId
    name: str
    hint: str  # the last four characters of the bearer
    scopes: frozenset[Scope]
    models_allowed: frozenset[str] | None
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None


@dataclass(frozen=True, slots=True)
class EditionRow:
    """An edition of the price book without its prices. Backdated: imported after it began."""

    version: int
    effective_from: datetime
    source: str
    imported_at: datetime


@dataclass(frozen=True, slots=True)
class Budget:
    """A cap of one scope. `limit` 0 blocks all; `hard` False admits and alerts."""

    tenant_id: TenantId
    scope: BudgetScope
    scope_id: str  # the tenant's id, a key id, a user hash, a run id
    period: Period
    basis: Basis
    limit: Decimal
    hard: bool = True


class ControlPlane(Protocol):
    async def create_tenant(
        self,
        name: str,
        *,
        plan: str,
        placement: str | None = None,
        zone: str = "UTC",
        anchor_day: int = 1,
        currency: str = "USD",
        regions_allowed: Sequence[str] | None = None,
    ) -> Tenant: ...

    async def get_tenant(self, tenant: str) -> Tenant:
        """By id or by unique name; raises `NotFound`."""
        ...

    async def list_tenants(self, *, after: str | None = None, limit: int = 100) -> list[Tenant]: ...

    async def set_suspended(self, tenant_id: TenantId, suspended: bool) -> None:
        """Raises `NotFound`, and `Conflict` for a tenant that is shredded."""
        ...

    async def create_key(
        self,
        tenant_id: TenantId,
        *,
        name: str = "",
        scopes: frozenset[Scope] | None = None,
        models_allowed: frozenset[str] | None = None,
        expires_at: datetime | None = None,
    ) -> NewKey: ...

    async def list_keys(
        self, tenant_id: TenantId, *, after: str | None = None, limit: int = 100
    ) -> list[KeyRow]:
        """By id; `after`: the id that the page before ended with."""
        ...

    async def revoke_key(self, tenant_id: TenantId, api_key_id: str) -> None: ...

    async def apply_plans(self, plans: Mapping[str, Mapping[str, Any]]) -> list[Plan]:
        """Each changed plan gets the next version; unchanged ones keep theirs."""
        ...

    async def list_plans(self, *, after: str | None = None, limit: int | None = None) -> list[Plan]:
        """By name; `after`: a name. `limit` None: all."""
        ...

    async def now(self) -> datetime:
        """What time it is in the database: what is priced from now on is so by its clock."""
        ...

    async def list_models(self) -> list[Model]: ...

    async def current_prices(self) -> PriceEdition:
        """The edition in force now, by the database's clock."""
        ...

    async def apply_models(self, models: Sequence[Model]) -> None: ...

    async def import_prices(self, edition: PriceEdition) -> PriceEdition:
        """Stores an edition under the next version. An edition is never changed."""
        ...

    async def import_editions(
        self, editions: Sequence[PriceEdition], *, upon: int
    ) -> list[PriceEdition]:
        """`import_prices` of all of them, or of none. Raises `Conflict` where the newest version is
        not `upon` (0: there is none): what they were made of is not the book any more."""
        ...

    async def list_editions(self) -> list[EditionRow]:
        """Every edition, in the order in which they begin, then of their versions."""
        ...

    async def price_edition(self, version: int) -> PriceEdition:
        """Raises `NotFound`."""
        ...

    async def list_placements(
        self, *, after: str | None = None, limit: int | None = None
    ) -> list[Placement]:
        """By id; `after`: an id. `limit` None: all."""
        ...

    async def apply_placement(self, placement: Placement) -> None: ...

    async def set_budget(self, budget: Budget) -> None:
        """Sets or replaces it; what its present period has spent and holds already counts."""
        ...

    async def remove_budget(self, tenant_id: TenantId, key: BudgetKey) -> None:
        """Holds from the next request on. Raises `NotFound`."""
        ...

    async def list_budgets(
        self, tenant_id: TenantId, *, after: BudgetKey | None = None, limit: int = 100
    ) -> list[Mapping[str, Any]]:
        """The plan's own and all that were set, with what is settled, reserved and left; by
        subject, period and basis."""
        ...
