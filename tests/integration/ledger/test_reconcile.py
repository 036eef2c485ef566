"""The provider's book as it is posted, held against a log as it is delivered."""

from __future__ import annotations

import gzip
import json
import secrets
import uuid
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from tests.support.archiving import (
    archive_in,
    instant_of,
    month_ago,
    rolled_up,
    with_partitions,
)
from tests.support.billing import House, months_ago, period_of
from tests.support.ledger import MODEL, World, in_world, intent, synthetic_prices
from tests.support.postgres import Database

from tenantry.adapters.invocation_log.folder import FolderLog
from tenantry.adapters.postgres.corrections import PostgresCorrections
from tenantry.adapters.postgres.keeper import PostgresLedgerKeeper
from tenantry.adapters.sorting import DiskSorter
from tenantry.application.archiving import archive_month
from tenantry.application.corrections import correct_prices
from tenantry.application.reconcile import NAMED_MAX, NoLog, Report, Sides, reconcile
from tenantry.domain.catalogue import Model
from tenantry.domain.errors import Conflict
from tenantry.domain.ids import uuid7
from tenantry.domain.reconciliation import Booked, BreakKind
from tenantry.domain.usage import Usage
from tenantry.ports.admission import AttemptOutcome, Reservation

USED = Usage(uncached_in=1_000, out=500)
COST = Decimal("0.0105")
DAY = timedelta(days=1)
HOUR = timedelta(hours=1)


def record(mine: Reservation, att: str = "0:1", **members: Any) -> dict[str, Any]:
    """What Bedrock logs of a call with 1,000 tokens in and 500 out."""
    return {
        "timestamp": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "requestId": str(uuid.uuid4()),
        "modelId": MODEL,
        "requestMetadata": {"rid": str(mine.request_id), "tid": mine.tenant_id, "att": att},
        "input": {"inputTokenCount": 1_000},
        "output": {"outputTokenCount": 500},
        **members,
    }


def deliver(root: Path, *records: Any, account: str = "111111111111") -> None:
    hour = datetime.now(UTC).strftime("%Y/%m/%d/%H")
    folder = root / f"AWSLogs/{account}/BedrockModelInvocationLogs/us-east-1/{hour}"
    folder.mkdir(parents=True, exist_ok=True)
    lines = "\n".join(one if isinstance(one, str) else json.dumps(one) for one in records)
    (folder / f"{uuid.uuid4()}.json.gz").write_bytes(gzip.compress(lines.encode()))


async def held(
    world: World,
    root: Path,
    *,
    log_delay: timedelta = timedelta(),
    start: datetime | None = None,
) -> Report:
    model = Model(MODEL, "anthropic", "chat", 100_000, 10_000, price_key=MODEL)
    await world.control.apply_models([model])
    now = datetime.now(UTC)
    keeper = PostgresLedgerKeeper(world.databases.control, world.databases.operator, book_rows=2)
    with DiskSorter(run_chars_max=500) as sorter:
        log = FolderLog(root, anywhere=True)
        sides = Sides(keeper, world.directory, (log,), sorter, named=True)
        return await reconcile(sides, start or now - DAY, now + DAY, now, log_delay)


def cut_short(root: Path) -> None:
    [file] = root.rglob("*.json.gz")
    file.write_bytes(file.read_bytes()[:-2_000])


def kinds(report: Report) -> list[tuple[BreakKind, str | None]]:
    return [(found.kind, found.tenant_id) for found in report.breaks]


async def booked(world: World, rows: int) -> list[Booked]:
    keeper = PostgresLedgerKeeper(world.databases.control, world.databases.operator, book_rows=rows)
    now = datetime.now(UTC)
    batches: Sequence[Sequence[Booked]] = [b async for b in keeper.booked(now - DAY, now + DAY)]
    return [one for batch in batches for one in batch]


