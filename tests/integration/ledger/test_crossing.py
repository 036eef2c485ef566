"""The functions that cross tenants, asked by one tenant for what is another's.

Each keeps to the tenant that its caller names, or that the unit of work has taken up; also where
both tenants have a thing of the same name, which only a filter then keeps apart.
"""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import asyncpg
import pytest
from tests.support.billing import House, both_invoiced, months_ago, period_of
from tests.support.ledger import World, in_world, intent
from tests.support.postgres import Database

from tenantry.adapters.postgres import batch_words
from tenantry.domain.contract import ExchangeRate
from tenantry.domain.tenant import Principal, Scope
from tenantry.domain.usage import Usage
from tenantry.ports.admission import Settlement

USED = Usage(uncached_in=1_000, out=500)
ADMIN = frozenset({Scope.ADMIN})


async def _own(world: World, who: Principal, call: str, *values: object) -> Any:
    """What a tenant's own unit of work is answered."""
    async with world.work.writing(who.tenant_id) as unit:
        return await unit.fetchval(f"SELECT {call}", *values)


async def _rows(world: World, query: str, *values: object) -> list[Any]:
    connection = await asyncpg.connect(world.database.dsn("superuser"))
    try:
        found: list[Any] = await connection.fetch(query, *values)
        return found
    finally:
        await connection.close()


def test_a_key_opens_its_own_tenant(database: Database) -> None:
    async def body(world: World) -> None:
        for name, who in (("anna", world.anna), ("bert", world.bert)):
            key = world.keys[name]
            by_bearer = await world.directory.by_bearer(key.bearer, fresh=True)
            signer = await world.directory.by_access_key_id(key.access_key_id, fresh=True)
            signed = signer.who
            assert isinstance(signed, Principal)
            for found in (by_bearer, signed):
                assert (found.tenant_id, found.api_key_id) == (who.tenant_id, key.id)

    in_world(database, body)


def test_an_admin_makes_keys_for_its_own_tenant(database: Database) -> None:
    async def body(world: World) -> None:
        anna = await world.control.create_key(world.anna.tenant_id, scopes=ADMIN)
        bert = await world.control.create_key(world.bert.tenant_id, scopes=ADMIN)

        new = "key_" + "0" * 26

        async def made(by: str) -> Any:
            call = "create_own_key($1, $2, '', 'hint', $3, $4, '\\x00', '{infer}', NULL, NULL)"
            return await _own(world, world.anna, call, by, new, b"x" * 32, "TK" + "A" * 18)

        assert await made(bert.id) == "not_admin"
        assert await made(anna.id) == "created"
        (row,) = await _rows(world, "SELECT * FROM tenantry.api_key WHERE api_key_id = $1", new)
        assert row["tenant_id"] == world.anna.tenant_id

    in_world(database, body)


def test_an_admin_revokes_keys_of_its_own_tenant(database: Database) -> None:
    async def body(world: World) -> None:
        anna = await world.control.create_key(world.anna.tenant_id, scopes=ADMIN)
        bert = await world.control.create_key(world.bert.tenant_id, scopes=ADMIN)
        # Ids are made at random; that two are the same is made here.
        await world.as_superuser(
            "INSERT INTO tenantry.api_key SELECT (jsonb_populate_record(NULL::tenantry.api_key,"
            " to_jsonb(k) || jsonb_build_object('tenant_id', $1::text, 'access_key_id', 'TKSAME',"
            " 'bearer_hmac', '\\x' || repeat('77', 32)))).* FROM tenantry.api_key k"
            " WHERE k.api_key_id = $2",
            world.bert.tenant_id,
            world.anna.api_key_id,
        )
        revoke = "revoke_own_key($1, $2)"
        assert await _own(world, world.anna, revoke, anna.id, bert.id) == "unknown"
        assert await _own(world, world.anna, revoke, anna.id, world.anna.api_key_id) == "revoked"
        # Another tenant's admin is no second one of this tenant.
        assert await _own(world, world.anna, revoke, anna.id, anna.id) == "last_admin"
        gone = await _rows(
            world, "SELECT tenant_id FROM tenantry.api_key WHERE revoked_at IS NOT NULL"
        )
        assert [row["tenant_id"] for row in gone] == [world.anna.tenant_id]

    in_world(database, body)


async def _budgets(world: World) -> set[tuple[str, str, int]]:
    names = {world.anna.tenant_id: "anna", world.bert.tenant_id: "bert"}
    rows = await _rows(
        world,
        "SELECT tenant_id, subject, b.amount, u.amount AS used FROM tenantry.budget b"
        " FULL JOIN tenantry.budget_use u USING (tenant_id, subject, period, basis)"
        " WHERE subject <> 'plan'",
    )
    assert all(row["amount"] == row["used"] for row in rows)
    return {(names[row["tenant_id"]], row["subject"], int(row["amount"])) for row in rows}


