"""Settlement: each attempt ends once, both books are posted, holds fall free."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import asyncpg
import pytest
from tests.support.ledger import World, in_world, intent
from tests.support.postgres import Database

from tenantry.domain.errors import Unavailable
from tenantry.domain.usage import Usage
from tenantry.ports.admission import UNDELIVERED, AttemptOutcome
from tenantry.ports.control import Budget

USED = Usage(uncached_in=1_000, out=500)
COST, CHARGE = Decimal("0.0105"), Decimal("0.0315")
THROTTLED = "ThrottlingException"


def released(call: int, attempt: int) -> AttemptOutcome:
    return AttemptOutcome(call, attempt, "released", charged=False, error=THROTTLED)


def unknown(call: int, attempt: int, *, charged: bool = False) -> AttemptOutcome:
    return AttemptOutcome(call, attempt, "unknown", charged=charged, error="ReadTimeout")


def test_settled_three_times_posts_once(database: Database) -> None:
    async def body(world: World) -> None:
        reservation = await world.admitted()
        assert await world.budget() == (0, CHARGE)
        first = await world.settle(reservation, world.outcome(USED))
        again = [await world.settle(reservation, world.outcome(USED)) for _ in range(2)]
        assert first.posted
        assert [settled.posted for settled in again] == [False, False]
        assert await world.sums() == (COST, CHARGE)
        assert await world.sums(world.bert) == (0, 0)
        assert await world.budget() == (CHARGE, 0)
        assert await world.in_flight() == 0
        lines = await world.fetch(
            "SELECT token_class, quantity, unit_price, amount FROM customer_ledger ORDER BY 1"
        )
        assert [tuple(line) for line in lines] == [
            ("out", 500, 45, Decimal("0.0225")),
            ("uncached_in", 1_000, 9, Decimal("0.009")),
        ]

    in_world(database, body)


def test_settled_three_times_at_once_posts_once(database: Database) -> None:
    async def body(world: World) -> None:
        reservation = await world.admitted()
        outcome = world.outcome(USED)
        said = await asyncio.gather(*(world.settle(reservation, outcome) for _ in range(3)))
        assert sorted(settled.posted for settled in said) == [False, False, True]
        assert await world.sums() == (COST, CHARGE)

    in_world(database, body)


def test_a_billed_retry_is_two_costs_and_one_charge(database: Database) -> None:
    async def body(world: World) -> None:
        reservation = await world.admitted()
        await world.settle(reservation, unknown(0, 1), final=False)
        await world.admission.begin(
            reservation.tenant_id, reservation.request_id, intent(attempt=2)
        )
        await world.settle(reservation, world.outcome(USED, attempt=2))
        assert await world.sums() == (COST, CHARGE)
        assert await world.in_flight() == 0, "an unknown attempt keeps its hold, not its slot"
        [waiting] = await world.keeper.find_open(
            [(reservation.tenant_id, reservation.request_id, 0, 1)]
        )
        assert not waiting.charged, "the customer pays for one answer"
        late = world.outcome(USED, charged=waiting.charged)
        assert await world.keeper.true_up(waiting, late)
        assert not await world.keeper.true_up(waiting, late)
        assert await world.sums() == (2 * COST, CHARGE)
        waste = await world.fetch("SELECT debit, amount FROM cost_entry ORDER BY attempt")
        assert [tuple(row) for row in waste] == [("waste", COST), ("cost_of_sales", COST)]
        attempts = await world.fetch("SELECT ending, charged FROM attempt ORDER BY attempt")
        assert [tuple(row) for row in attempts] == [("settled", False), ("settled", True)]
        assert await world.budget() == (CHARGE, 0)

    in_world(database, body)


def test_throttled_four_times_then_answered(database: Database) -> None:
    async def body(world: World) -> None:
        reservation = await world.admitted()
        for attempt in range(1, 5):
            await world.settle(reservation, released(0, attempt), final=False)
            assert await world.budget() == (0, CHARGE), "one reservation throughout"
            await world.admission.begin(
                reservation.tenant_id, reservation.request_id, intent(attempt=attempt + 1)
            )
        await world.settle(reservation, world.outcome(USED, attempt=5))
        rows = await world.fetch("SELECT ending, error FROM attempt ORDER BY attempt")
        assert [tuple(row) for row in rows] == [("released", THROTTLED)] * 4 + [("settled", None)]
        assert await world.sums() == (COST, CHARGE)
        assert await world.budget() == (CHARGE, 0)

    in_world(database, body)


def test_a_settlement_moves_the_budgets_of_its_own_subjects_alone(database: Database) -> None:
    async def body(world: World) -> None:
        tenant = world.anna.tenant_id
        for user in ("ada", "bob"):
            await world.control.set_budget(
                Budget(tenant, "user", user, "month", "charge", Decimal(9))
            )
        await world.settle(await world.admitted(user_hash="ada"), world.outcome(USED))
        assert await world.budget("user:ada") == (CHARGE, 0)
        assert await world.budget("user:bob") == (0, 0)

    in_world(database, body)


def test_a_request_stays_open_while_one_of_its_attempts_is(database: Database) -> None:
    async def body(world: World) -> None:
        reservation = await world.admitted()
        await world.admission.begin(
            reservation.tenant_id, reservation.request_id, intent(attempt=2)
        )
        await world.settle(reservation, world.outcome(USED, charged=False))
        still = await world.fetch("SELECT attempt, state FROM intent")
        assert [tuple(row) for row in still] == [(2, "dispatched")]
        assert await world.budget() == (0, CHARGE)
        await world.settle(reservation, world.outcome(USED, attempt=2))
        assert await world.fetch("SELECT FROM intent") == []
        assert await world.sums() == (2 * COST, CHARGE)
        assert await world.budget() == (CHARGE, 0)

    in_world(database, body)


def test_outcomes_of_all_attempts_in_one_settlement(database: Database) -> None:
    async def body(world: World) -> None:
        reservation = await world.admitted(worst_cost=3 * COST, worst_charge=3 * CHARGE)
        for call, attempt in ((0, 2), (1, 1)):
            await world.admission.begin(
                reservation.tenant_id, reservation.request_id, intent(call, attempt)
            )
        await world.settle(
            reservation,
            released(0, 1),
            world.outcome(USED, attempt=2),
            world.outcome(USED, call=1),
        )
        assert await world.sums() == (2 * COST, 2 * CHARGE)
        assert await world.budget() == (2 * CHARGE, 0)
        assert await world.fetch("SELECT 1 FROM open_request") == []

    in_world(database, body)


def test_a_quarantined_attempt_holds_its_budget(database: Database) -> None:
    async def body(world: World) -> None:
        reservation = await world.admitted()
        rubbish = AttemptOutcome(
            0, 1, "unknown", quarantined="cache writes do not sum", raw={"inputTokens": 5}
        )
        assert (await world.settle(reservation, rubbish)).posted
        assert await world.budget() == (0, CHARGE)
        assert await world.sums() == (0, 0)
        assert await world.in_flight() == 0
        old = datetime.now(UTC) + timedelta(hours=1)
        assert await world.keeper.give_up(old) == 0, "it waits for a human"
        [waiting] = await world.keeper.open_attempts(10)
        assert waiting.request_id == reservation.request_id
        assert await world.keeper.true_up(waiting, world.outcome(USED))
        assert await world.sums() == (COST, CHARGE)
        assert await world.budget() == (CHARGE, 0)

    in_world(database, body)


def test_a_settlement_after_write_off_is_a_linked_adjustment(database: Database) -> None:
    async def body(world: World) -> None:
        reservation = await world.admitted()
        await world.settle(reservation, unknown(0, 1, charged=True))
        assert await world.budget() == (0, CHARGE)
        assert await world.keeper.give_up(datetime.now(UTC) + timedelta(hours=1)) == 1
        assert await world.budget() == (0, 0)
        assert await world.sums() == (0, 0)
        for posted in (True, False):
            settled = await world.settle(reservation, world.outcome(USED))
            assert settled.posted is posted
        assert await world.sums() == (COST, CHARGE)
        assert await world.budget() == (CHARGE, 0)
        [row] = await world.fetch("SELECT kind, flags FROM charge_entry")
        assert row["kind"] == "adjustment"
        assert "overdraft" not in row["flags"]

    in_world(database, body)


def test_a_charge_whose_answer_was_never_delivered_is_reversed(database: Database) -> None:
    """Contract 3: the commit held, nobody heard of it, and the caller was told 503."""

    async def body(world: World) -> None:
        kept = await world.admitted()
        await world.settle(kept, world.outcome(USED))
        lost = await world.admitted(user_hash="alice")
        await world.settle(lost, world.outcome(USED))
        late = world.outcome(USED, charged=False, flags=frozenset({UNDELIVERED}))
        for posted in (True, False):
            assert (await world.settle(lost, late)).posted is posted
        assert await world.sums() == (2 * COST, CHARGE)
        assert await world.budget() == (CHARGE, 0)
        lines = await world.fetch(
            "SELECT kind, token_class, quantity, amount, flags FROM customer_ledger"
            " WHERE request_id = $1 ORDER BY 1, 2",
            lost.request_id,
        )
        assert [tuple(line)[:4] for line in lines] == [
            ("reversal", "out", -500, Decimal("-0.0225")),
            ("reversal", "uncached_in", -1_000, Decimal("-0.009")),
            ("usage", "out", 500, Decimal("0.0225")),
            ("usage", "uncached_in", 1_000, Decimal("0.009")),
        ]
        assert "undelivered" in lines[0]["flags"]
        # A charge that was delivered stands, whoever says otherwise without the flag.
        assert not (await world.settle(kept, world.outcome(USED, charged=False))).posted
        # Where nothing had been committed, it is our waste from the first.
        unheard = await world.admitted()
        assert (await world.settle(unheard, late)).posted
        assert await world.sums() == (3 * COST, CHARGE)
        assert await world.sums(world.bert) == (0, 0)

    in_world(database, body)


def test_a_late_settlement_over_the_limit_is_flagged(database: Database) -> None:
    async def body(world: World) -> None:
        await world.control.set_budget(
            Budget(world.anna.tenant_id, "tenant", "", "month", "charge", CHARGE)
        )
        first = await world.admitted()
        await world.settle(first, released(0, 1))
        second = await world.admitted()  # takes all that the budget has
        await world.settle(first, world.outcome(USED))
        await world.settle(second, world.outcome(USED))
        assert await world.budget("tenant") == (2 * CHARGE, 0), "never hidden"
        rows = await world.fetch("SELECT kind, flags FROM charge_entry ORDER BY posted_at")
        assert [(r["kind"], "overdraft" in r["flags"]) for r in rows] == [
            ("adjustment", True),
            ("usage", False),
        ]

    in_world(database, body)


def test_more_than_was_reserved_is_posted_and_flagged(database: Database) -> None:
    async def body(world: World) -> None:
        await world.control.set_budget(
            Budget(world.anna.tenant_id, "tenant", "", "month", "cost", Decimal("0.02"))
        )
        twice = world.outcome(Usage(uncached_in=2_000, out=1_000))
        fits = await world.admitted(world.bert)
        await world.settle(fits, twice)
        passes = await world.admitted()
        await world.settle(passes, twice)
        rows = await world.fetch("SELECT tenant_id, flags FROM cost_entry")
        flags = {row["tenant_id"]: set(row["flags"]) for row in rows}
        assert flags[world.bert.tenant_id] == {"over_reserved"}
        assert flags[world.anna.tenant_id] == {"over_reserved", "overdraft"}
        assert await world.budget("tenant") == (2 * COST, 0)

    in_world(database, body)


@pytest.mark.parametrize("attempt", [1, 2])
@pytest.mark.parametrize("book", ["cost", "charge"])
def test_usage_is_never_a_credit(database: Database, book: str, attempt: int) -> None:
    """Whatever a worker says: its door to the gate takes amounts, not prices."""

    async def body(world: World) -> None:
        admitted = await world.admitted()
        if attempt > 1:
            await world.settle(admitted, released(0, 1), final=False)
            await world.admission.begin(
                admitted.tenant_id, admitted.request_id, intent(attempt=attempt)
            )
        honest = world.outcome(USED, attempt=attempt)
        assert honest.rated is not None
        credit = replace(honest, rated=replace(honest.rated, **{book: Decimal(-1_000)}))
        with pytest.raises(asyncpg.CheckViolationError):
            await world.settle(admitted, credit)
        assert await world.sums() == (0, 0)
        assert (await world.settle(admitted, honest)).posted

    in_world(database, body)


def test_begin_needs_an_open_request(database: Database) -> None:
    async def body(world: World) -> None:
        done = await world.admitted()
        await world.settle(done, world.outcome(USED))
        foreign = await world.admitted()
        for tenant_id, request_id in (
            (done.tenant_id, done.request_id),
            (world.bert.tenant_id, foreign.request_id),
        ):
            with pytest.raises(Unavailable):
                await world.admission.begin(tenant_id, request_id, intent(attempt=2))

    in_world(database, body)


def test_another_tenants_request_cannot_be_settled(database: Database) -> None:
    async def body(world: World) -> None:
        mine = await world.admitted()
        theirs = world.reservation(world.bert, request_id=mine.request_id)
        assert not (await world.settle(theirs, world.outcome(USED))).posted
        assert await world.sums() == (0, 0)
        assert await world.sums(world.bert) == (0, 0)
        assert await world.budget() == (0, CHARGE)

    in_world(database, body)


def test_a_hundred_events_in_one_batch_are_a_hundred_rows(database: Database) -> None:
    async def body(world: World) -> None:
        made = await asyncio.gather(*(world.admitted() for _ in range(100)))
        raw = {f"member{number}": number for number in range(200)}  # more than 1 MB in all
        padded = world.outcome(USED, raw=raw, upstream_request_id="x" * 8_000)
        await asyncio.gather(*(world.settle(each, padded) for each in made))
        assert await world.sums() == (100 * COST, 100 * CHARGE)
        assert await world.budget() == (100 * CHARGE, 0)
        [row] = await world.fetch("SELECT count(*), count(DISTINCT request_id) FROM attempt")
        assert tuple(row) == (100, 100)

    in_world(database, body)


def test_nothing_is_rounded_per_event(database: Database) -> None:
    async def body(world: World) -> None:
        tiny = Usage(cache_read=137)  # .0000411 a call, .0001233 charged
        worst = {"worst_cost": Decimal("0.0000411"), "worst_charge": Decimal("0.0001233")}
        made = await asyncio.gather(*(world.admitted(**worst) for _ in range(1_000)))
        await asyncio.gather(*(world.settle(each, world.outcome(tiny)) for each in made))
        [row] = await world.ledger.usage(
            world.anna, datetime(2020, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC), []
        )
        assert (row.tokens, row.charge) == ({"cache_read": 137_000}, Decimal("0.1233"))

    in_world(database, body)
