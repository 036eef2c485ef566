"""A batch job that runs over midnight, in the real ledger and on a report of the bill's columns:
also over the end of a month, and at both edges of the days that are asked for."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

from tests.support.billing import House, months_ago
from tests.support.cur import Line, as_csv, line_of
from tests.support.ledger import MODEL, World, in_world
from tests.support.postgres import Database

from tenantry.adapters.cloud_bill.export import CurExport
from tenantry.adapters.postgres.cost_book import PostgresCostBook
from tenantry.adapters.record_files.local import LocalFiles
from tenantry.adapters.sorting import DiskSorter
from tenantry.application.reconcile_bill import BillReport, BillSides, reconcile_bill
from tenantry.domain.billing_name import BillingNames
from tenantry.domain.catalogue import Catalogue, Model
from tenantry.domain.tenant import Principal
from tenantry.domain.usage import Usage

FIRST = months_ago(1, day=1).replace(hour=0, minute=0, second=0, microsecond=0)  # of a month
USED = Usage(out=1_000_000)  # cost 7.5 at the batch tier, else 15
NAMES = BillingNames({"Synthetic": MODEL}, Catalogue([Model(MODEL, "other", "chat", 1, 1, MODEL)]))


def hours(count: float) -> datetime:
    """From the first of the month; below zero it is the month before."""
    return FIRST + timedelta(hours=count)


async def used(house: House, who: Principal, at: datetime, tier: str = "batch") -> None:
    request_id = await house.used(who, USED, at, service_tier=tier)
    await house.as_the_past(
        f"UPDATE tenantry.cost_entry SET began_at = '{at}' WHERE request_id = '{request_id}'"
    )


def billed(number: int, at: datetime, tier: str = "batch", who: str = "") -> Line:
    name = "OutputTokenCount" + ("_Batch" if tier == "batch" else "")
    product = "Synthetic (Amazon Bedrock Edition)"
    key = (f"{at:%Y-%m-%dT%H}", "111111111111", "us-east-1", who,
           f"USE1-MP:USE1_{name}-Units", "Units", product)  # fmt: skip
    return line_of(number, key, Decimal(1), Decimal("7.5") if tier == "batch" else Decimal(15))


def delivered(folder: Path, lines: Sequence[Line]) -> None:
    (folder / "report-00001.csv.gz").write_bytes(as_csv(lines))


async def held(
    world: World, folder: Path, lines: Sequence[Line], start: date, end: date
) -> BillReport:
    delivered(folder, lines)
    with DiskSorter() as sorter:
        export = CurExport(LocalFiles(folder))
        book = PostgresCostBook(world.databases.operator)
        return await reconcile_bill(BillSides(book, [export], NAMES, sorter), start, end)


def told(report: BillReport) -> list[tuple[str, str]]:
    return [(str(one.kind), f"{one.day:%m-%d}") for one in report.breaks if one.day]


def test_a_batch_over_the_end_of_a_month_agrees_from_either_side(
    database: Database, tmp_path: Path
) -> None:
    async def body(world: World) -> None:
        house, anna, bert = House.of(world), world.anna, world.bert
        a, b = anna.tenant_id, bert.tenant_id
        await used(house, anna, hours(-0.5))  # the last hour of the month: may stand on the 2nd
        await used(house, anna, hours(-6))
        await used(house, bert, hours(-6))
        await used(house, bert, hours(-0.1), "default")
        await used(house, anna, hours(100))
        lines = [
            billed(1, hours(24.2), who=a),
            billed(2, hours(8), who=a),
            billed(3, hours(-3), who=b),
            billed(4, hours(0.1), "default", who=b),
            billed(5, hours(101), who=a),
        ]
        first = FIRST.date()
        before, after = first - timedelta(days=10), first + timedelta(days=10)
        for days in ((before, first), (first, after), (before, after)):
            report = await held(world, tmp_path, lines, *days)
            assert told(report) == [], days
            assert report.by_kind == {}, "nor does a tenant differ"
        for day in range(-2, 3):
            one = first + timedelta(days=day)
            report = await held(world, tmp_path, lines, one, one + timedelta(days=1))
            assert report.break_count == 0, one

        lost = [line for line in lines if line is not lines[1]]
        assert told(await held(world, tmp_path, lost, before, after)) == [
            ("missing", f"{first - timedelta(days=1):%m-%d}")
        ]
        strange = [*lines, billed(6, hours(50), who=a)]  # later than any of them could have run
        assert told(await held(world, tmp_path, strange, before, after)) == [
            ("unattributed", f"{first + timedelta(days=2):%m-%d}")
        ]

    in_world(database, body)


def test_a_call_of_the_last_hour_has_no_more_than_its_minutes(
    database: Database, tmp_path: Path
) -> None:
    """What is late of a batch's day is an hour; of a call's a quarter of one."""

    async def body(world: World) -> None:
        house, anna = House.of(world), world.anna
        await used(house, anna, hours(-0.5), "default")
        await used(house, world.bert, hours(-0.2), "default")
        lines = [billed(1, hours(0.1), "default"), billed(2, hours(1.1), "default")]
        first = FIRST.date()
        report = await held(
            world, tmp_path, lines, first - timedelta(days=2), first + timedelta(days=2)
        )
        assert told(report) == [
            ("missing", f"{first - timedelta(days=1):%m-%d}"),
            ("unattributed", f"{first:%m-%d}"),
        ]
        assert [abs(one.difference_usd) for one in report.breaks] == [15, 15]

    in_world(database, body)


def test_what_may_be_of_before_the_bill_is_told_where_it_begins_with_the_period(
    database: Database, tmp_path: Path
) -> None:
    async def body(world: World) -> None:
        house, anna, bert = House.of(world), world.anna, world.bert
        await used(house, anna, hours(-6))
        await used(house, bert, hours(-6))
        await used(house, anna, hours(5))
        before = [billed(1, hours(-3)), billed(2, hours(-2))]
        of_month = [billed(3, hours(6)), billed(4, hours(7))]  # one is nobody's, or ran over
        first = FIRST.date()
        days = (first, first + timedelta(days=10))
        whole = await held(world, tmp_path, before + of_month, *days)
        assert told(whole) == [("unattributed", f"{first:%m-%d}")]
        assert whole.tally.of_before_bill == 0
        alone = await held(world, tmp_path, of_month, *days)
        assert (told(alone), alone.tally.matched, alone.billed_from) == ([], 0, first)
        assert (alone.tally.of_before_bill, alone.tally.of_before_bill_usd) == (1, Decimal("7.5"))

    in_world(database, body)
