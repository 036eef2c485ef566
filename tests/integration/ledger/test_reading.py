"""What a tenant reads of itself, and the operator of all."""

import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from tests.support.ledger import World, in_world
from tests.support.postgres import Database

from tenantry.domain.errors import BadRequest
from tenantry.domain.usage import Usage
from tenantry.ports.admission import AttemptOutcome
from tenantry.ports.control import Budget

CHARGE = Decimal("0.0315")
USED = Usage(uncached_in=1_000, out=500)
ALL = (datetime(2020, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC))


async def _spend(world: World) -> None:
    for tags, user, run in (
        ({"feature": "chat", "team": "red"}, "alice", None),
        ({"feature": "chat"}, "bob", "run-1"),
        ({}, None, "run-1"),
    ):
        made = await world.admitted(tags=tags, user_hash=user, run_id=run)
        await world.settle(made, world.outcome(USED))
    made = await world.admitted(world.bert, tags={"feature": "chat"})
    await world.settle(made, world.outcome(USED))


@pytest.mark.parametrize(
    ("group_by", "expected"),
    [
        ([], {(): 3}),
        (["model"], {("synthetic",): 3}),
        (["user"], {("",): 1, ("alice",): 1, ("bob",): 1}),
        (["run"], {("",): 1, ("run-1",): 2}),
        (["tag"], {("",): 1, ("feature=chat",): 2, ("team=red",): 1}),
        (["run", "user"], {("", "alice"): 1, ("run-1", ""): 1, ("run-1", "bob"): 1}),
    ],
)
def test_usage_by_group(
    database: Database, group_by: list[str], expected: dict[tuple[str, ...], int]
) -> None:
    async def body(world: World) -> None:
        await _spend(world)
        rows = await world.ledger.usage(world.anna, *ALL, group_by)  # type: ignore[arg-type]
        assert {tuple(row.group.values()): row.requests for row in rows} == expected
        for row in rows:
            assert list(row.group) == group_by
            assert row.charge == row.requests * CHARGE
            assert row.tokens == {"uncached_in": 1_000 * row.requests, "out": 500 * row.requests}
            assert row.currency == "USD"

    in_world(database, body)


@pytest.mark.parametrize(
    "group_by", [["user"], ["run", "user"], ["tag", "run"], ["model", "user"], ["user", "day"]]
)
def test_usage_is_read_by_pages_to_its_end(database: Database, group_by: list[str]) -> None:
    async def body(world: World) -> None:
        for user, run, tags in (
            (f"user {n}", f"run-{n % 2}", {"team": f"{n % 3}", "ä": "ö"}) for n in range(7)
        ):
            for who in (world.anna, world.bert):
                made = await world.admitted(who, tags=tags, user_hash=user, run_id=run)
                await world.settle(made, world.outcome(USED))
        whole = await world.ledger.usage(world.anna, *ALL, group_by)  # type: ignore[arg-type]
        assert len(whole) > 3
        for limit in (1, 3, len(whole)):
            found, after = [], None
            while page := await world.ledger.usage(
                world.anna,
                *ALL,
                group_by,
                after=after,
                limit=limit,  # type: ignore[arg-type]
            ):
                assert len(page) <= limit
                found += page
                after = [*page[-1].group.values(), page[-1].currency]
            assert found == whole, "none twice, none left out"

    in_world(database, body)


@pytest.mark.parametrize("group_by", [["model"], ["day"], ["hour", "model"], []])
def test_a_page_of_the_small_roll_up_begins_behind_the_one_before(
    database: Database, group_by: list[str]
) -> None:
    async def body(world: World) -> None:
        await _spend(world)
        [row] = await world.ledger.usage(world.anna, *ALL, group_by, limit=1)  # type: ignore[arg-type]
        after = [*row.group.values(), row.currency]
        rest = await world.ledger.usage(world.anna, *ALL, group_by, after=after)  # type: ignore[arg-type]
        assert rest == []
        before = [*row.group.values(), "AAA"]
        again = await world.ledger.usage(world.anna, *ALL, group_by, after=before)  # type: ignore[arg-type]
        assert again == [row]
        with pytest.raises(BadRequest):
            await world.ledger.usage(world.anna, *ALL, ["day"], after=["never", "USD"])

    in_world(database, body)


@pytest.mark.parametrize(
    ("zone", "told"), [("Asia/Kathmandu", r":00:00\+05:45"), ("UTC", ":00:00Z")]
)
def test_days_and_hours_are_of_the_tenants_zone(database: Database, zone: str, told: str) -> None:
    """Hours are instants of RFC 3339, with seconds, as they are asked for."""

    async def body(world: World) -> None:
        await _spend(world)
        [row] = await world.ledger.usage(world.anna, *ALL, ["day", "hour", "key"])
        now = datetime.now(ZoneInfo(zone)).replace(tzinfo=None)
        assert row.group["key"] == world.anna.api_key_id
        assert row.group["day"] in {
            (now - timedelta(minutes=late)).date().isoformat() for late in (0, 5)
        }
        assert re.fullmatch(rf"{row.group['day']}T\d\d{told}", row.group["hour"])
        start = datetime.fromisoformat(row.group["hour"])
        end = start + timedelta(hours=1)
        [again] = await world.ledger.usage(world.anna, start, end, ["day", "hour", "key"])
        assert again == row

    in_world(database, body, zone=zone)


def test_a_span_is_half_open(database: Database) -> None:
    async def body(world: World) -> None:
        await _spend(world)
        rows = await world.fetch(
            "SELECT admitted_at FROM charge_entry WHERE tenant_id = $1 ORDER BY 1",
            world.anna.tenant_id,
        )
        first, last = rows[0][0], rows[-1][0]
        [row] = await world.ledger.usage(world.anna, first, last, [])
        assert row.requests == 2
        assert await world.ledger.usage(world.anna, *ALL[1:], ALL[1], []) == []

    in_world(database, body)


