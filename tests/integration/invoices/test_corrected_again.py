"""Corrections of what was corrected: each takes back what stands, once, in both books."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from tests.support.archiving import archive_in, month_ago, rolled_up, with_partitions
from tests.support.billing import House, months_ago, period_of
from tests.support.correction_process import spec_of
from tests.support.ledger import World, in_world, synthetic_prices
from tests.support.postgres import Database

from tenantry.adapters.postgres.corrections import PostgresCorrections
from tenantry.adapters.postgres.margin import PostgresMarginBooks
from tenantry.application import corrections
from tenantry.application.archiving import archive_month, verify_archives
from tenantry.application.corrections import Corrected, correct_prices
from tenantry.application.invoicing import regenerate
from tenantry.application.margin import margin_of
from tenantry.domain.contract import ExchangeRate
from tenantry.domain.focus import focus_rows
from tenantry.domain.margin import MarginBy
from tenantry.domain.price import PriceEdition
from tenantry.domain.shared_costs import SharedCosts
from tenantry.domain.tenant import Principal
from tenantry.domain.usage import Usage
from tenantry.ports.admission import UNDELIVERED, AttemptOutcome

BEFORE = months_ago(2)
USED = Usage(uncached_in=1_000_000, out=1_000_000)  # cost 18, charge 54
DAY = timedelta(days=1)


async def editions(world: World, *factors: str) -> Mapping[str, PriceEdition]:
    """The first edition at many times its prices, beside itself as `1`."""
    return {"1": world.prices} | {
        factor: await world.control.import_prices(synthetic_prices(Decimal(factor)))
        for factor in factors
    }


async def corrected(
    world: World, who: Principal, wrong: PriceEdition, right: PriceEdition
) -> Corrected:
    """Of all that was admitted until tomorrow."""
    return await correct_prices(
        PostgresCorrections(world.databases.control), who.tenant_id, months_ago(6),
        datetime.now(UTC) + DAY, wrong=wrong.version, right=right,
    )  # fmt: skip


async def kinds(world: World, book: str, request_id: Any) -> list[tuple[str, int, Decimal]]:
    rows = await world.fetch(
        f"SELECT kind, price_version, amount FROM {book}_entry WHERE request_id = $1"
        " ORDER BY step_of(kind), kind DESC",
        request_id,
    )
    return [tuple(row) for row in rows]


def test_corrections_follow_each_other_and_each_posts_once(database: Database) -> None:
    """Also back to the first edition, and from there once more."""

    async def body(world: World) -> None:
        house, anna, bert = House.of(world), world.anna, world.bert
        first = await house.used(anna, USED, BEFORE)
        await house.used(anna, USED, BEFORE, charged=False)
        await house.used(bert, USED, BEFORE)
        by = await editions(world, "2", "0.7")
        before = Decimal(1)
        for wrong, right in (("1", "2"), ("2", "0.7"), ("0.7", "1"), ("1", "2")):
            moved = Decimal(right) - before
            before = Decimal(right)
            done = await corrected(world, anna, by[wrong], by[right])
            assert done == Corrected(2, moved * 36, moved * 54)
            assert await corrected(world, anna, by[wrong], by[right]) == Corrected(
                0, Decimal(0), Decimal(0)
            )
            assert await world.sums(anna) == (before * 36, before * 54)
            assert await world.sums(bert) == (18, 54)
            assert await world.violations() == []
        v = {factor: edition.version for factor, edition in by.items()}
        assert await kinds(world, "charge", first) == [
            ("usage", v["1"], 54),
            ("reversal", v["1"], -54),
            ("adjustment", v["2"], 108),
            ("reversal.2", v["2"], -108),
            ("adjustment.2", v["0.7"], Decimal("37.8")),
            ("reversal.3", v["0.7"], Decimal("-37.8")),
            ("adjustment.3", v["1"], 54),
            ("reversal.4", v["1"], -54),
            ("adjustment.4", v["2"], 108),
        ]
        assert [kind for kind, *_ in await kinds(world, "cost", first)] == [
            kind for kind, *_ in await kinds(world, "charge", first)
        ]

    in_world(database, body)


def test_the_net_truth_is_on_invoices_exports_margin_usage_and_in_the_archive(
    database: Database, tmp_path: Path
) -> None:
    """In euros: corrected after an invoice, again after the next, and back to the first price."""
    oldest, at = month_ago(3), months_ago(3)

    async def body(world: World) -> None:
        house, anna, bert = House.of(world), world.anna, world.bert
        archive = archive_in(world, tmp_path)
        await with_partitions(world, oldest)
        await house.billing.contracts.add_rate(
            ExchangeRate(date(2020, 1, 1), "USD", "EUR", Decimal("0.9"), "ECB")
        )
        for who in (anna, bert):
            await house.contract(who, currency="EUR")
            await house.since(who, months_ago(3, day=1))
            await house.used(who, USED, at)
        by = await editions(world, "2", "0.5")
        await rolled_up(world)
        made = {who.tenant_id: [await house.finalise(who, period_of(who, at))]
                for who in (anna, bert)}  # fmt: skip
        assert (await corrected(world, anna, by["1"], by["2"])).charge == 54
        made[anna.tenant_id].append(await house.finalise(anna, period_of(anna, BEFORE)))
        assert (await corrected(world, anna, by["2"], by["0.5"])).charge == -81
        assert (await corrected(world, anna, by["0.5"], by["1"])).charge == 27
        await rolled_up(world)
        last = months_ago(1)
        made[anna.tenant_id].append(await house.finalise(anna, period_of(anna, last)))
        totals = [Decimal(one.document["total"]) for one in made[anna.tenant_id]]
        assert totals == [Decimal("48.60"), Decimal("48.60"), Decimal("-48.60")]
        for one in made[anna.tenant_id]:
            rows = focus_rows(one.document)
            billed = sum(Decimal(row["BilledCost"] or "") for row in rows)
            assert billed == Decimal(one.document["due"])
        assert (one.document["credit"], one.document["due"]) == ("-48.60", "0.00")
        costs = SharedCosts(usd_per={"EUR": Decimal("1.1")})
        books = PostgresMarginBooks(world.databases.operator)
        report = await margin_of(books, months_ago(3, day=1), datetime.now(UTC),
                                 MarginBy.TENANT, costs)  # fmt: skip
        assert [row.provider_cost for row in report.rows] == [18, 18]
        assert await world.violations() == []
        for archived in (False, True):
            for who in (anna, bert):
                [row] = await world.ledger.usage(who, months_ago(3, day=1), datetime.now(UTC), [])
                assert (row.requests, row.charge) == (1, 54)
                assert dict(row.tokens) == {"uncached_in": 1_000_000, "out": 1_000_000}
            if not archived:
                await house.finalise(bert, period_of(bert, BEFORE))
                await house.finalise(bert, period_of(bert, last))
                await archive_month(archive, oldest)
        assert len(await verify_archives(archive)) == 1
        for who in (anna, bert):
            for one in made[who.tenant_id]:
                stored = await house.billing.book.document(who.tenant_id, str(one.number))
                assert (await regenerate(house.billing.invoices, who.tenant_id, stored)).same

    in_world(database, body)


def test_a_wrong_edition_that_asked_nothing_has_the_markup_of_the_first(database: Database) -> None:
    async def body(world: World) -> None:
        house = House.of(world)
        for who in (world.anna, world.bert):
            await house.used(who, USED, BEFORE)
        by = await editions(world, "0", "2")
        assert (await corrected(world, world.anna, by["1"], by["0"])).charge == -54
        assert await world.sums(world.anna) == (0, 0)
        assert (await corrected(world, world.anna, by["0"], by["2"])).charge == 108
        assert await world.sums(world.anna) == (36, 108)
        assert await world.sums(world.bert) == (18, 54)

    in_world(database, body)


@pytest.mark.parametrize("heard", [0, 1, 2, 3])
def test_a_charge_that_was_never_delivered_is_none_whenever_it_is_heard_of(
    database: Database, heard: int
) -> None:
    """Before the first correction, or after so many of them; its cost goes on to be corrected."""

    async def body(world: World) -> None:
        lost, kept = await world.admitted(), await world.admitted(world.bert)
        by = await editions(world, "2", "3")
        for one in (lost, kept):
            await world.settle(one, world.outcome(USED))
        late = world.outcome(USED, charged=False, flags=frozenset({UNDELIVERED}))
        for at, (wrong, right) in enumerate((("1", "2"), ("2", "3"), ("3", "1"))):
            if at == heard:
                assert (await world.settle(lost, late)).posted
            done = await corrected(world, world.anna, by[wrong], by[right])
            assert (done.attempts, bool(done.charge)) == (1, at < heard)
            assert not (at == heard and (await world.settle(lost, late)).posted)
            assert await world.violations() == []
        assert (await world.settle(lost, late)).posted is (heard == 3)
        assert await world.sums(world.anna) == (18, 0)
        assert await world.budget() == (0, 0)
        assert await world.sums(world.bert) == (18, 54)

    in_world(database, body)


def test_what_came_late_is_corrected_too(database: Database) -> None:
    async def body(world: World) -> None:
        mine, other = await world.admitted(), await world.admitted(world.bert)
        by = await editions(world, "2", "3")
        for one in (mine, other):
            await world.settle(one, AttemptOutcome(0, 1, "released", charged=False))
            await world.settle(one, world.outcome(USED))
        assert await corrected(world, world.anna, by["1"], by["2"]) == Corrected(
            1, Decimal(18), Decimal(54)
        )
        assert (await corrected(world, world.anna, by["2"], by["3"])).attempts == 1
        assert await world.sums(world.anna) == (54, 162)
        assert await world.budget() == (162, 0)
        assert await world.sums(world.bert) == (18, 54)

    in_world(database, body)


def test_after_ten_corrections_the_eleventh_is_the_one_that_stands(database: Database) -> None:
    """By its number, which is no word."""

    async def body(world: World) -> None:
        for who in (world.anna, world.bert):
            await world.settle(await world.admitted(who), world.outcome(USED))
        by = await editions(world, *map(str, range(2, 13)))
        for factor in range(1, 12):
            done = await corrected(world, world.anna, by[str(factor)], by[str(factor + 1)])
            assert done == Corrected(1, Decimal(18), Decimal(54))
        now, found = datetime.now(UTC), []
        async for batch in world.keeper.booked(now - DAY, now + DAY):
            found += [(one.tenant_id, one.price_version, one.cost) for one in batch]
        assert sorted(found) == sorted(
            [
                (world.anna.tenant_id, by["12"].version, Decimal(12 * 18)),
                (world.bert.tenant_id, by["1"].version, Decimal(18)),
            ]
        )

    in_world(database, body)


@pytest.mark.parametrize(
    "broken",
    [
        "UPDATE tenantry.charge_entry SET amount = 1, amounts = '{1,0}' WHERE kind = 'reversal.2'",
        "UPDATE tenantry.cost_entry SET quantities = '{1,1}' WHERE kind = 'adjustment.2'",
        "DELETE FROM tenantry.charge_entry WHERE kind = 'adjustment.2'",
        "DELETE FROM tenantry.charge_entry WHERE kind LIKE '%.2'",
        "DELETE FROM tenantry.cost_entry WHERE kind = 'reversal'",
    ],
)
def test_a_broken_chain_is_told(database: Database, broken: str) -> None:
    async def body(world: World) -> None:
        house = House.of(world)
        for who in (world.anna, world.bert):
            await world.settle(await world.admitted(who), world.outcome(USED))
        by = await editions(world, "2", "3")
        for who in (world.anna, world.bert):
            await corrected(world, who, by["1"], by["2"])
            await corrected(world, who, by["2"], by["3"])
        saved = ("cost_entry", "charge_entry")
        for table in saved:
            await house.as_the_past(f"CREATE TABLE public.{table} AS TABLE tenantry.{table}")
        own = f" AND tenant_id = '{world.anna.tenant_id}'"
        await house.as_the_past(broken + own)
        found = [v for v in await world.violations()
                 if v.invariant == "corrections_follow_each_other"]  # fmt: skip
        assert found
        assert all(world.anna.tenant_id in violation.detail for violation in found)
        for table in saved:
            await house.as_the_past(
                f"DELETE FROM tenantry.{table};"
                f"INSERT INTO tenantry.{table} SELECT * FROM public.{table}"
            )

    in_world(database, body)


async def crowd(world: World, count: int = 7) -> None:
    house = House.of(world)
    for who in (world.anna, world.bert):
        for _ in range(count):
            await house.used(who, USED, BEFORE)


def command(spec: str) -> list[str]:
    return [sys.executable, "-m", "tests.support.correction_process", spec]


@pytest.mark.parametrize("step", [1, 3])
def test_killed_between_its_pages_a_correction_of_a_correction_goes_on(
    database: Database, step: int
) -> None:
    async def body(world: World) -> None:
        await crowd(world)
        by = await editions(world, "2", "3")
        await corrected(world, world.anna, by["1"], by["2"])
        asked: dict[str, Any] = {"wrong": by["2"].version, "right": by["3"].version, "factor": "3"}
        span = period_of(world.anna, BEFORE)
        ended = await asyncio.to_thread(
            subprocess.run, command(spec_of(world, span, step=step, **asked)), timeout=60
        )
        assert ended.returncode == -signal.SIGKILL
        posted = 2 * step
        assert await world.sums(world.anna) == ((14 + posted) * 18, (14 + posted) * 54)
        assert await world.violations() == []
        left = 7 - posted
        assert await corrected(world, world.anna, by["2"], by["3"]) == Corrected(
            left, Decimal(left * 18), Decimal(left * 54)
        )
        assert await world.sums(world.anna) == (21 * 18, 21 * 54)
        assert await world.sums(world.bert) == (7 * 18, 7 * 54)

    in_world(database, body)


def test_two_processes_at_once_correct_each_attempt_once(database: Database) -> None:
    """To two editions: each attempt stands by the one that came first."""

    async def body(world: World) -> None:
        await crowd(world, 20)
        by = await editions(world, "2", "3", "4")
        await corrected(world, world.anna, by["1"], by["2"])
        span = period_of(world.anna, BEFORE)
        running = [
            await asyncio.create_subprocess_exec(
                *command(
                    spec_of(world, span, wrong=by["2"].version, right=by[factor].version,
                            factor=factor)
                ),
                stdout=subprocess.PIPE,
            )
            for factor in ("3", "4")
        ]  # fmt: skip
        told = [int((await one.communicate())[0]) for one in running]
        assert [one.returncode for one in running] == [0, 0]
        assert sum(told) == 20
        rows = await world.fetch("SELECT price_version FROM cost_entry WHERE kind = 'adjustment.2'")
        stands = Counter(row["price_version"] for row in rows)
        assert [stands[by[factor].version] for factor in ("3", "4")] == told
        times = 3 * told[0] + 4 * told[1]
        assert await world.sums(world.anna) == (times * 18, times * 54)
        assert await world.sums(world.bert) == (20 * 18, 20 * 54)

    in_world(database, body)


def test_one_that_was_read_before_another_posted_is_passed_over_and_not_counted(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is told is what was posted; and of two fixes of one attempt, one is."""
    monkeypatch.setattr(corrections, "PAGE", 2)

    async def body(world: World) -> None:
        await crowd(world, 3)
        by = await editions(world, "2", "3", "4")
        await corrected(world, world.anna, by["1"], by["2"])

        class Overtaken(PostgresCorrections):
            first = True

            async def correct(self, tenant_id: Any, fixes: Any) -> Any:
                if self.first:
                    self.first = False
                    await corrected(world, world.anna, by["2"], by["3"])
                return await super().correct(tenant_id, [*fixes, *fixes])

        done = await correct_prices(
            Overtaken(world.databases.control), world.anna.tenant_id, months_ago(6),
            datetime.now(UTC), wrong=by["2"].version, right=by["4"],
        )  # fmt: skip
        assert done == Corrected(0, Decimal(0), Decimal(0))
        assert await world.sums(world.anna) == (9 * 18, 9 * 54)
        once = await correct_prices(
            Overtaken(world.databases.control), world.anna.tenant_id, months_ago(6),
            datetime.now(UTC), wrong=by["3"].version, right=by["4"],
        )  # fmt: skip
        assert once == Corrected(3, Decimal(3 * 18), Decimal(3 * 54))
        assert await world.sums(world.bert) == (3 * 18, 3 * 54)

    in_world(database, body)
