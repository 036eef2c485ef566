"""The invocation log against attempts whose end nobody saw, whichever of the two comes first."""

import uuid
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from tests.support.ledger import MARKUP, MODEL, World, in_world, intent
from tests.support.postgres import Database
from tests.support.stored_logs import deliver, record

from tenantry.adapters import shipped
from tenantry.adapters.invocation_log.folder import FolderLog
from tenantry.application.true_up import TrueUp
from tenantry.domain.catalogue import Model
from tenantry.domain.price import COLUMNS, edition_from_csv
from tenantry.domain.usage import Usage
from tenantry.ports.admission import UNDELIVERED, AttemptOutcome, Reservation

HOLD = timedelta(hours=72)
TITAN = "amazon.titan-embed-text-v2:0"
USED = Usage(uncached_in=1_000, out=500)
COST = (1_000 * 3 + 500 * 15) / 10**6  # of such a record, in dollars


def true_up(world: World, root: Path) -> TrueUp:
    return TrueUp(world.keeper, world.directory, {"pool": FolderLog(root)})


async def read(reader: TrueUp) -> int:
    return (await reader.read_logs(datetime.now(UTC), HOLD)).trued_up


async def forget(world: World, reservation: Reservation) -> None:
    """Its worker saw no end of it: the attempt is unknown."""
    await world.settle(reservation, AttemptOutcome(0, 1, "unknown"))


def test_a_record_that_comes_before_its_attempt_is_in_doubt_is_not_lost(
    database: Database, tmp_path: Path
) -> None:
    async def body(world: World) -> None:
        mine, other = await world.admitted(), await world.admitted(world.bert)
        reader = true_up(world, tmp_path)
        deliver(tmp_path, record(mine), record(mine, rid=str(uuid.uuid4())))
        assert await read(reader) == 0  # the worker may still settle it
        await forget(world, mine)
        assert await read(reader) == 1
        assert float((await world.sums())[0]) == COST
        assert await read(reader) == 0  # the file is done with
        assert await world.sums(world.bert) == (0, 0)
        assert await world.in_flight(world.bert) == 1
        await forget(world, other)

    in_world(database, body)


@pytest.mark.parametrize("heard", ["before the log", "after the log"])
def test_what_was_swept_under_a_living_worker_is_our_waste_once_it_is_heard(
    database: Database, tmp_path: Path, heard: str
) -> None:
    """Its caller was told of a failure, whatever the log says of the model."""

    async def body(world: World) -> None:
        mine = await world.admitted()
        await forget(world, mine)  # as the sweep does: for all it knows the customer's
        failed = AttemptOutcome(0, 1, "unknown", charged=False, flags=frozenset({UNDELIVERED}))
        reader = true_up(world, tmp_path)
        deliver(tmp_path, record(mine))
        if heard == "before the log":
            await world.settle(mine, failed)
            await world.settle(mine, failed)
        assert await read(reader) == 1
        if heard == "after the log":
            await world.settle(mine, failed)
            await world.settle(mine, failed)
        cost, charge = await world.sums()
        assert (float(cost), charge) == (COST, 0)
        assert await world.budget() == (0, 0)

    in_world(database, body)


def test_an_attempt_that_its_worker_settles_is_not_posted_again(
    database: Database, tmp_path: Path
) -> None:
    async def body(world: World) -> None:
        mine = await world.admitted()
        reader = true_up(world, tmp_path)
        deliver(tmp_path, record(mine))
        assert await read(reader) == 0
        await world.settle(mine, AttemptOutcome(0, 1, "released", charged=False))
        await world.settle(await world.admitted(world.bert), AttemptOutcome(0, 1, "unknown"))
        # Released, and yet billed: an adjustment, our waste.
        assert await read(reader) == 1
        cost, charge = await world.sums()
        assert (float(cost), charge) == (COST, 0)
        assert await world.sums(world.bert) == (0, 0)

    in_world(database, body)


def test_each_attempt_of_a_request_is_judged_by_itself(database: Database, tmp_path: Path) -> None:
    async def body(world: World) -> None:
        mine = await world.admitted()
        await world.admission.begin(world.anna.tenant_id, mine.request_id, intent(attempt=2))
        reader = true_up(world, tmp_path)
        deliver(tmp_path, record(mine), record(mine, "0:2"))
        await world.settle(mine, AttemptOutcome(0, 1, "unknown", charged=False), final=False)
        assert await read(reader) == 1  # the second is still under way
        await world.settle(mine, AttemptOutcome(0, 2, "unknown"))
        assert await read(reader) == 1
        cost, charge = await world.sums()
        assert (float(cost), float(charge)) == (2 * COST, 3 * COST)  # one is our waste

    in_world(database, body)


def test_of_two_attempts_that_a_worker_left_behind_one_is_charged(
    database: Database, tmp_path: Path
) -> None:
    """Both are unknown and could be the customer's; one file tells of both."""

    async def body(world: World) -> None:
        mine, other = await world.admitted(), await world.admitted(world.bert)
        await world.admission.begin(world.anna.tenant_id, mine.request_id, intent(attempt=2))
        gone = [AttemptOutcome(0, attempt, "unknown") for attempt in (1, 2)]
        await world.settle(mine, *gone)
        await forget(world, other)
        deliver(tmp_path, record(mine), record(mine, "0:2"), record(other))
        assert await read(true_up(world, tmp_path)) == 3
        cost, charge = await world.sums()
        assert (float(cost), float(charge)) == (2 * COST, 3 * COST)
        cost, charge = await world.sums(world.bert)
        assert (float(cost), float(charge)) == (COST, 3 * COST)

    in_world(database, body)


