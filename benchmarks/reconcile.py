"""What it takes to hold a period's ledger against its invocation log, request by request.

`make bench-reconcile` fills a PostgreSQL of its own with ended attempts of 100 tenants, writes
their log as Bedrock would deliver it (gzipped, out of order, some records missing and some twice),
and reconciles both in a fresh process.

The time is that of the whole pass: reading and sorting the log, reading the provider's book, and
telling each break. With fewer than a million lines it is scaled by their number. The memory is the
process's peak; PostgreSQL is not in it. The last line printed is JSON. Exit status: 0 measured
(also where a bar is missed), 1 where a planted break was not found.
"""

from __future__ import annotations

import argparse
import asyncio
import gzip
import json
import multiprocessing
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import asyncpg
from tests.support.ledger import MODEL, PEPPER, open_world, opened
from tests.support.postgres import Database, running_databases

from benchmarks.result import Bar, result_line
from tenantry.adapters.clock import SystemClock
from tenantry.adapters.invocation_log.folder import FolderLog
from tenantry.adapters.postgres.connections import Databases
from tenantry.adapters.postgres.directory import PostgresDirectory
from tenantry.adapters.postgres.keeper import PostgresLedgerKeeper
from tenantry.adapters.sorting import DiskSorter
from tenantry.application.reconcile import Sides, reconcile
from tenantry.domain.catalogue import Model

DEFAULT_LINES = 100_000
MILLION = 1_000_000
TENANTS = 100
FILE_RECORDS = 5_000
DROPPED_EACH, DOUBLED_EACH = 200, 500  # .5 % and .2 %
SECONDS_BAR = 120.0
RSS_BAR_MB = 500.0
START = datetime(2026, 11, 1, tzinfo=UTC)
DAYS = 30
BASE_ID = "synthetic.bench-v1:0"
_STRIDE = 7_919  # a prime: the log's order is not the ledger's

_COSTS = """
INSERT INTO tenantry.cost_entry
  (tenant_id, admitted_at, request_id, call, attempt, kind, debit, credit, amount, token_classes,
   quantities, unit_prices, amounts, posted_at, day, period_start, price_version, plan,
   plan_version, model, account, region, service_tier, api_key_id, tags, flags, ending, charged,
   began_at, operation, price_key, upstream_request_id, tokens, raw, normaliser_version)
SELECT 'tnt_' || lpad((n % $2::bigint)::text, 4, '0'), at, lpad(to_hex(n), 32, '0')::uuid, 0, 1,
       'usage', 'cost_of_sales', 'payable_provider', 0.000003 * sent + 0.000015 * made,
       '{uncached_in,out}', ARRAY[sent, made], '{3,15}',
       ARRAY[0.000003 * sent, 0.000015 * made], at, at::date, $3, $4, 'standard', 1, $6,
       '111111111111', 'us-east-1', 'default', 'key_bench', '{}', '{}', 'settled', true, at,
       'Converse', $7, 'up-' || n, sent + made, '{}', 1
FROM (SELECT n, 1000 + n % 500 AS sent, 100 + n % 50 AS made,
             $3::timestamptz + n * ($5::interval / $1::bigint) AS at
      FROM generate_series(0, $1::bigint - 1) n) x
"""


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.reconcile", description=__doc__)
    parser.add_argument("--lines", type=int, default=DEFAULT_LINES, help="of the log, about")
    lines = parser.parse_args(arguments).lines
    with running_databases() as databases, tempfile.TemporaryDirectory() as folder:
        database = databases.create()
        asyncio.run(fill(database, lines))
        write_log(Path(folder), lines)
        found = measured(database, Path(folder))
    planted = {
        "missing_in_log": len(range(0, lines, DROPPED_EACH)),
        "doubled": len(range(1, lines, DOUBLED_EACH)),
    }
    figures = {"lines": lines, "planted": planted, **found}
    figures["reconcile_1m_lines_s"] = round(found["seconds"] * MILLION / lines, 1)
    bars = {
        "reconcile_1m_lines_s": Bar(figures["reconcile_1m_lines_s"], SECONDS_BAR),
        "reconcile_rss_mb": Bar(figures["reconcile_rss_mb"], RSS_BAR_MB),
    }
    print(result_line("reconcile", figures, bars))
    if found["breaks"] != planted:
        print(f"bench-reconcile: {planted} were planted", file=sys.stderr)
        return 1
    return 0


