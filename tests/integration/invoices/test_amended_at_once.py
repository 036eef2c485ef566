"""Commands on one contract at the same moment: each changes what it names, and undoes no other."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from tests.support.billing import House
from tests.support.ledger import World, in_world
from tests.support.postgres import Database

from tenantry.adapters.postgres.contracts import PostgresContracts
from tenantry.application.agreements import TRIES, amend
from tenantry.domain.agreement import Agreement
from tenantry.domain.errors import BadRequest, Conflict
from tenantry.domain.ids import TenantId
from tenantry.domain.tenant import Tenant

CHANGES: tuple[Mapping[str, Any], ...] = (
    {"tax_rate": "0.2", "tax_starts_on": "2127-01-01"},
    {"address": ["0 Street"]},
    {"ends_on": "2126-12-31"},
    {"payment_days": 7},
)


class Overtaken(PostgresContracts):
    """Once what a command changes was read, another one comes in between: one of `changes` each
    time, while there are any."""

    def __init__(self, pool: Any, tenant: Tenant, *changes: Mapping[str, Any]) -> None:
        super().__init__(pool)
        self.behind = PostgresContracts(pool)
        self.tenant, self.changes = tenant, list(changes)

    async def set_contract(
        self, tenant_id: TenantId, agreement: Agreement, *, made_from: int
    ) -> Agreement | None:
        if self.changes:
            await amend(self.behind, self.tenant, self.changes.pop())
        return await super().set_contract(tenant_id, agreement, made_from=made_from)


def test_commands_at_once_all_hold(database: Database) -> None:
    async def body(world: World) -> None:
        house, bert = House.of(world), world.bert
        contracts = house.billing.contracts
        await house.contract(bert)
        for who in (world.anna, bert):  # hers is the first that is entered
            await asyncio.gather(*(amend(contracts, who.tenant, each) for each in CHANGES))
            versions = await contracts.contracts(who.tenant_id)
            last = versions[0]
            assert (last["tax_rate"], last["tax_starts_on"]) == ("0.2", "2127-01-01")
            assert (last["customer"]["address"], last["payment_days"]) == (["0 Street"], 7)
            assert last["ends_on"] == "2126-12-31"
            assert len(versions) == len(CHANGES) + (who is bert)

    in_world(database, body)


def test_what_is_entered_in_between_stays_and_is_held_against(database: Database) -> None:
    async def body(world: World) -> None:
        house, anna = House.of(world), world.anna
        pool = world.databases.control
        for who in (anna, world.bert):
            await house.contract(who, tax_rate=Decimal("0.1"), tax_label="VAT")
        dated = {"tax_rate": "0.2", "tax_starts_on": "2127-01-01"}
        made = await amend(Overtaken(pool, anna.tenant, dated), anna.tenant, {"tax_id": "1"})
        assert (made.tax_rate, made.tax_starts_on) == (Decimal("0.2"), date(2127, 1, 1))
        assert (made.customer.tax_id, made.version) == ("1", 3)
        named = {"tax_label": "VAT 20 %"}  # right with the rate of in between, and none before
        bert = world.bert.tenant
        made = await amend(Overtaken(pool, bert, {"tax_rate": "0.2"}), bert, {"payment_days": 9})
        assert (made.tax_rate, made.payment_days, made.version) == (Decimal("0.2"), 9, 3)
        with pytest.raises(BadRequest, match="tax_label says 20 %"):
            await amend(Overtaken(pool, bert, {"tax_rate": "0.3"}), bert, named)
        assert (await house.billing.contracts.contracts(bert.id, 1))[0]["version"] == 4

    in_world(database, body)


def test_who_is_overtaken_again_and_again_is_refused(database: Database) -> None:
    async def body(world: World) -> None:
        anna, pool = world.anna, world.databases.control
        others = [{"payment_days": days} for days in range(TRIES)]
        busy = Overtaken(pool, anna.tenant, *others)
        with pytest.raises(Conflict, match="changed by others all the time"):
            await amend(busy, anna.tenant, {"tax_id": "1"})
        [last, *_] = await busy.contracts(anna.tenant_id)
        assert (last["version"], last["customer"]["tax_id"]) == (TRIES, None)
        busy = Overtaken(pool, anna.tenant, *others[1:])
        assert (await amend(busy, anna.tenant, {"tax_id": "1"})).customer.tax_id == "1"
        assert await busy.contracts(world.bert.tenant_id) == []

    in_world(database, body)