def test_what_comes_for_an_embedding_that_was_given_up_has_its_cost(
    database: Database, tmp_path: Path
) -> None:
    """Its log has no output, and its input is priced as an embedding's."""

    async def body(world: World) -> None:
        await world.control.apply_models(shipped.bedrock_models())
        prices = await world.control.import_prices(
            edition_from_csv(
                [",".join(COLUMNS), f"{TITAN},default,0,embedding,0.40"],
                version=1,
                effective_from=datetime(2026, 1, 1, tzinfo=UTC),
                source="test",
            )
        )
        first = intent(operation="InvokeModel", model=TITAN, price_key=TITAN)
        mine = await world.admitted(price_version=prices.version, first=first)
        await world.settle(mine, AttemptOutcome(0, 1, "released", charged=False))
        deliver(tmp_path, {**record(mine), "output": {}})
        assert await read(true_up(world, tmp_path)) == 1
        cost, charge = await world.sums()
        assert (float(cost), charge) == (1_000 * 0.40 / 10**6, 0)

    in_world(database, body)


@pytest.mark.parametrize("end", ["released", "written_off", "retried"])
def test_what_comes_for_an_attempt_that_was_given_up_is_priced_as_it_was_asked_for(
    database: Database, tmp_path: Path, end: str
) -> None:
    """The log tells neither tier nor for how long a prefix was cached: the intent did."""

    async def body(world: World) -> None:
        pinned = {"tier": "priority", "write_class": "cache_write_1h", "family": "anthropic"}
        mine = await world.admitted(first=intent(pinned=pinned))
        if end == "released":
            await world.settle(mine, AttemptOutcome(0, 1, "released", charged=False))
        elif end == "written_off":
            await forget(world, mine)
            assert await world.keeper.give_up(datetime.now(UTC)) == 1
        else:  # the request went on with another attempt
            await world.admission.begin(mine.tenant_id, mine.request_id, intent(attempt=2))
            await world.settle(
                mine, AttemptOutcome(0, 1, "released", charged=False),
                world.outcome(USED, attempt=2),
            )  # fmt: skip
        before = await world.sums()
        written = {"inputTokenCount": 0, "cacheWriteInputTokenCount": 1_000}
        deliver(tmp_path, {**record(mine), "input": written, "output": {"outputTokenCount": 0}})
        assert await read(true_up(world, tmp_path)) == 1
        cost, charge = await world.sums()
        assert cost - before[0] == Decimal("0.0105")  # 1,000 at 6 x 1.75 a million
        assert charge == before[1], "our waste"

    in_world(database, body)


@pytest.mark.parametrize(
    "metadata",
    [
        *({"att": att} for att in ("0:99999", "-1:1", "0", "0:1:2", "a:b", "", "99999999999:1")),
        {"rid": "none"},
        {"tid": "tnt_of_another"},
    ],
    ids=str,
)
def test_a_stranger_in_the_account_cannot_stop_the_reading(
    database: Database, tmp_path: Path, metadata: dict[str, str]
) -> None:
    async def body(world: World) -> None:
        mine = await world.admitted()
        await forget(world, mine)
        reader = true_up(world, tmp_path)
        deliver(tmp_path, record(mine, **metadata))
        assert await read(reader) == 0
        deliver(tmp_path, record(mine))
        assert await read(reader) == 1

    in_world(database, body)


@pytest.mark.parametrize(
    ("table", "charge"),
    [
        ({"markup_by_class": {"out": "2"}}, "0.024"),  # .003 x 3 and .0075 x 2
        ({"markup_by_model": {MODEL: "4"}, "markup_by_class": {"out": "2"}}, "0.042"),
    ],
)
def test_what_the_log_tells_of_is_charged_by_the_markups_of_its_plan(
    database: Database, tmp_path: Path, table: Any, charge: str
) -> None:
    async def body(world: World) -> None:
        await world.control.apply_models([Model(MODEL, "nova", "chat", 300_000, 5_000, MODEL)])
        await world.plan(**table)
        mine = await world.admitted()
        await forget(world, mine)
        await world.plan(markup="9")  # meanwhile
        deliver(tmp_path, record(mine))
        assert await read(true_up(world, tmp_path)) == 1
        assert await world.sums() == (Decimal("0.0105"), Decimal(charge))

    in_world(database, body)


def test_a_tenant_that_changed_plans_is_trued_up_at_the_old_one(database: Database) -> None:
    async def body(world: World) -> None:
        admitted = await world.admitted()
        doubt = AttemptOutcome(0, 1, "unknown", charged=True)
        await world.settle(admitted, doubt)
        await world.control.apply_plans({"dearer": {"markup": "5"}})
        await world.as_superuser(
            "UPDATE tenantry.tenant SET plan = 'dearer' WHERE tenant_id = $1",
            world.anna.tenant_id,
        )
        refused = await world.refused()
        assert refused.code == "stale_plan", "although both plans have a version 1"
        [waiting] = await world.keeper.open_attempts(10)
        assert (waiting.plan, waiting.plan_version, waiting.markup) == ("standard", 1, MARKUP)
        key = (admitted.tenant_id, admitted.request_id, 0, 1)
        assert await world.keeper.find_open([key]) == [waiting]
        assert await world.keeper.true_up(waiting, world.outcome(USED))
        for book in ("charge_entry", "cost_entry"):
            [row] = await world.fetch(f"SELECT plan, plan_version FROM {book}")
            assert tuple(row) == ("standard", 1)

    in_world(database, body)
