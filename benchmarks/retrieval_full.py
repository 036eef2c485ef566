"""`SCALE=full make bench-retrieval`: 10,000,000 x 1,024 in 1,000 sealed tenants.

It says what disk it needs and refuses where that lacks; everything is in a temporary folder that
is gone afterwards. `SCALE_TENANTS=20` tries it with fewer.

1. Fills 1,000 tenants (`retrieval_fill.py`), a process for each core.
2. Hot: every partition open in one process; memory of that process (VmRSS); then searches of
   tenants drawn by Zipf's law, one after the other, timed as in `retrieval.py`.
3. Exactness: a sample of queries against brute force over the stored values.
4. Cold: a cache of 2 GiB, the same law; before each search the kernel forgets the tenant's file.
   The bar is over the searches whose partition was not open.
5. HTTP: `POST /v1/search` at one gateway worker whose cache holds all, four connections by wrk,
   API keys drawn by the same law; each search also embeds, is admitted and settled.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import uvloop
from tests.support.settings import load_settings

from benchmarks.gateway_stage import LIMITS, Stage, stage
from benchmarks.processes import NotStarted
from benchmarks.result import Bar, result_line
from benchmarks.retrieval_data import Clustered
from benchmarks.retrieval_fill import DIMENSIONS, ROWS
from benchmarks.retrieval_world import ACCOUNT, TOP_K, World, open_world, quantiles
from benchmarks.wrk import Load, LoadFailed, require_wrk, run
from tenantry.bootstrap.database import attach
from tenantry.domain.document import Home
from tenantry.domain.ids import TenantId
from tenantry.entrypoints.api_client import Api

TENANTS = 1_000
TENANT_BYTES = 25_000_000  # a segment, its rows in PostgreSQL and their log
ALL_OPEN_BYTES = 13_000_000_000
COLD_BYTES = 2 * 2**30
HOT_SEARCHES, COLD_SEARCHES, SAMPLED = 5_000, 1_500, 20
HTTP_CONNECTIONS, HTTP_S, HTTP_KEYS = 4, 30, 3_000
RSS_BAR_GB, HOT_P50_BAR_MS, HOT_P99_BAR_MS, COLD_BAR_MS, HTTP_BAR_MS = 12.0, 1.5, 4.0, 60.0, 25.0
PLAN = LIMITS | {"embedding_dimensions": DIMENSIONS}
SETTINGS = {"TENANTRY_SEGMENT_CACHE_MAX_BYTES": str(ALL_OPEN_BYTES)}


def main_full() -> int:
    tenants = int(os.environ.get("SCALE_TENANTS", TENANTS))
    try:
        require_wrk()
        if not _has_room(tenants):
            return 1
        with stage("", tenants=tenants, plan=PLAN, settings=SETTINGS) as at:
            figures, bars = measured(at)
            missing = None
            try:
                figures["http"] = _http(at)
                print(figures["http"], flush=True)
                bars["http_p99_ms_4c"] = Bar(figures["http"]["p99_ms"], HTTP_BAR_MS)
            except LoadFailed as failure:  # what took so long to measure is told all the same
                missing = failure
    except (LoadFailed, NotStarted) as failure:
        print(f"bench-retrieval: {failure}", file=sys.stderr)
        return 1
    if missing:
        print(f"bench-retrieval: not measured over HTTP: {missing}", file=sys.stderr)
    print(result_line("retrieval-full", figures, bars))
    return 1 if missing else 0


def _has_room(tenants: int) -> bool:
    needed, free = tenants * TENANT_BYTES, shutil.disk_usage(tempfile.gettempdir()).free
    print(
        f"{tenants * ROWS:,} vectors need {needed / 1e9:.1f} GB of disk, {free / 1e9:.1f} GB free",
        flush=True,
    )
    return needed <= free


def measured(at: Stage) -> tuple[dict[str, Any], dict[str, Bar]]:
    figures: dict[str, Any] = {"tenants": len(at.tenants), "rows": len(at.tenants) * ROWS}
    begun = time.perf_counter()
    _fill(at)
    figures["filled_s"] = round(time.perf_counter() - begun, 1)
    figures["sealed_gb"] = round(_size_bytes(at.home / "accounts") / 1e9, 2)
    print(figures, flush=True)
    for part in (_hot, _cold):
        found = uvloop.run(part(at))
        print(found, flush=True)
        figures |= found
    return figures, {
        "rss_gb_all_hot": Bar(figures["rss_gb_all_hot"], RSS_BAR_GB),
        "hot_p50_ms": Bar(figures["hot"]["p50_ms"], HOT_P50_BAR_MS),
        "hot_p99_ms": Bar(figures["hot"]["p99_ms"], HOT_P99_BAR_MS),
        "cold_p99_ms_2gib": Bar(figures["cold_2gib"]["p99_ms"], COLD_BAR_MS),
        "recall_10m": Bar(figures["recall_stored"], 1.0, "at least"),
    }


def _fill(at: Stage) -> None:
    """Raises NotStarted where a process failed."""
    cores = os.cpu_count() or 1
    running = []
    for part in range(cores):
        command = [sys.executable, "-m", "benchmarks.retrieval_fill", str(part), str(cores)]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, text=True)
        assert process.stdin is not None
        process.stdin.write(json.dumps(at.tenants))
        process.stdin.close()
        running.append(process)
    ended = [process.wait() for process in running]  # all, also where one has failed
    if any(ended):
        raise NotStarted("the partitions could not be filled")


async def _hot(at: Stage) -> dict[str, Any]:
    config = load_settings()
    accounts = config.home / "accounts"
    async with open_world(attach(config), accounts, open_bytes_max=ALL_OPEN_BYTES) as world:
        opened = []
        for number in range(len(at.tenants)):
            query = Clustered(number, DIMENSIONS).queries(1)
            opened += await world.times_ms(_home(at, number), query)
        before_gb = _rss_gb()
        times = []
        for number, query in _drawn(len(at.tenants), HOT_SEARCHES):
            times += await world.times_ms(_home(at, number), query)
        rss_gb = max(before_gb, _rss_gb())
        recalled = []
        for number in np.linspace(0, len(at.tenants) - 1, SAMPLED).astype(int).tolist():
            queries = Clustered(number, DIMENSIONS).queries(8)
            recalled.append(await world.recall(_home(at, number), queries))
        return {
            "first_search": quantiles(opened),
            "rss_gb_all_hot": round(rss_gb, 2),
            "hot": quantiles(times),
            "recall_stored": float(np.mean(recalled)),
            "open_gb": round(world.partitions.open_bytes / 1e9, 2),
        }


async def _cold(at: Stage) -> dict[str, Any]:
    """Searches with a cache for a fifth of all; the disk's own time is in every one."""
    config = load_settings()
    accounts = config.home / "accounts"
    missed, held = [], []
    async with open_world(attach(config), accounts, open_bytes_max=COLD_BYTES) as world:
        for number, query in _drawn(len(at.tenants), COLD_SEARCHES):
            home = _home(at, number)
            names = await _segments(world, home)
            held_now = world.partitions._cache._entries
            is_open = all((home.tenant_id, name) in held_now for name in names)
            world.forget_file_pages(home, names)
            (held if is_open else missed).extend(await world.times_ms(home, query))
        most_gb = world.partitions.open_bytes / 1e9
    return {
        "cold_2gib": quantiles(missed) | {"searches": len(missed)},
        "held_2gib": (quantiles(held) if held else {}) | {"searches": len(held)},
        "all_2gib": quantiles(missed + held),
        "open_gb_2gib": round(most_gb, 2),
    }