@pytest.mark.parametrize("rows", [1, 2, 3, 1_000])
def test_every_attempt_comes_once_and_in_order(database: Database, rows: int) -> None:
    async def body(world: World) -> None:
        for who in (world.anna, world.bert, world.anna):
            mine = await world.admitted(who)
            await world.admission.begin(who.tenant_id, mine.request_id, intent(attempt=2))
            failed = AttemptOutcome(0, 1, "released", charged=False)
            await world.settle(mine, failed, final=False)
            await world.settle(mine, world.outcome(USED, attempt=2))
        lost = await world.admitted(world.bert)
        await world.settle(lost, AttemptOutcome(0, 1, "unknown"))
        found = await booked(world, rows)
        assert [one.key for one in found] == sorted({one.key for one in found})
        assert sorted((one.state, one.cost) for one in found) == [
            *[("released", Decimal(0))] * 3,
            *[("settled", COST)] * 3,
            ("unknown", Decimal(0)),
        ]
        assert {one.tenant_id for one in found} == {world.anna.tenant_id, world.bert.tenant_id}

    in_world(database, body)


def test_what_was_written_off_has_the_tier_that_it_was_asked_for_at(database: Database) -> None:
    async def body(world: World) -> None:
        lost = await world.admitted(first=intent(pinned={"tier": "batch"}))
        await world.settle(lost, AttemptOutcome(0, 1, "unknown"))
        assert await world.keeper.give_up(datetime.now(UTC) + timedelta(minutes=1)) == 1
        [found] = await booked(world, 10)
        assert (found.state, found.service_tier) == ("written_off", "batch")

    in_world(database, body)


@pytest.mark.parametrize("rows", [1, 2, 1_000])
def test_what_came_late_is_part_of_its_attempt(database: Database, rows: int) -> None:
    async def body(world: World) -> None:
        mine, other = await world.admitted(), await world.admitted(world.bert)
        await world.settle(mine, AttemptOutcome(0, 1, "released", charged=False))
        await world.settle(mine, world.outcome(USED, charged=False))
        await world.settle(other, world.outcome(USED))
        found = {one.tenant_id: one for one in await booked(world, rows)}
        late = found[mine.tenant_id]
        assert (late.state, late.cost) == ("released", COST)
        assert late.quantities == {"uncached_in": 1_000, "out": 500}
        assert len(found) == 2

    in_world(database, body)


@pytest.mark.parametrize("rows", [1, 2, 1_000])
def test_a_corrected_attempt_is_judged_by_the_edition_that_corrected_it(
    database: Database, tmp_path: Path, rows: int
) -> None:
    async def body(world: World) -> None:
        mine, other = await world.admitted(), await world.admitted(world.bert)
        for one in (mine, other):
            await world.settle(one, world.outcome(USED))
        right = await world.control.import_prices(synthetic_prices(Decimal(2)))
        fixes, now = PostgresCorrections(world.databases.control), datetime.now(UTC)
        done = await correct_prices(
            fixes, mine.tenant_id, now - DAY, now + DAY, wrong=world.prices.version,
            right=right,
        )  # fmt: skip
        assert done.attempts == 1
        found = {one.tenant_id: one for one in await booked(world, rows)}
        corrected, kept = found[mine.tenant_id], found[other.tenant_id]
        assert (corrected.price_version, corrected.cost) == (right.version, 2 * COST)
        assert (kept.price_version, kept.cost) == (world.prices.version, COST)
        assert corrected.quantities == kept.quantities == {"uncached_in": 1_000, "out": 500}
        deliver(tmp_path, record(mine), record(other))
        assert kinds(await held(world, tmp_path)) == []

    in_world(database, body)