def test_an_operators_budget_is_one_tenants(database: Database) -> None:
    async def body(world: World) -> None:
        control, anna, bert = world.databases.control, world.anna, world.bert
        place = "SELECT place_budget($1, $2, 'day', 'charge', $3, true)"
        for subject in ("tenant", f"api_key:{anna.api_key_id}"):
            assert await control.fetchval(place, anna.tenant_id, subject, 5) == "set"
        assert await control.fetchval(place, bert.tenant_id, "tenant", 7) == "set"
        foreign = f"api_key:{anna.api_key_id}"
        assert await control.fetchval(place, bert.tenant_id, foreign, 9) == "unknown_api_key"
        assert await control.fetchval(place, anna.tenant_id, "tenant", 6) == "set"
        alone = {("anna", "tenant", 6), ("anna", foreign, 5), ("bert", "tenant", 7)}
        assert await _budgets(world) == alone
        plain = "SELECT set_budget($1, 'run:r', 'day', 'charge', 3, true)"
        assert await control.fetchval(plain, bert.tenant_id) is True
        assert await _budgets(world) == alone | {("bert", "run:r", 3)}
        remove = "SELECT remove_budget($1, 'tenant', 'day', 'charge')"
        assert await control.fetchval(remove, bert.tenant_id) == "removed"
        assert await _budgets(world) == alone - {("bert", "tenant", 7)} | {("bert", "run:r", 3)}
        assert await control.fetchval(remove, bert.tenant_id) == "unknown"

    in_world(database, body)


def test_an_admins_budget_is_its_own_tenants(database: Database) -> None:
    async def body(world: World) -> None:
        place = "place_own_budget('tenant', 'day', $1, true)"
        for who, amount in ((world.anna, 5), (world.bert, 7)):
            assert await _own(world, who, place, amount) == "set"
        assert await _own(world, world.anna, place, 6) == "set"
        assert await _budgets(world) == {("anna", "tenant", 6), ("bert", "tenant", 7)}
        remove = "remove_own_budget('tenant', 'day')"
        assert await _own(world, world.anna, remove) == "removed"
        assert await _budgets(world) == {("bert", "tenant", 7)}
        assert await _own(world, world.anna, remove) == "unknown"

    in_world(database, body)


def test_budgets_go_with_their_own_shredded_tenant(database: Database) -> None:
    async def body(world: World) -> None:
        for who in (world.anna, world.bert):
            assert await _own(world, who, "place_own_budget('run:r', 'day', 5, true)") == "set"
        with pytest.raises(asyncpg.ObjectNotInPrerequisiteStateError):
            await _own(world, world.anna, "erase_own_budgets()")
        await world.as_superuser("UPDATE tenantry.tenant SET status = 'shredded'")
        plans = "SELECT tenant_id FROM tenantry.budget_use WHERE subject = 'plan'"
        before = await _rows(world, plans)
        for _ in range(2):
            await _own(world, world.anna, "erase_own_budgets()")
            assert await _budgets(world) == {("bert", "run:r", 5)}
        assert await _rows(world, plans) == before, "their calendar goes on"

    in_world(database, body)


def test_budgets_move_by_their_own_tenants_requests(database: Database) -> None:
    async def body(world: World) -> None:
        await world.admitted(world.bert)
        before = [await world.budget(who=world.bert), await world.in_flight(world.bert)]
        reservation = await world.admitted(world.anna)
        await world.settle(reservation, world.outcome(USED))
        after = [await world.budget(who=world.bert), await world.in_flight(world.bert)]
        assert before == after

    in_world(database, body, monthly_budget="5")


def test_a_request_of_the_same_id_is_another_tenants(database: Database) -> None:
    """Ids are ours, and random; here two tenants have one."""

    async def body(world: World) -> None:
        mine = await world.admitted(world.anna)
        theirs = await world.admitted(world.bert, request_id=mine.request_id)
        await world.settle(theirs, world.outcome(USED, end="unknown"))
        states = await _rows(world, "SELECT tenant_id, state FROM tenantry.open_request")
        assert {row["tenant_id"] for row in states if row["state"] == "unknown"} == {
            world.bert.tenant_id
        }
        await world.settle(mine, world.outcome(USED))
        left = await _rows(world, "SELECT tenant_id FROM tenantry.open_request")
        assert [row["tenant_id"] for row in left] == [world.bert.tenant_id]
        await world.settle(theirs, world.outcome(USED))
        assert await world.sums(world.anna) == await world.sums(world.bert)
        # One attempt of a call is charged; a call of the other tenant is another call.
        rows = await world.fetch("SELECT tenant_id FROM cost_entry WHERE charged")
        assert len(rows) == 2

    in_world(database, body)