async def _segments(world: World, home: Home) -> list[str]:
    view = await world.manifest.partition(home.tenant_id)
    return [row.id for row in view.segments]


def _http(at: Stage) -> dict[str, Any]:
    body = {"query": "What is written on the matter?", "top_k": TOP_K}
    first = []
    for key in at.keys:  # so that every partition is open before the figure
        begun = time.perf_counter()
        reply = Api(at.gateway_url, key).post("/v1/search", body)
        first.append((time.perf_counter() - begun) * 1_000)
        if reply.status != 200 or len(reply.body["passages"]) != TOP_K:
            raise LoadFailed(f"a search was answered by {reply.status}: {reply.body}")
    headers = [
        {"Authorization": f"Bearer {at.keys[number]}", "Content-Type": "application/json"}
        for number in _zipf(len(at.keys), HTTP_KEYS)
    ]
    load = Load(at.gateway_url, "/v1/search", headers, json.dumps(body))
    seen = run(load, connections=HTTP_CONNECTIONS, seconds=HTTP_S, folder=at.folder)
    return {
        "p50_ms": seen.p50_ms,
        "p99_ms": seen.p99_ms,
        "requests_per_s": round(seen.per_s),
        "first_of_each_tenant": quantiles(first),
        "worker_peak_rss_gb": round(at.worker_peak_rss_mb() / 1e3, 2),
    }


def _home(at: Stage, number: int) -> Home:
    return Home(TenantId(at.tenants[number]), ACCOUNT)


def _drawn(tenants: int, count: int) -> list[tuple[int, Any]]:
    """Tenants by Zipf's law, each with a query of its own."""
    numbers = _zipf(tenants, count)
    queries = {
        number: iter(Clustered(number, DIMENSIONS).queries(numbers.count(number) + 1)[1:])
        for number in set(numbers)
    }
    return [(number, next(queries[number]).reshape(1, -1)) for number in numbers]


def _zipf(tenants: int, count: int) -> list[int]:
    draw = np.random.default_rng(7)
    shares = 1 / np.arange(1, tenants + 1)
    ranks = draw.choice(tenants, count, p=shares / shares.sum())
    found: list[int] = draw.permutation(tenants)[ranks].tolist()
    return found


def _rss_gb() -> float:
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1_024 / 1e9
    raise ValueError("this system does not tell a process's memory")


def _size_bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
