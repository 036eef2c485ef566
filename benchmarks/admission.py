"""Durable admission: reserve, then settle, each committed before its caller goes on.

`make bench-admission` starts a PostgreSQL of its own and prints settled requests a second with 1,
4, 16, 64 and 256 in flight over 100 tenants, drawn uniformly. One worker; decided are each
tenant's and its API key's budget, the day's quota, the minute's limits and the key's status; both
books are posted; both commits are durable. The last line is JSON. Client and server share this
machine's cores; no HTTP is in these figures.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import dataclasses
import json
import os
import platform
import random
import statistics
import subprocess
import time
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import uvloop
from tests.support.ledger import MODEL, World, intent, new_request_id, open_world
from tests.support.postgres import Database, running_databases

from tenantry.domain.markup import Markup
from tenantry.domain.rating import rate
from tenantry.domain.tenant import Principal
from tenantry.domain.usage import Usage
from tenantry.ports.admission import Admitted, AttemptOutcome, Reservation, Settlement
from tenantry.ports.control import Budget

TENANTS = 100
IN_FLIGHT = (1, 4, 16, 64, 256)
BAR_IN_FLIGHT = 64
BAR_PER_S = 12_000
USED = Usage(uncached_in=1_000, out=500)
LIMITS = {
    "requests_per_day": 1_000_000_000,
    "requests_per_minute": 1_000_000_000,
    "tokens_per_minute": 1_000_000_000_000,
    "concurrent_requests": 100_000,
    "monthly_budget": "1000000000",
}


@dataclasses.dataclass
class Run:
    """What one load measured; times in seconds."""

    settled: int
    seconds: float
    waits: list[float]
    client_cpu: float
    server_cpu: float

    def figures(self) -> dict[str, float]:
        waits = statistics.quantiles(self.waits, n=100)
        return {
            "settled_per_s": round(self.settled / self.seconds),
            "admit_p50_ms": round(waits[49] * 1000, 2),
            "admit_p99_ms": round(waits[98] * 1000, 2),
            "client_cpu_us": round(self.client_cpu / self.settled * 1e6, 1),
            "server_cpu_us": round(self.server_cpu / self.settled * 1e6, 1),
        }


async def make_tenants(world: World) -> list[Principal]:
    principals = []
    for number in range(TENANTS):
        tenant = await world.control.create_tenant(f"bench-{number}", plan="standard")
        key = await world.control.create_key(tenant.id)
        principal = await world.directory.by_bearer(key.bearer, fresh=True)
        budget = Budget(
            tenant.id, "api_key", principal.api_key_id, "month", "charge", Decimal(10**9)
        )
        await world.control.set_budget(budget)
        principals.append(principal)
    return principals


async def load(world: World, principals: list[Principal], in_flight: int, seconds: float) -> Run:
    """`in_flight` callers in closed loops over tenants drawn at random."""
    rated = rate(USED, world.prices.of(MODEL), tier="default", markup=Markup(Decimal(3)))
    outcome = AttemptOutcome(0, 1, "settled", USED, rated, raw={"inputTokens": 1_000})
    first = intent()
    waits: list[float] = []
    end = time.perf_counter() + seconds

    async def caller(seed: int) -> None:
        draw = random.Random(seed)
        while (begun := time.perf_counter()) < end or not waits:
            who = draw.choice(principals)
            reservation = Reservation(
                new_request_id(),
                who.tenant_id,
                who.api_key_id,
                who.tenant.plan.name,
                who.tenant.plan.version,
                world.prices.version,
                1_500,
                Decimal("0.0105"),
                Decimal("0.0315"),
                first,
            )
            verdict = await world.admission.admit(reservation)
            assert isinstance(verdict, Admitted), verdict
            waits.append(time.perf_counter() - begun)
            await world.admission.settle(
                Settlement(reservation.request_id, who.tenant_id, (outcome,), final=True)
            )

    server = world.batcher.server_pid
    before, cpu = server_cpu_s(server), time.process_time()
    started = time.perf_counter()
    await asyncio.gather(*(caller(seed) for seed in range(in_flight)))
    passed = time.perf_counter() - started
    return Run(len(waits), passed, waits, time.process_time() - cpu, server_cpu_s(server) - before)


def server_cpu_s(pid: int) -> float:
    """Time on a processor, by the scheduler's own clock."""
    return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e9


async def measure(database: Database, seconds: float) -> dict[str, Any]:
    async with _ready(database, seconds) as (world, principals):
        figures: dict[str, Any] = {}
        for in_flight in IN_FLIGHT:
            run = await load(world, principals, in_flight, seconds)
            figures[f"in_flight_{in_flight}"] = run.figures()
            print(f"{in_flight:4} in flight: {run.figures()}", flush=True)
        figures["rows_a_request"] = await rows_a_request(world, principals, seconds)
        figures["violations"] = len(await world.violations())
        return figures


async def settled_per_s(database: Database, seconds: float) -> dict[str, Any]:
    """The bar's load alone: its figures, the rows that a request writes, violated invariants."""
    async with _ready(database, seconds) as (world, principals):
        figures: dict[str, Any] = (await load(world, principals, BAR_IN_FLIGHT, seconds)).figures()
        figures["rows_a_request"] = await rows_a_request(world, principals, seconds)
        figures["violations"] = len(await world.violations())
        return figures


@contextlib.asynccontextmanager
async def _ready(
    database: Database, seconds: float
) -> AsyncIterator[tuple[World, list[Principal]]]:
    async with open_world(database, **LIMITS) as world:
        principals = await make_tenants(world)
        await load(world, principals, BAR_IN_FLIGHT, seconds / 2)  # warm
        yield world, principals


async def rows_a_request(
    world: World, principals: list[Principal], seconds: float
) -> dict[str, float]:
    """Rows inserted, updated and deleted by a request, with the bar's load."""
    before = await _rows(world, principals)
    run = await load(world, principals, BAR_IN_FLIGHT, seconds / 4)
    after = await _rows(world, principals)
    requests = run.settled + 1  # and the one that has the server tell
    return {name: round((after[name] - before[name]) / requests, 2) for name in after}


async def _rows(world: World, principals: list[Principal]) -> dict[str, int]:
    """A server process tells of its rows with its next commit, once in a second."""
    await asyncio.sleep(1.2)
    await load(world, principals[:1], 1, 0)
    [row] = await world.fetch(
        "SELECT sum(n_tup_ins)::bigint AS inserted, sum(n_tup_upd)::bigint AS updated,"
        " sum(n_tup_del)::bigint AS deleted FROM pg_stat_user_tables"
        " WHERE schemaname = 'tenantry'"
    )
    return dict(row)


def commit() -> str:
    asked = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False
    )
    return asked.stdout.strip()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=4.0, help="for each load")
    asked = parser.parse_args()
    with running_databases() as databases:
        figures = uvloop.run(measure(databases.create(), asked.seconds))
    value = figures[f"in_flight_{BAR_IN_FLIGHT}"]["settled_per_s"]
    report = {
        "bench": "admission",
        "machine": f"{os.cpu_count()} cores, {platform.machine()}, {platform.system()}",
        "commit": commit(),
        "figures": figures,
        "bars": {
            f"settled_per_s_{BAR_IN_FLIGHT}": {
                "value": value,
                "bar": BAR_PER_S,
                "holds": value >= BAR_PER_S,
            },
            "violations": {
                "value": figures["violations"],
                "bar": 0,
                "holds": figures["violations"] == 0,
            },
        },
    }
    print(json.dumps(report))


if __name__ == "__main__":
    main()