async def fill(database: Database, lines: int) -> None:
    """As the superuser, without the gate: its speed is another benchmark's."""
    async with open_world(database) as world:
        model = Model(BASE_ID, "nova", "chat", 100_000, 10_000, price_key=MODEL)
        await world.control.apply_models([model])
        version = world.prices.version
    connection = await asyncpg.connect(database.dsn("superuser"))
    try:
        span = timedelta(days=DAYS)
        given = (lines, TENANTS, START, version, span, BASE_ID, MODEL)
        await connection.execute(_COSTS, *given)
        await connection.execute("VACUUM ANALYZE tenantry.cost_entry")
    finally:
        await connection.close()


def write_log(folder: Path, lines: int) -> None:
    root = folder / "AWSLogs/111111111111/BedrockModelInvocationLogs/us-east-1/2026/11/30/23"
    root.mkdir(parents=True)
    batch: list[bytes] = []
    number = 0
    for line in log_lines(lines):
        batch.append(line)
        if len(batch) == FILE_RECORDS:
            number = _write(root, number, batch)
    _write(root, number, batch)


def _write(root: Path, number: int, batch: list[bytes]) -> int:
    (root / f"{number:06d}.json.gz").write_bytes(gzip.compress(b"\n".join(batch), 1))
    batch.clear()
    return number + 1


def log_lines(lines: int) -> Iterator[bytes]:
    """Each attempt's record, in another order than the ledger's, but for those planted."""
    assert lines % _STRIDE, f"{lines} lines would not all be met"
    for place in range(lines):
        n = place * _STRIDE % lines
        if n % DROPPED_EACH == 0:
            continue
        line = json.dumps(_record(n, lines)).encode()
        yield line
        if n % DOUBLED_EACH == 1:
            yield line


def _record(n: int, lines: int) -> Mapping[str, Any]:
    at = START + n * (timedelta(days=DAYS) / lines)
    request = {"rid": str(uuid.UUID(int=n)), "tid": f"tnt_{n % TENANTS:04d}"}
    return {
        "schemaType": "ModelInvocationLog",
        "schemaVersion": "1.0",
        "timestamp": at.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "accountId": "111111111111",
        "identity": {"arn": "arn:aws:iam::111111111111:user/tenantry"},
        "region": "us-east-1",
        "requestId": f"up-{n}",
        "operation": "Converse",
        "modelId": BASE_ID,
        "requestMetadata": {**request, "att": "0:1", "env": "bench"},
        "input": {
            "inputContentType": "application/json",
            "inputTokenCount": 1_000 + n % 500,
            "cacheReadInputTokenCount": 0,
            "cacheWriteInputTokenCount": 0,
        },
        "output": {"outputContentType": "application/json", "outputTokenCount": 100 + n % 50},
    }


def measured(database: Database, folder: Path) -> dict[str, Any]:
    """One pass in a process that has done nothing else."""
    dsns = {role: database.dsn(role) for role in ("app", "control", "operator")}
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        found: dict[str, Any] = pool.apply(one_pass, (dsns, folder))
    return found


def one_pass(dsns: Mapping[str, str], folder: Path) -> dict[str, Any]:
    """Seconds, peak memory in MB, and how many breaks of each kind."""
    return asyncio.run(_pass(dsns, folder))


async def _pass(dsns: Mapping[str, str], folder: Path) -> dict[str, Any]:
    databases = await Databases.open(lambda role: dsns[role], application="bench-reconcile")
    try:
        keeper = PostgresLedgerKeeper(databases.control, databases.operator)
        directory = PostgresDirectory(
            databases.app, pepper=PEPPER, open_sealed=opened, clock=SystemClock()
        )
        end = START + timedelta(days=DAYS)
        began, cpu = time.perf_counter(), time.process_time()
        with DiskSorter() as sorter:
            sides = Sides(keeper, directory, (FolderLog(folder),), sorter)
            report = await reconcile(sides, START, end, end + timedelta(days=1))
        seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
    finally:
        databases.terminate()
    return {
        "seconds": round(seconds, 2),
        "cpu_us_per_line": round(cpu * 1e6 / report.log.records, 1),
        "reconcile_rss_mb": peak_rss_mb(),
        "records": report.log.records,
        "matched": report.tally.matched,
        "breaks": {str(kind): of_kind.count for kind, of_kind in report.by_kind.items()},
    }


def peak_rss_mb() -> float:
    """Of this program alone: what a parent had before the fork is not in it."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    [kib] = [line.split()[1] for line in status.splitlines() if line.startswith("VmHWM:")]
    return round(int(kib) * 1024 / 1e6, 1)


if __name__ == "__main__":
    sys.exit(main())
