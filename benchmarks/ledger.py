"""The ledger at scale: settling, a tenant's month, a run of invoices, a reconciliation.

`make bench-ledger` loads 5,000,000 events of 1,000 tenants into a PostgreSQL of its own by COPY,
and rolls them up by the worker's own round. `SCALE=small` loads 200,000. `SCALE=full` loads
50,000,000: it first loads a million to see what space they take, prints what all would need, and
refuses where the disk has less. The last line is JSON; a bar that is missed is told, and the exit
status is 0.
"""

from __future__ import annotations

import argparse
import asyncio
import dataclasses
import os
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import asyncpg
import uvloop
from tests.support.ledger import World, open_world
from tests.support.postgres import Database, Databases, running_databases

from benchmarks import admission, reconcile
from benchmarks.ledger_invoices import invoicing
from benchmarks.ledger_load import (
    MONTHS,
    TENANTS,
    Span,
    closed_months,
    load,
    make_partitions,
    make_tenants,
)
from benchmarks.result import Bar, result_line
from tenantry.adapters.postgres.rollups import PostgresRollups
from tenantry.application.rolling_up import roll_up
from tenantry.domain.tenant import Principal

MILLION = 1_000_000
EVENTS = {"small": MILLION // 5, "default": 5 * MILLION, "full": 50 * MILLION}
RECONCILED = {"small": MILLION // 10, "default": MILLION, "full": MILLION}  # lines of the log
SETTLED_BAR, USAGE_BAR_MS, INVOICE_BAR_S = 12_000, 50.0, 60.0
SETTLE_S = 4.0
ASKED = 100  # tenants, the largest and others; each is asked for its month three times
HEADROOM = 1.5  # for write-ahead log, sorting, and what a build leaves until it is vacuumed


@dataclasses.dataclass(frozen=True)
class Measured:
    figures: dict[str, Any]
    bars: dict[str, Bar]


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.ledger", description=__doc__)
    scale = os.environ.get("SCALE", "default")
    parser.add_argument("--scale", choices=sorted(EVENTS), default=scale)
    scale = parser.parse_args(arguments).scale
    if scale not in EVENTS:
        parser.error(f"SCALE is one of {', '.join(sorted(EVENTS))}")
    with running_databases() as databases:
        if scale == "full" and not _has_room(databases, EVENTS[scale]):
            return 1
        parts = [
            _with(databases, settling),
            _with(databases, lambda database: at_scale(database, EVENTS[scale])),
        ]
        parts.append(reconciling(databases.create(), RECONCILED[scale]))
    figures = {"scale": scale}
    bars: dict[str, Bar] = {}
    for part in parts:
        figures |= part.figures
        bars |= part.bars
    print(result_line("ledger", figures, bars))
    return 0


def _with(databases: Databases, work: Callable[[Database], Awaitable[Measured]]) -> Measured:
    database = databases.create()

    async def run() -> Measured:
        return await work(database)

    try:
        return uvloop.run(run())
    finally:
        databases.drop(database)


async def settling(database: Database) -> Measured:
    """Requests admitted and settled, both durable, by the function of bench-admission."""
    async with open_world(database, **admission.LIMITS) as world:
        tenants = await admission.make_tenants(world)
        in_flight = admission.BAR_IN_FLIGHT
        warm = await admission.load(world, tenants, in_flight, SETTLE_S / 2)
        run = await admission.load(world, tenants, in_flight, SETTLE_S)
        rows = await world.fetch(
            "SELECT (SELECT count(*) FROM charge_entry) + (SELECT count(*) FROM cost_entry) AS n"
        )
        figures = {
            "settling": {**run.figures(), "in_flight": in_flight, "tenants": len(tenants)},
            "ledger_rows_a_request": round(rows[0]["n"] / (warm.settled + run.settled), 2),
        }
    value = figures["settling"]["settled_per_s"]  # type: ignore[index]
    print(f"settled {value} a second", flush=True)
    return Measured(figures, {"settled_per_s": Bar(value, SETTLED_BAR, "at least")})


async def at_scale(database: Database, events: int) -> Measured:
    """Loads, rolls up, and asks."""
    async with open_world(database) as world:
        span = closed_months(datetime.now(UTC))
        tenants, figures = await filled(world, span, events)
        asked, usage_ms = await tenant_months(world, span, tenants)
        figures |= asked
        invoiced, invoice_s = await invoicing(world, span, tenants)
        figures |= invoiced
        figures["size_gb"] = round(await size_bytes(world) / 1e9, 2)
        bars = {
            "tenant_month_usage_ms": Bar(usage_ms, USAGE_BAR_MS),
            "invoice_1000_tenants_s": Bar(invoice_s, INVOICE_BAR_S),
        }
        violations = await world.violations() if events <= MILLION else []
        figures["violations"] = len(violations) if events <= MILLION else None
    return Measured(figures, bars)


async def filled(world: World, span: Span, events: int) -> tuple[list[Principal], dict[str, Any]]:
    tenants = await make_tenants(world, span, TENANTS)
    await make_partitions(world, span)
    begun = time.perf_counter()
    await load(world, tenants, span, events)
    loaded = time.perf_counter()
    print(f"{events:,} events loaded in {loaded - begun:.0f} s", flush=True)
    await world.as_superuser("UPDATE tenantry.rollup SET through = $1", span.start)
    rollups = PostgresRollups(world.databases.control)
    steps = 0
    while taken := await roll_up(rollups):
        steps += taken
    rolled = time.perf_counter()
    print(f"rolled up in {rolled - loaded:.0f} s, {steps} steps", flush=True)
    for table in ("charge_hour", "charge_hour_detail", "cost_hour_detail"):
        await world.as_superuser(f"VACUUM ANALYZE tenantry.{table}")
    rows = await world.fetch(
        "SELECT (SELECT count(*) FROM charge_hour) AS charge_hour,"
        " (SELECT count(*) FROM charge_hour_detail) AS charge_hour_detail,"
        " (SELECT count(*) FROM cost_hour_detail) AS cost_hour_detail"
    )
    return tenants, {
        "events": events,
        "tenants": len(tenants),
        "months": MONTHS,
        "load_s": round(loaded - begun, 1),
        "roll_up_s": round(rolled - loaded, 1),
        "roll_up_us_per_event": round((rolled - loaded) / events * 1e6, 1),
        "rows": dict(rows[0]),
    }


async def tenant_months(
    world: World, span: Span, tenants: Sequence[Principal]
) -> tuple[dict[str, Any], float]:
    """A tenant's last month by model and day, as `/v1/usage` asks for it."""
    start, end = span.month(0)
    largest, others = tenants[: ASKED // 2], tenants[ASKED // 2 :: len(tenants) // (ASKED // 2)]
    times: dict[str, list[float]] = {"largest": [], "others": []}
    for name, chosen in (("largest", largest), ("others", others)):
        for who in chosen:
            for _ in range(3):
                begun = time.perf_counter()
                rows = await world.ledger.usage(who, start, end, ["model", "day"])
                times[name].append((time.perf_counter() - begun) * 1_000)
            assert rows, f"{who.tenant.name} used nothing"
    detail = []
    for who in largest[:20]:
        begun = time.perf_counter()
        await world.ledger.usage(who, start, end, ["key"])
        detail.append((time.perf_counter() - begun) * 1_000)
    median = statistics.median(times["largest"] + times["others"])
    told = {
        "median_ms": round(median, 2),
        "largest_50_median_ms": round(statistics.median(times["largest"]), 2),
        "slowest_ms": round(max(times["largest"] + times["others"]), 2),
        "by_key_largest_20_median_ms": round(statistics.median(detail), 2),
    }
    print(f"a tenant's month: {told}", flush=True)
    return {"tenant_month": told}, round(median, 2)


def reconciling(database: Database, lines: int) -> Measured:
    """A log of so many lines against the ledger, by the functions of bench-reconcile."""
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(reconcile.fill(database, lines))
        reconcile.write_log(Path(folder), lines)
        found = reconcile.measured(database, Path(folder))
    seconds = round(found["seconds"] * MILLION / lines, 1)
    return Measured(
        {"reconcile": {"lines": lines, **found}},
        {
            "reconcile_1m_lines_s": Bar(seconds, reconcile.SECONDS_BAR),
            "reconcile_rss_mb": Bar(found["reconcile_rss_mb"], reconcile.RSS_BAR_MB),
        },
    )


async def size_bytes(world: World) -> int:
    rows = await world.fetch("SELECT pg_database_size(current_database()) AS n")
    size: int = rows[0]["n"]
    return size


def _has_room(databases: Databases, events: int) -> bool:
    """Loads a million into a database of its own and says what all would need."""
    database = databases.create()

    async def measure() -> int:
        async with open_world(database) as world:
            before = await size_bytes(world)
            await filled(world, closed_months(datetime.now(UTC)), MILLION)
            return await size_bytes(world) - before

    try:
        needed = int(uvloop.run(measure()) * (events / MILLION) * HEADROOM)
        free = shutil.disk_usage(asyncio.run(_data_folder(database))).free
    finally:
        databases.drop(database)
    print(f"{events:,} events need {needed / 1e9:.0f} GB, {free / 1e9:.0f} GB are free", flush=True)
    if needed > free:
        print("bench-ledger: the disk has less: try SCALE=default", file=sys.stderr)
    return needed <= free


async def _data_folder(database: Database) -> str:
    connection = await asyncpg.connect(database.dsn("superuser"))
    try:
        folder: str = await connection.fetchval("SHOW data_directory")
        return folder
    finally:
        await connection.close()


if __name__ == "__main__":
    sys.exit(main())
