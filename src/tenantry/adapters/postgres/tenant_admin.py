"""`ports.tenant_admin.TenantAdmin`: a tenant's own budgets and API keys, as tenantry_app."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from tenantry.adapters.postgres import api_keys, budget_answers
from tenantry.adapters.postgres.budget_rows import to_budget
from tenantry.adapters.postgres.key_rows import to_key_row
from tenantry.adapters.postgres.statements import statements
from tenantry.adapters.postgres.unit_of_work import TenantReader, TenantWork
from tenantry.domain.budget import PERIODS, BudgetKey
from tenantry.domain.ids import ApiKeyId, check_cursor, prefixed, uuid7
from tenantry.domain.tenant import Principal, Scope, check_key_name
from tenantry.ports.clock import Clock
from tenantry.ports.control import KeyRow, NewKey

_OF_ONE_SUBJECT = len(PERIODS) + 1  # in charge, and the plan's own
Seal = Callable[[bytes, bytes], bytes]  # (secret, AAD) → sealed


class PostgresTenantAdmin:
    """`pepper` and `seal` are those that the directory hashes and opens with."""

    def __init__(self, work: TenantWork, *, pepper: bytes, seal: Seal, clock: Clock) -> None:
        self._work = work
        self._pepper = pepper
        self._seal = seal
        self._clock = clock
        self._sql = statements("sql/tenant_admin.sql")
        self._budgets = statements("sql/ledger.sql")["budgets"]

    async def budgets(
        self, principal: Principal, *, after: BudgetKey | None, limit: int
    ) -> list[Mapping[str, Any]]:
        subject, period = ("", "") if after is None else after[:2]
        async with self._work.reading(principal.tenant_id) as unit:
            return await self._listed(unit, None, subject, period, limit)

    async def currency(self, principal: Principal) -> str:
        async with self._work.reading(principal.tenant_id) as unit:
            currency: str = await unit.fetchval(self._sql["currency"], unit.tenant_id)
        return currency

    async def set_budget(
        self, principal: Principal, key: BudgetKey, amount: Decimal, hard: bool
    ) -> Mapping[str, Any]:
        assert key.basis == "charge", "a guard in provider cost is the operator's"
        async with self._work.writing(principal.tenant_id) as unit:
            answer = await unit.fetchval(
                self._sql["set_budget"], key.subject, key.period, amount, hard
            )
            budget_answers.raise_unless("set", answer)
            found = await self._listed(unit, [key.subject], "", "", _OF_ONE_SUBJECT)
        return next(budget for budget in found if budget["id"] == key.id)

    async def remove_budget(self, principal: Principal, key: BudgetKey) -> None:
        async with self._work.writing(principal.tenant_id) as unit:
            answer = await unit.fetchval(self._sql["remove_budget"], key.subject, key.period)
        budget_answers.raise_unless("removed", answer, asked="such budget")

    async def keys(self, principal: Principal, *, after: str | None, limit: int) -> list[KeyRow]:
        check_cursor("key", after)
        async with self._work.reading(principal.tenant_id) as unit:
            rows = await unit.fetch(self._sql["keys"], principal.tenant_id, after or "", limit)
        return [to_key_row(row) for row in rows]

    async def create_key(
        self,
        principal: Principal,
        *,
        name: str,
        scopes: frozenset[Scope],
        models_allowed: frozenset[str] | None,
        expires_at: datetime | None,
    ) -> NewKey:
        check_key_name(name)
        unix_ms = int(self._clock.now().timestamp() * 1_000)
        api_key_id = ApiKeyId(prefixed("key", uuid7(unix_ms, self._clock.random(10))))
        made = api_keys.make_secrets(self._clock.random(api_keys.RANDOM_BYTES))
        aad = api_keys.secret_aad(principal.tenant_id, api_key_id)
        models = principal.models_allowed if models_allowed is None else models_allowed
        async with self._work.writing(principal.tenant_id) as unit:
            answer = await unit.fetchval(
                self._sql["create_key"],
                principal.api_key_id,
                api_key_id,
                name,
                made.bearer[-api_keys.HINT_CHARS :],
                api_keys.bearer_hmac(self._pepper, made.bearer),
                made.access_key_id,
                self._seal(made.secret_access_key.encode(), aad),
                sorted(scopes),
                None if models is None else sorted(models),
                expires_at,
            )
        budget_answers.raise_unless("created", answer)
        return NewKey(api_key_id, made.bearer, made.access_key_id, made.secret_access_key)

    async def revoke_key(self, principal: Principal, api_key_id: str) -> None:
        async with self._work.writing(principal.tenant_id) as unit:
            answer = await unit.fetchval(self._sql["revoke_key"], principal.api_key_id, api_key_id)
        budget_answers.raise_unless("revoked", answer, asked=budget_answers.named_key(api_key_id))

    async def _listed(
        self,
        unit: TenantReader,
        subjects: list[str] | None,
        after_subject: str,
        after_period: str,
        limit: int,
    ) -> list[Mapping[str, Any]]:
        rows = await unit.fetch(
            self._budgets, unit.tenant_id, subjects, after_subject, after_period, limit
        )
        return [to_budget(row) for row in rows]