@pytest.mark.parametrize("at_once", [True, False])
def test_what_is_posted_late_is_charged_by_tenant(database: Database, at_once: bool) -> None:
    """One attempt of a call is charged: of a call of one tenant."""

    async def body(world: World) -> None:
        mine = await world.admitted(world.anna)
        theirs = await world.admitted(world.bert, request_id=mine.request_id)
        # The other tenant's is the second attempt of a call of the same number.
        outcomes = (world.outcome(USED), world.outcome(USED, attempt=2))
        await world.admission.begin(theirs.tenant_id, theirs.request_id, intent(attempt=2))
        settlements = [
            Settlement(reservation.request_id, reservation.tenant_id, (outcome,), False)
            for reservation, outcome in zip((mine, theirs), outcomes, strict=True)
        ]
        if at_once:
            rows = batch_words.placed([batch_words.to_outcome_rows(each) for each in settlements])
            await world.databases.control.fetchval("SELECT post($1)", rows)
        else:
            for settlement in settlements:
                assert await world.keeper.post(settlement)
        rows = await world.fetch("SELECT tenant_id FROM cost_entry WHERE charged")
        assert {row[0] for row in rows} == {world.anna.tenant_id, world.bert.tenant_id}

    in_world(database, body)


def test_late_postings_are_charged_by_tenant(database: Database) -> None:
    async def body(world: World) -> None:
        mine = await world.admitted(world.anna)
        theirs = await world.admitted(world.bert, request_id=mine.request_id)
        for who, reservation in ((world.anna, mine), (world.bert, theirs)):
            await world.settle(reservation, world.outcome(USED, end="unknown"))
            await world.as_superuser(
                "UPDATE tenantry.open_request SET unknown_at = now() - interval '1 hour',"
                " admitted_at = admitted_at WHERE tenant_id = $1",
                who.tenant_id,
            )
        posted = await world.keeper.give_up((await _rows(world, "SELECT clock_timestamp()"))[0][0])
        assert posted == 2
        assert await _rows(world, "SELECT FROM tenantry.open_request") == []
        rows = await world.fetch("SELECT tenant_id FROM cost_entry WHERE ending = 'written_off'")
        assert {row[0] for row in rows} == {world.anna.tenant_id, world.bert.tenant_id}

    in_world(database, body)


def test_the_sweep_ends_the_request_whose_time_is_over(database: Database) -> None:
    async def body(world: World) -> None:
        mine = await world.admitted(world.anna)
        await world.admitted(world.bert, request_id=mine.request_id)
        await world.as_superuser(
            "UPDATE tenantry.open_request SET deadline_at = now() - interval '1 second'"
            " WHERE tenant_id = $1",
            world.anna.tenant_id,
        )
        await world.keeper.sweep()
        states = await _rows(world, "SELECT tenant_id, state FROM tenantry.open_request")
        states = [row for row in states if row["state"] != "unknown"]
        assert [row["tenant_id"] for row in states] == [world.bert.tenant_id]

    in_world(database, body)


def test_another_tenants_request_holds_up_no_period(database: Database) -> None:
    async def body(world: World) -> None:
        house, at = House.of(world), months_ago(1)
        for who in (world.anna, world.bert):
            await house.contract(who)
            await house.since(who, at.replace(day=1))
        open_one = await world.admitted(world.bert)
        await house.move(open_one.request_id, at)
        period = period_of(world.anna, at)
        control, own = world.databases.control, world.anna.tenant_id
        closing = "SELECT waiting FROM period_closing($1, $2, $3)"
        assert await control.fetchval(closing, own, period.start, period.end) == 0
        assert await control.fetchval(closing, world.bert.tenant_id, period.start, period.end) == 1
        await control.fetch("SELECT close_period($1, $2, $3)", own, period.start, period.end)
        rows = await _rows(world, "SELECT tenant_id, period_start FROM tenantry.billing_account")
        starts = {row["tenant_id"]: row["period_start"] for row in rows}
        assert starts[own] == period.end
        assert starts[world.bert.tenant_id] == period.start

    in_world(database, body)