def test_two_tenants_and_every_kind_of_break(database: Database, tmp_path: Path) -> None:
    async def body(world: World) -> None:
        plain = [await world.admitted(who) for who in (world.anna, world.bert) * 3]
        for one in plain:
            await world.settle(one, world.outcome(USED))
        missing, doubled, more, absent, *fine = plain
        lost = await world.admitted(world.bert)
        await world.settle(lost, AttemptOutcome(0, 1, "unknown"))
        under_way = await world.admitted()
        strangers = [record(missing, att="0:9"), {**record(missing), "requestMetadata": None}]
        deliver(tmp_path / "a", *(record(one) for one in (*fine, under_way)), *strangers)
        deliver(
            tmp_path / "deep/er",
            record(doubled),
            record(more, output={"outputTokenCount": 501}),
            record(absent, modelId="nobody.knows-it-v1:0"),
            account="222222222222",
        )
        deliver(tmp_path / "a", record(doubled))
        report = await held(world, tmp_path)
        anna, bert = world.anna.tenant_id, world.bert.tenant_id
        assert sorted(kinds(report), key=str) == sorted(
            [
                (BreakKind.MISSING_IN_LOG, anna),
                (BreakKind.DOUBLED, bert),
                (BreakKind.TOKEN_DIFFERENCE, anna),
                (BreakKind.MODEL_ABSENT, bert),
                (BreakKind.UNKNOWN, bert),
                (BreakKind.UNATTRIBUTED, anna),
                (BreakKind.UNATTRIBUTED, None),
            ],
            key=str,
        )
        assert (report.tally.matched, report.tally.under_way) == (3, 1)
        assert (report.log.files, report.log.unreadable) == (3, 0)
        assert report.by_kind[BreakKind.UNATTRIBUTED].difference_usd == 2 * COST
        assert report.by_kind[BreakKind.MODEL_ABSENT].unpriced == 1
        patient = await held(world, tmp_path, log_delay=HOUR)
        assert patient.tally.not_yet_delivered == 2  # the missing one, and the unknown one
        await world.settle(under_way, world.outcome(USED))

    in_world(database, body)


def test_rubbish_in_a_log_is_counted_and_hides_nothing(database: Database, tmp_path: Path) -> None:
    async def body(world: World) -> None:
        mine, other = await world.admitted(), await world.admitted(world.bert)
        await world.settle(mine, world.outcome(USED))
        await world.settle(other, world.outcome(USED))
        unreadable = [
            "{not json",
            "[]",
            {},
            record(mine, requestId=7),
            record(mine, requestId="two\nlines"),
            record(mine, modelId="tab\tand\x1fseparator"),
            record(mine, modelId=None),
        ]
        strange = [
            record(mine, input=[], output="x"),
            record(other, input={"inputTokenCount": -1}, timestamp="yesterday"),
        ]
        deliver(tmp_path, *unreadable, *strange)
        report = await held(world, tmp_path)
        assert report.log.unreadable == len(unreadable)
        assert kinds(report) == [
            (BreakKind.TOKEN_DIFFERENCE, who) for who in sorted((mine.tenant_id, other.tenant_id))
        ]
        assert {found.difference_usd for found in report.breaks} == {None}

    in_world(database, body)


def test_a_file_that_is_cut_short_is_named_and_its_whole_records_count(
    database: Database, tmp_path: Path
) -> None:
    async def body(world: World) -> None:
        mine, other = await world.admitted(), await world.admitted(world.bert)
        for one in (mine, other):
            await world.settle(one, world.outcome(USED))
        # Random ids are not packed well, so that some records are whole before the cut.
        strangers = [record(mine, requestMetadata=None) for _ in range(500)]
        deliver(tmp_path, *strangers, record(mine))
        cut_short(tmp_path)
        deliver(tmp_path / "bert", record(other))
        for number in range(NAMED_MAX):
            (tmp_path / f"{number}.json.gz").write_bytes(b"no log")
        report = await held(world, tmp_path)
        assert (report.log.files, report.log.unreadable) == (NAMED_MAX + 2, 0)
        assert report.log.unreadable_files == NAMED_MAX + 1
        assert len(report.log.unreadable_named) == NAMED_MAX
        assert all(name.endswith(f" in {tmp_path}") for name in report.log.unreadable_named)
        assert 0 < report.by_kind[BreakKind.UNATTRIBUTED].count < 500
        assert report.by_kind[BreakKind.MISSING_IN_LOG].count == 1
        assert report.tally.matched == 1

    in_world(database, body)


def test_a_place_without_a_log_is_no_answer(database: Database, tmp_path: Path) -> None:
    async def body(world: World) -> None:
        with pytest.raises(NoLog, match=f"{tmp_path}: there is no file of an invocation log"):
            await held(world, tmp_path)
        (tmp_path / "data").mkdir()
        (tmp_path / "data" / "x_input.json.gz").write_bytes(gzip.compress(b"{}"))
        with pytest.raises(NoLog):
            await held(world, tmp_path)

    in_world(database, body)