def test_limits_show_what_is_used(database: Database) -> None:
    async def body(world: World) -> None:
        await world.plan(
            requests_per_day=10, tokens_per_minute=9_000, concurrent_requests=5, monthly_budget="1"
        )
        await world.control.set_budget(
            Budget(
                world.anna.tenant_id, "api_key", world.anna.api_key_id, "day", "charge", Decimal(2)
            )
        )
        await world.control.set_budget(
            Budget(world.anna.tenant_id, "tenant", "", "month", "cost", Decimal(3))
        )
        await _spend(world)
        await world.admitted()
        limits = {row["name"]: row for row in await world.ledger.limits(world.anna)}
        assert {name: row["used"] for name, row in limits.items()} == {
            "requests_per_day": 4,
            "tokens_per_minute": 6_000,
            "concurrent_requests": 1,
            "monthly_budget": 4 * CHARGE,
            f"budget api_key:{world.anna.api_key_id}": 4 * CHARGE,
        }, "a guard in provider cost is not the tenant's to see"
        assert limits["requests_per_day"]["remaining"] == 6
        assert limits["monthly_budget"]["remaining"] == 1 - 4 * CHARGE
        bert = {row["name"]: row for row in await world.ledger.limits(world.bert)}
        assert bert["requests_per_day"]["used"] == 1
        assert f"budget api_key:{world.anna.api_key_id}" not in bert

    in_world(database, body)


def test_limits_show_those_of_documents_too(database: Database) -> None:
    async def body(world: World) -> None:
        await world.plan(documents_max=10, storage_max_mb=3, document_max_mb=2)
        await world.as_superuser(
            "INSERT INTO tenantry.knowledge_partition (tenant_id, documents, original_bytes)"
            " VALUES ($1, 7, 1000001), ($2, 1, 3000009)",
            world.anna.tenant_id,
            world.bert.tenant_id,
        )
        for who, documents, used, left in (
            (world.anna, 7, Decimal("1.000001"), Decimal("1.999999")),
            (world.bert, 1, Decimal("3.000009"), Decimal(0)),  # of a plan that had more
        ):
            limits = await world.ledger.limits(who)
            assert [
                (row["name"], row["limit"], row["used"], row["remaining"]) for row in limits
            ] == [
                ("documents_max", 10, documents, 10 - documents),
                ("storage_max_mb", 3, used, left),
                ("document_max_mb", 2, 0, 2),
            ]

    in_world(database, body)


def test_the_providers_book_by_attempt(database: Database) -> None:
    async def body(world: World) -> None:
        made = await world.admitted()
        await world.settle(made, world.outcome(USED))
        [row] = await world.keeper.provider_usage()
        assert (row.request_id, row.call, row.attempt) == (made.request_id, 0, 1)
        assert row.quantities == {"uncached_in": 1_000, "out": 500}

    in_world(database, body)


@pytest.mark.parametrize(
    ("damage", "invariant"),
    [
        ("UPDATE tenantry.budget_use SET settled = settled + 1", "balances_equal_replay"),
        ("UPDATE tenantry.counter SET in_flight = 7", "slots_equal_open_requests"),
        ("UPDATE tenantry.open_request SET state = NULL", "open_attempts_equal_intents"),
        (
            "UPDATE tenantry.open_request SET deadline_at = '2020-01-01'",
            "nothing_past_its_deadline",
        ),
        (
            "UPDATE tenantry.open_request SET state = 'unknown', admitted_at = '2020-01-01'",
            "no_unknown_past_its_hold",
        ),
        ("UPDATE tenantry.cost_entry SET kind = 'adjustment'", "every_entry_has_its_attempt"),
        ("DELETE FROM tenantry.cost_entry", "every_charge_has_its_cost"),
        ("UPDATE tenantry.cost_entry SET amount = amount + 1", "lines_add_up"),
        (
            "INSERT INTO tenantry.charge_entry SELECT (jsonb_populate_record(e,"
            " '{\"attempt\": 2}')).* FROM tenantry.charge_entry e",
            "a_call_is_charged_once",
        ),
    ],
)
def test_damage_is_found(database: Database, damage: str, invariant: str) -> None:
    async def body(world: World) -> None:
        await _spend(world)
        await world.admitted()
        assert await world.violations() == []
        await world.as_superuser(f"SET session_replication_role = replica; {damage}")
        assert invariant in {each.invariant for each in await world.violations()}
        # The world's end holds the invariants, so it begins anew.
        await world.as_superuser(
            "SET session_replication_role = replica; TRUNCATE tenantry.open_request,"
            " tenantry.later_intent, tenantry.charge_entry, tenantry.cost_entry;"
            " UPDATE tenantry.counter SET in_flight = 0;"
            " UPDATE tenantry.budget_use SET settled = 0, reserved = 0"
        )

    in_world(database, body)


def test_what_waits_past_the_hold_that_is_set_is_named(database: Database) -> None:
    async def body(world: World) -> None:
        [_, bert] = [await world.admitted(who) for who in (world.anna, world.bert)]
        await world.settle(bert, AttemptOutcome(0, 1, "unknown"))
        assert await world.keeper.violations(timedelta(hours=1)) == []
        [found] = await world.keeper.violations(timedelta(0))
        assert found.invariant == "no_unknown_past_its_hold"
        assert found.detail.startswith(world.bert.tenant_id)

    in_world(database, body)
