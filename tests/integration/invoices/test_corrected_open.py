"""A correction of a span in which requests are still open: they settle at the wrong edition, so
they are told, and the same command corrects them once they have ended."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

from tests.support.billing import House, months_ago, period_of
from tests.support.ledger import MODEL, World, in_world, intent, synthetic_prices
from tests.support.postgres import Database

from tenantry.adapters.postgres.corrections import PostgresCorrections
from tenantry.application.corrections import Corrected, correct_prices
from tenantry.domain.tenant import Principal
from tenantry.domain.usage import Usage
from tenantry.ports.admission import AttemptOutcome, Reservation

BEFORE = months_ago(2)
USED = Usage(out=1_000_000)  # cost 15, charge 45
NOTHING = Decimal(0)


async def corrected(
    world: World, who: Principal, right: int, model: str | None = None, *, wrong: int = 1
) -> Corrected:
    span = period_of(who, BEFORE)
    fixes = PostgresCorrections(world.databases.control)
    edition = await world.directory.edition(right)
    return await correct_prices(
        fixes, who.tenant_id, span.start, span.end, wrong=wrong, right=edition, model=model
    )


async def doubled(world: World) -> int:
    return (await world.control.import_prices(synthetic_prices(Decimal(2)))).version


async def batch(world: World, who: Principal, records: int) -> Reservation:
    """Handed over: its records wait for what Bedrock says of them, and nothing more will begin."""
    made = await world.admitted(who)
    for call in range(1, records):
        await world.admission.begin(who.tenant_id, made.request_id, intent(call))
    waiting = [AttemptOutcome(call, 1, "unknown", error="batch") for call in range(records)]
    await world.settle(made, *waiting)
    return made


def test_records_of_a_batch_that_runs_are_left_and_corrected_once_they_have_ended(
    database: Database,
) -> None:
    async def body(world: World) -> None:
        house, anna, bert = House.of(world), world.anna, world.bert
        for who in (anna, bert):
            await house.used(who, USED, BEFORE)
        made = await batch(world, anna, 3)
        await house.move(made.request_id, BEFORE)
        await batch(world, bert, 2)  # another's, and of now
        right = await doubled(world)

        assert await corrected(world, anna, right) == Corrected(
            1, Decimal(15), Decimal(45), 3,
            (f"{made.request_id}: 3 attempts are still open; they settle at edition 1: run again",),
        )  # fmt: skip
        assert await corrected(world, bert, right) == Corrected(1, Decimal(15), Decimal(45))

        await world.settle(made, *(world.outcome(USED, call=call) for call in range(2)))
        await house.move(made.request_id, BEFORE)
        assert await corrected(world, anna, right) == Corrected(
            2, Decimal(30), Decimal(90), 1,
            (f"{made.request_id}: an attempt is still open; it settles at edition 1: run again",),
        )  # fmt: skip

        await world.settle(made, world.outcome(USED, call=2))
        await house.move(made.request_id, BEFORE)
        assert await corrected(world, anna, right) == Corrected(1, Decimal(15), Decimal(45))
        assert await corrected(world, anna, right) == Corrected(0, NOTHING, NOTHING)
        assert await world.sums(anna) == (4 * 30, 4 * 90)

    in_world(database, body)


def test_only_what_the_edition_holds_of_the_span_and_the_model_is_told(
    database: Database,
) -> None:
    async def body(world: World) -> None:
        house, anna = House.of(world), world.anna
        made = await batch(world, anna, 2)
        await house.move(made.request_id, BEFORE)
        later = await batch(world, anna, 2)
        await house.move(later.request_id, datetime.now(UTC) - timedelta(hours=1))
        right = await doubled(world)
        assert (await corrected(world, anna, right, MODEL)).left == 2
        assert (await corrected(world, anna, right, "another")).left == 0
        assert (await corrected(world, anna, 1, wrong=right)).left == 0
        for each in (made, later):
            await world.settle(each, *(world.outcome(USED, call=call) for call in range(2)))

    in_world(database, body)


def test_a_request_that_may_still_begin_a_call_is_told_whatever_the_model(
    database: Database,
) -> None:
    """Its first call has ended, as the embedding of a question: the next is of any model."""

    async def body(world: World) -> None:
        house, anna = House.of(world), world.anna
        made = await world.admitted(anna)
        await world.settle(made, world.outcome(USED), final=False)
        await house.move(made.request_id, BEFORE)
        right = await doubled(world)
        for model in (None, "another"):
            done = await corrected(world, anna, right, model)
            assert (done.attempts, done.left) == (0 if model else 1, 1)
        await world.admission.begin(anna.tenant_id, made.request_id, intent(1))
        await world.settle(made, world.outcome(USED, call=1))
        await house.move(made.request_id, BEFORE)
        assert await corrected(world, anna, right) == Corrected(1, Decimal(15), Decimal(45))

    in_world(database, body)
