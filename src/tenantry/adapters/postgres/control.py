"""`ports.control.ControlPlane`: tenants, API keys, placements and budgets, as tenantry_control."""

from __future__ import annotations

import json
import zoneinfo
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import cache
from typing import Any

import asyncpg
import orjson

from tenantry.adapters.postgres import api_keys, budget_answers, principals
from tenantry.adapters.postgres.budget_rows import to_budget
from tenantry.adapters.postgres.contract_rates import check_rate
from tenantry.adapters.postgres.control_catalogues import ControlCatalogues
from tenantry.adapters.postgres.key_rows import to_key_row
from tenantry.adapters.postgres.pooled import Pooled
from tenantry.domain.budget import BudgetKey
from tenantry.domain.catalogue import Catalogue, Model
from tenantry.domain.contract import LIST_CURRENCY
from tenantry.domain.currency import is_currency
from tenantry.domain.errors import (
    BadRequest,
    Conflict,
    ModelNotFound,
    ModelRetired,
    NotFound,
    TenantSuspended,
)
from tenantry.domain.ids import ApiKeyId, TenantId, check_cursor, prefixed, uuid7
from tenantry.domain.placement import NO_ACCOUNT, Placement
from tenantry.domain.plan import Plan
from tenantry.domain.plan_values import check_regions
from tenantry.domain.price import PriceEdition
from tenantry.domain.tenant import (
    DEFAULT_SCOPES,
    Scope,
    Tenant,
    check_key_name,
    check_tenant_name,
    tenant_name_from,
)
from tenantry.ports.clock import Clock
from tenantry.ports.control import Budget, EditionRow, KeyRow, NewKey

Seal = Callable[[bytes, bytes], bytes]  # (secret, AAD) → sealed
PAGE_MAX = 1_000
DEFAULT_POOL_ID = "pool"  # where a tenant is that names no placement and there are several


