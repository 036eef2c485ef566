"""Tenants from the time when names were not checked, whose names cannot stand on an invoice."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from tests.support.billing import ADDRESS, ISSUER, House, months_ago, period_of
from tests.support.ledger import World, in_world
from tests.support.postgres import Database

from tenantry.application.agreements import amend
from tenantry.application.invoice_lists import get_invoice, list_invoices
from tenantry.domain.errors import Conflict
from tenantry.domain.usage import Usage

LAST = months_ago(1)


@pytest.mark.parametrize("name", ["x\ny", "x" * 300])
def test_a_name_that_cannot_stand_on_an_invoice_is_told(database: Database, name: str) -> None:
    async def body(world: World) -> None:
        house, anna, now = House.of(world), world.anna, datetime.now(UTC)
        invoices = house.billing.invoices
        for who in (anna, world.bert):
            await house.since(who, months_ago(1, day=1))
            await house.used(who, Usage(out=1_000_000), LAST)
        await _named(house, name)
        tenant = await world.control.get_tenant(anna.tenant_id)
        heads = await list_invoices(invoices, tenant, now, ISSUER)
        assert heads and all("tenant's name must be" in head["trouble"] for head in heads)
        with pytest.raises(Conflict, match="name must be at most 200 printable characters"):
            await get_invoice(invoices, tenant, heads[0]["number"], now, ISSUER)
        with pytest.raises(Conflict, match=f"tenants contract {anna.tenant_id} --legal-name"):
            await house.finalise(anna, period_of(anna, LAST))
        changes = {"legal_name": "Anna Corp.", "address": ADDRESS}
        await amend(house.billing.contracts, tenant, changes)
        done = await house.finalise(anna, period_of(anna, LAST))
        assert done.document["customer"]["name"] == "Anna Corp."
        await house.contract(world.bert)
        assert (await house.finalise(world.bert, period_of(world.bert, LAST))).number

    in_world(database, body)


@pytest.mark.parametrize(
    ("name", "told"),
    [("x\ny" + "\x07" * 300, "x y[U+0007]"), ("\u200c", "[U+200C]"), ("\xad", "[U+00AD]")],
)
def test_a_first_contract_of_such_a_name_can_be_amended(
    database: Database, name: str, told: str
) -> None:
    async def body(world: World) -> None:
        house, anna = House.of(world), world.anna
        await house.contract(anna, currency="USD")
        await _named(house, name)
        tenant = await world.control.get_tenant(anna.tenant_id)
        [first] = await house.billing.contracts.contracts(anna.tenant_id)
        assert first["customer"]["name"].startswith(told)
        heads = await list_invoices(house.billing.invoices, tenant, datetime.now(UTC), ISSUER)
        assert all("trouble" not in head for head in heads)
        made = await amend(house.billing.contracts, tenant, {"legal_name": "Anna Corp."})
        assert (made.version, made.customer.name) == (2, "Anna Corp.")

    in_world(database, body)


async def _named(house: House, name: str) -> None:
    """The tenant, and the contract where there is one."""
    spelt = "U&'" + "".join(f"\\{ord(character):04x}" for character in name) + "'"
    who = house.world.anna.tenant_id
    await house.as_the_past(
        f"UPDATE tenantry.tenant SET name = {spelt} WHERE tenant_id = '{who}';"
        f"UPDATE tenantry.contract SET legal_name = {spelt} WHERE tenant_id = '{who}'"
    )