def test_a_billing_lock_is_one_tenants(database: Database) -> None:
    async def body(world: World) -> None:
        carl = await world.control.create_tenant("carl", plan="standard", anchor_day=15)
        rows = await world.databases.control.fetch("SELECT * FROM lock_billing($1)", carl.id)
        assert [row["period_start"].day for row in rows] == [15]

    in_world(database, body)


def test_a_number_is_the_next_of_its_own_series(database: Database) -> None:
    async def body(world: World) -> None:
        await world.as_superuser(
            "INSERT INTO tenantry.invoice_series VALUES"
            " ('AAA-' || extract(year FROM now() AT TIME ZONE 'UTC'), 41)"
        )
        row = await world.databases.control.fetchrow("SELECT * FROM next_number('ZZZ')")
        assert row["count"] == 1
        await world.as_superuser("DELETE FROM tenantry.invoice_series")  # which no invoice has made

    in_world(database, body)


def test_an_invoice_is_voided_and_credited_by_its_own_tenant(database: Database) -> None:
    async def body(world: World) -> None:
        mine, _ = await both_invoiced(world)
        control, other = world.databases.control, world.bert.tenant_id
        gone = asyncpg.ObjectNotInPrerequisiteStateError
        with pytest.raises(gone):
            await control.fetchval("SELECT void_invoice($1, $2, 'no')", other, mine.number)
        (row,) = await _rows(
            world, "SELECT to_jsonb(i) FROM tenantry.invoice i WHERE number = $1", mine.number
        )
        series = json.loads(row[0])["series"]
        (last,) = await _rows(
            world, "SELECT last FROM tenantry.invoice_series WHERE series = $1", series
        )
        note = {
            **json.loads(row[0]),
            "tenant_id": other,
            "kind": "credit_note",
            "number": "XX-1",
            "invoice_id": "inv_x",
            "series_number": last[0] + 1,
            "credits_number": mine.number,
        }
        with pytest.raises(gone):
            finalise = "SELECT finalise($1::jsonb, $2, '[]', '[]')"
            await control.fetchval(finalise, json.dumps(note), b"{}")
        states = await _rows(world, "SELECT DISTINCT status FROM tenantry.invoice")
        assert [row[0] for row in states] == ["final"]

    in_world(database, body)


def test_prepaid_credit_is_one_tenants(database: Database) -> None:
    async def body(world: World) -> None:
        contracts = House.of(world).billing.contracts
        assert await contracts.grant_credit(world.anna.tenant_id, Decimal(10), "") == 10
        assert await contracts.grant_credit(world.bert.tenant_id, Decimal(3), "") == 3

    in_world(database, body)


def test_budgets_are_converted_by_their_own_tenants_contract(database: Database) -> None:
    async def body(world: World) -> None:
        house, today = House.of(world), (await _rows(world, "SELECT current_date"))[0][0]
        rates = {"EUR": Decimal("0.5"), "CHF": Decimal("0.25")}

        async def held() -> dict[str, Decimal]:
            rows = await _rows(world, "SELECT tenant_id, rate FROM tenantry.budget_use")
            names = {world.anna.tenant_id: "EUR", world.bert.tenant_id: "CHF"}
            return {names[row["tenant_id"]]: row["rate"] for row in rows}

        for currency, rate in rates.items():
            found = ExchangeRate(today, "USD", currency, rate, "a test")
            await house.billing.contracts.add_rate(found)
        await house.contract(world.anna, currency="EUR")
        assert await held() == {"EUR": rates["EUR"], "CHF": 1}
        await house.contract(world.bert, currency="CHF")
        assert await held() == rates

    in_world(database, body, monthly_budget="5")


def test_a_correction_is_of_one_tenants_usage(database: Database) -> None:
    async def body(world: World) -> None:
        theirs = await world.admitted(world.bert)
        await world.settle(theirs, world.outcome(USED))
        (row,) = await world.fetch("SELECT * FROM cost_entry")
        fix = {
            "request_id": str(row["request_id"]),
            "admitted_at": row["admitted_at"].isoformat(),
            "call": row["call"],
            "attempt": row["attempt"],
            "step": 0,
            "price_version": row["price_version"],
            **{name: ["1", "1"] for name in ("unit_costs", "costs", "unit_prices", "charges")},
        }
        before = await world.sums(world.bert)
        await world.databases.control.fetchval(
            "SELECT correct($1, $2::jsonb)", world.anna.tenant_id, json.dumps([fix])
        )
        assert await world.sums(world.bert) == before
        rows = await world.fetch(
            "SELECT kind FROM charge_entry UNION ALL SELECT kind FROM cost_entry"
        )
        assert {row[0] for row in rows} == {"usage"}

    in_world(database, body)