async def with_an_archived_month(world: World, folder: Path) -> datetime:
    """The month before last is in the archive, and with it a call of each tenant. Its end."""
    house, month = House.of(world), month_ago(2)
    await with_partitions(world, month)
    for who in (world.anna, world.bert):
        await house.contract(who)
        await house.since(who, months_ago(2, day=1))
        await house.used(who, USED, months_ago(2))
        await house.finalise(who, period_of(who, months_ago(2)))
    await rolled_up(world)
    await archive_month(archive_in(world, folder), month)
    return instant_of(month_ago(1), 0)


def test_an_archived_month_is_not_compared(database: Database, tmp_path: Path) -> None:
    """Its rows are in files: each of its records would be a stranger, and each call no record."""

    async def body(world: World) -> None:
        deliver(tmp_path / "log", record(await settled(world)))
        begin = datetime(2000, 1, 1, tzinfo=UTC)
        assert (await held(world, tmp_path / "log", start=begin)).break_count == 0
        end = await with_an_archived_month(world, tmp_path / "archive")
        for start in (begin, end - timedelta(seconds=1)):
            told = rf"^{month_ago(2):%Y-%m} and what came before .* from {end:%Y-%m-%d} on\.$"
            with pytest.raises(Conflict, match=told):
                await held(world, tmp_path / "log", start=start)
        report = await held(world, tmp_path / "log", start=end)
        assert (report.break_count, report.tally.matched) == (0, 1)

    in_world(database, body)


async def settled(world: World) -> Reservation:
    mine = await world.admitted(world.bert)
    await world.settle(mine, world.outcome(USED))
    return mine


def test_a_call_that_ran_over_the_end_of_an_archived_month_is_no_stranger(
    database: Database, tmp_path: Path
) -> None:
    async def body(world: World) -> None:
        mine = await settled(world)
        end = await with_an_archived_month(world, tmp_path / "archive")

        def logged(admitted: datetime, at: datetime, tenant: str, **members: Any) -> dict[str, Any]:
            rid = uuid7(int(admitted.timestamp() * 1_000), secrets.token_bytes(10))
            named = {"rid": str(rid), "tid": tenant, "att": "0:1"}
            stamp = at.strftime("%Y-%m-%dT%H:%M:%SZ")
            return record(mine, timestamp=stamp, **{"requestMetadata": named, **members})

        anna, bert = world.anna.tenant_id, world.bert.tenant_id
        second = timedelta(seconds=1)
        deliver(
            tmp_path / "log",
            record(mine),
            logged(end - second, end + second, anna),
            logged(end - second, end + second, bert),
            logged(end + second, end + second, anna),
            logged(end - second, end + 2 * DAY, bert),
            logged(end - second, end + second, bert, requestMetadata=None),
            logged(end - second, end + second, bert, requestMetadata={
                "rid": str(uuid.UUID(int=7)), "tid": bert, "att": "0:1"}),
        )  # fmt: skip
        report = await held(world, tmp_path / "log", start=end)
        assert (report.archived, report.tally.matched) == (2, 1)
        unattributed = [(BreakKind.UNATTRIBUTED, who) for who in (anna, bert, bert, None)]
        assert sorted(kinds(report), key=str) == sorted(unattributed, key=str)

    in_world(database, body)


def test_what_cannot_be_read_is_named_and_the_rest_is_compared(
    database: Database, tmp_path: Path
) -> None:
    """A link that leads nowhere; where there is nothing else, there is no log."""
    deliver(tmp_path, {"requestId": "r", "modelId": "m"})
    [file] = tmp_path.rglob("*.json.gz")
    gone = file.with_name("gone.json.gz")
    gone.symlink_to(tmp_path / "gone")

    async def body(world: World) -> None:
        log = (await held(world, tmp_path)).log
        name = f"{gone.relative_to(tmp_path)} in {tmp_path}"
        assert (log.records, log.unreadable_files, log.unreadable_named) == (1, 1, [name])
        file.unlink()
        with pytest.raises(NoLog):
            await held(world, tmp_path)

    in_world(database, body)