class PostgresControl(Pooled):
    """`pepper` and `seal` are those that the directory hashes and opens with."""

    def __init__(self, control_pool: Any, *, pepper: bytes, seal: Seal, clock: Clock) -> None:
        assert len(pepper) >= 32, "the pepper must have at least 32 bytes"
        super().__init__(control_pool, "sql/control.sql")
        self._pepper = pepper
        self._seal = seal
        self._clock = clock
        self._catalogues = ControlCatalogues(self._sql)

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
    ) -> Tenant:
        """Raises `Conflict` where the name is taken, `BadRequest` where a value cannot be."""
        tenant_id = TenantId(self._new_id("tnt"))
        name = tenant_name_from(name)
        check_tenant_name(name)
        _check_contract(zone, anchor_day, currency)
        _check_regions(regions_allowed)
        async with self._transaction() as connection:
            await check_rate(connection, currency)
            # Others are no plan's name, and no text that the database would look for.
            plans = await self._catalogues.plans(connection, [plan]) if plan.isprintable() else []
            if not plans:
                raise BadRequest(f"There is no plan {plan}.")
            placement = await self._placement_of(connection, plans[0], placement)
            try:
                await connection.execute(
                    self._sql["insert_tenant"],
                    tenant_id,
                    name,
                    plan,
                    placement,
                    zone,
                    anchor_day,
                    LIST_CURRENCY,
                    None if regions_allowed is None else list(regions_allowed),
                )
            except asyncpg.UniqueViolationError:
                raise Conflict(f"There is a tenant named {name}.") from None
            if currency != LIST_CURRENCY:
                await connection.execute(self._sql["first_contract"], tenant_id, name, currency)
            return await self._tenant(connection, tenant_id)

    async def get_tenant(self, tenant: str) -> Tenant:
        async with self._transaction() as connection:
            return await self._tenant(connection, tenant)

    async def list_tenants(self, *, after: str | None = None, limit: int = 100) -> list[Tenant]:
        check_cursor("tnt", after)
        async with self._transaction() as connection:
            rows = await connection.fetch(
                self._sql["tenants"], None, after or "", min(limit, PAGE_MAX)
            )
        return principals.to_tenants(rows)

    async def set_suspended(self, tenant_id: TenantId, suspended: bool) -> None:
        status = "suspended" if suspended else "active"
        try:
            await self._change("set_status", tenant_id, status)
        except TenantSuspended as shredded:
            raise Conflict(shredded.message) from None

    async def create_key(
        self,
        tenant_id: TenantId,
        *,
        name: str = "",
        scopes: frozenset[Scope] | None = None,
        models_allowed: frozenset[str] | None = None,
        expires_at: datetime | None = None,
    ) -> NewKey:
        check_key_name(name)
        api_key_id = ApiKeyId(self._new_id("key"))
        secrets = api_keys.make_secrets(self._clock.random(api_keys.RANDOM_BYTES))
        sealed = self._seal(
            secrets.secret_access_key.encode(), api_keys.secret_aad(tenant_id, api_key_id)
        )
        async with self._transaction() as connection:
            tenant = await self._tenant(connection, tenant_id)
            if models_allowed:
                await self._check_models(connection, tenant, models_allowed)
            await connection.execute(
                self._sql["insert_key"],
                tenant_id,
                api_key_id,
                name,
                secrets.bearer[-api_keys.HINT_CHARS :],
                api_keys.bearer_hmac(self._pepper, secrets.bearer),
                secrets.access_key_id,
                sealed,
                sorted(DEFAULT_SCOPES if scopes is None else scopes),
                None if models_allowed is None else sorted(models_allowed),
                expires_at,
            )
        return NewKey(api_key_id, secrets.bearer, secrets.access_key_id, secrets.secret_access_key)

    async def list_keys(
        self, tenant_id: TenantId, *, after: str | None = None, limit: int = 100
    ) -> list[KeyRow]:
        check_cursor("key", after)
        values = (tenant_id, after or "", min(limit, PAGE_MAX))
        async with self._transaction() as connection:
            rows = await connection.fetch(self._sql["keys"], *values)
        return [to_key_row(row) for row in rows]

    async def revoke_key(self, tenant_id: TenantId, api_key_id: str) -> None:
        asked = budget_answers.named_key(api_key_id)
        await self._change("revoke_key", tenant_id, api_key_id, asked=asked)

    async def apply_plans(self, plans: Mapping[str, Mapping[str, Any]]) -> list[Plan]:
        """Raises `PlanError` before anything is written."""
        async with self._transaction() as connection:
            return await self._catalogues.apply_plans(connection, plans)

    async def list_plans(self, *, after: str | None = None, limit: int | None = None) -> list[Plan]:
        async with self._transaction() as connection:
            return await self._catalogues.plans(connection, after=after, limit=limit)

    async def list_models(self) -> list[Model]:
        async with self._transaction() as connection:
            return await self._catalogues.models(connection)

    async def current_prices(self) -> PriceEdition:
        """Raises `NotFound` where no edition has begun."""
        async with self._transaction() as connection:
            return await self._catalogues.current_prices(connection)

    async def list_placements(
        self, *, after: str | None = None, limit: int | None = None
    ) -> list[Placement]:
        async with self._transaction() as connection:
            rows = await connection.fetch(self._sql["placements"], after, limit)
        return [
            principals.to_placement(row["placement_id"], json.loads(row["definition"]))
            for row in rows
        ]

    async def apply_models(self, models: Sequence[Model]) -> None:
        async with self._transaction() as connection:
            await self._catalogues.apply_models(connection, models)

    async def import_prices(self, edition: PriceEdition) -> PriceEdition:
        async with self._transaction() as connection:
            return await self._catalogues.import_prices(connection, edition)

    async def import_editions(
        self, editions: Sequence[PriceEdition], *, upon: int
    ) -> list[PriceEdition]:
        async with self._transaction() as connection:
            await connection.execute(self._sql["lock_catalogues"])
            latest = await connection.fetchrow(self._sql["latest_edition"])
            if (latest["version"] if latest else 0) != upon:
                raise Conflict("Another edition was stored meanwhile: look at what this changes.")
            return [await self._catalogues.import_prices(connection, one) for one in editions]

    async def list_editions(self) -> list[EditionRow]:
        async with self._transaction() as connection:
            return await self._catalogues.editions(connection)

    async def price_edition(self, version: int) -> PriceEdition:
        async with self._transaction() as connection:
            return await self._catalogues.price_edition(connection, version)

    async def apply_placement(self, placement: Placement) -> None:
        """Raises `Conflict` for another account or kind where tenants are in it: their keys and
        documents lie in the account, and would be left there. The account that does not exist
        holds none, because no key is made in it."""
        try:
            placement.check()
        except ValueError as wrong:
            raise BadRequest(f"{wrong}.") from None
        if placement.account == NO_ACCOUNT and placement.id != DEFAULT_POOL_ID:
            raise BadRequest(f"`account` {NO_ACCOUNT} is none: it stands for one not known yet.")
        definition = orjson.dumps(principals.from_placement(placement)).decode()
        async with self._transaction() as connection:
            row = await connection.fetchrow(self._sql["placement_to_change"], placement.id)
            if row is not None and row["tenant_name"] is not None:
                old = principals.to_placement(row["placement_id"], json.loads(row["definition"]))
                stays = old.account in (placement.account, NO_ACCOUNT)
                if not stays or old.kind != placement.kind:
                    raise Conflict(
                        f"Placement {placement.id} has tenants, {row['tenant_name']} among them: "
                        f"it stays a {old.kind} in account {old.account}; make another one."
                    )
            await connection.execute(
                self._sql["upsert_placement"], placement.id, placement.kind, definition
            )

    async def set_budget(self, budget: Budget) -> None:
        values = (budget.period, budget.basis, budget.limit, budget.hard)
        async with self._transaction() as connection:
            answer = await connection.fetchval(
                self._sql["set_budget"], budget.tenant_id, _subject(budget), *values
            )
        budget_answers.raise_unless("set", answer)

    async def remove_budget(self, tenant_id: TenantId, key: BudgetKey) -> None:
        async with self._transaction() as connection:
            answer = await connection.fetchval(self._sql["remove_budget"], tenant_id, *key)
        budget_answers.raise_unless("removed", answer, asked=budget_answers.named(key))

    async def list_budgets(
        self, tenant_id: TenantId, *, after: BudgetKey | None = None, limit: int = 100
    ) -> list[Mapping[str, Any]]:
        values = (tenant_id, *(after or ("", "", "")), min(limit, PAGE_MAX))
        async with self._transaction() as connection:
            rows = await connection.fetch(self._sql["budgets"], *values)
        return [to_budget(row) for row in rows]

    async def _check_models(self, connection: Any, tenant: Tenant, names: frozenset[str]) -> None:
        """Names that the catalogue knows: of another one the key could call nothing."""
        catalogue = Catalogue(await self._catalogues.models(connection))
        profiles, today = tenant.placement.inference_profiles, self._clock.now().date()
        for name in sorted(names):
            try:
                catalogue.resolve(name, profiles, today=today)
            except (ModelNotFound, ModelRetired) as problem:
                raise BadRequest(f"`models_allowed`: {problem.message}") from None

    async def _placement_of(self, connection: Any, plan: Plan, placement: str | None) -> str:
        """The one that a new tenant is in for good."""
        if placement is None:
            if plan.placement == "silo":
                raise BadRequest(f"Plan {plan.name} needs a silo placement; name it.")
            pools = [row["placement_id"] for row in await connection.fetch(self._sql["pools"])]
            if len(pools) != 1 and DEFAULT_POOL_ID not in pools:
                there = ", ".join(pools) or "none"
                raise BadRequest(f"Name the tenant's pool placement; there are: {there}.")
            placement = DEFAULT_POOL_ID if DEFAULT_POOL_ID in pools else pools[0]
        row = await connection.fetchrow(self._sql["placement"], placement)
        if row is None:
            raise BadRequest(f"There is no placement {placement}.")
        if row["kind"] != plan.placement:
            raise BadRequest(f"Plan {plan.name} needs a {plan.placement} placement.")
        return placement

    async def _tenant(self, connection: Any, tenant: str) -> Tenant:
        row = await connection.fetchrow(self._sql["tenants"], tenant, "", 1)
        if row is None and (name := tenant_name_from(tenant)) != tenant:
            row = await connection.fetchrow(self._sql["tenants"], name, "", 1)
        if row is None:
            raise NotFound(f"There is no tenant {tenant[:200]}.")
        return principals.to_tenant(row)

    async def _change(self, name: str, *values: object, asked: str = "tenant") -> None:
        async with self._transaction() as connection:
            tag = await connection.execute(self._sql[name], *values)
        if tag == "UPDATE 0":
            raise NotFound(f"There is no {asked}.")

    def _new_id(self, prefix: str) -> str:
        unix_ms = int(self._clock.now().timestamp() * 1000)
        return prefixed(prefix, uuid7(unix_ms, self._clock.random(10)))


def _check_regions(regions: Sequence[str] | None) -> None:
    """BadRequest for what would allow nothing; None: all of the placement."""
    if regions is None:
        return
    if not regions:
        raise BadRequest("`regions_allowed` must not be empty; absent: all of the placement.")
    try:
        check_regions(regions)
    except ValueError as wrong:
        raise BadRequest(f"`regions_allowed`: {wrong}.") from None


def _check_contract(zone: str, anchor_day: int, currency: str) -> None:
    if zone not in _time_zones():
        raise BadRequest(f"{zone} is not an IANA time zone.")
    if not 1 <= anchor_day <= 31:
        raise BadRequest("The anchor day must be 1 to 31.")
    if not is_currency(currency):
        raise BadRequest("The currency must be an ISO 4217 code such as USD.")


@cache
def _time_zones() -> frozenset[str]:
    """Read from the file system once; without two names of it that are no zones of the database."""
    return frozenset(zoneinfo.available_timezones()) - {"localtime", "Factory"}


def _subject(budget: Budget) -> str:
    if budget.scope == "tenant":
        return "tenant"
    if not budget.scope_id:
        raise BadRequest(f"A budget of a {budget.scope} must say which.")
    return f"{budget.scope}:{budget.scope_id}"
