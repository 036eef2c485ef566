"""What the gateway costs: CPU for each request at saturation, latency it adds, memory it takes.

`make bench-gateway` starts the emulator in fixed-answer mode, PostgreSQL and one gateway worker,
and drives them with wrk over twenty tenants. Every request is admitted and settled durably.

1. Saturation: closed loops of 64 connections; CPU time of each process from /proc, by request.
2. Added latency: 4 connections, straight to the emulator and through the gateway by turns, with a
   model that takes no time, where four closed loops keep both cores busy, and with one that takes
   50 ms, where every step also waits for a core to wake.
3. The same for other routes, as figures without a bar.

Load generator, emulator and PostgreSQL share this machine's cores with the gateway, so requests a
second are those of the whole stage; CPU for each request is the gateway's own. The last line
printed is JSON. Exit status: 0 measured (also where a bar is missed), 1 not measured.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from benchmarks.gateway_stage import Stage, stage
from benchmarks.processes import NotStarted, fdatasync_ms
from benchmarks.result import Bar, result_line
from benchmarks.wrk import UNIQUE, Load, LoadFailed, Measured, require_wrk, run

MODEL = "amazon.nova-micro-v1:0"
QUESTION = "What does a tenant owe for a month in which it asked nothing at all? " * 28
ANSWER = "It owes the fee of its plan, and no charge for tokens that it did not use. " * 36
SATURATING = 64
FEW = 4
MODEL_MS = 50  # the upstream time at which other gateways' added latency is published
WARM_S = 3

CPU_BAR_US = 500.0
ADDED_BAR_MS = 3.0  # past two fdatasyncs: one commit to admit, one to settle
RSS_BAR_MB = 200.0


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    try:
        require_wrk()
        with stage(ANSWER) as at:
            figures = measure(at, options.rounds, options.seconds)
    except (LoadFailed, NotStarted) as failed:
        print(f"bench-gateway: {failed}", file=sys.stderr)
        return 1
    print(result_line("gateway", figures, bars_of(figures)))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gateway", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="of which the medians are taken")
    parser.add_argument("--seconds", type=int, default=3, help="for each load of a round")
    return parser


def measure(at: Stage, rounds: int, seconds: int) -> dict[str, Any]:
    """All figures; times in the unit of their name, medians over the rounds."""
    loads = {name: make(at) for name, make in LOADS.items()}
    for load in loads.values():
        run(load, connections=SATURATING, seconds=WARM_S, folder=at.folder)
    by_load: dict[str, list[dict[str, float]]] = {name: [] for name in loads}
    added: dict[int, list[dict[str, float]]] = {0: [], MODEL_MS: []}
    for number in range(rounds):
        for name, load in loads.items():
            by_load[name].append(_saturated(at, load, seconds))
        for model_ms, rows in added.items():
            with at.model_takes(model_ms):
                rows.append(_added(at, loads["converse"], seconds, gateway_first=number % 2 == 1))
        last = {ms: rows[-1] for ms, rows in added.items()}
        print(f"round {number + 1}: {by_load['converse'][-1]} {last}", flush=True)
    return {
        "saturated": {name: _medians(rows) for name, rows in by_load.items()},
        "four_connections": _medians(added[0]),
        f"four_connections_{MODEL_MS}_ms_model": _medians(added[MODEL_MS]),
        "rss_mb_worker": round(at.worker_peak_rss_mb(), 1),
        "tenants": len(at.keys),
        "ledger_violations": at.violations(),
    }


def bars_of(figures: Mapping[str, Any]) -> dict[str, Bar]:
    few = figures["four_connections"]
    return {
        "cpu_us_per_request": Bar(
            figures["saturated"]["converse"]["cpu_us_gateway_worker"], CPU_BAR_US
        ),
        "added_p50_ms": Bar(
            few["added_p50_ms"], round(2 * few["fdatasync_p50_ms"] + ADDED_BAR_MS, 2)
        ),
        "rss_mb_worker": Bar(figures["rss_mb_worker"], RSS_BAR_MB),
    }


def _saturated(at: Stage, load: Load, seconds: int) -> dict[str, float]:
    before = at.cpu_s()
    seen = run(load, connections=SATURATING, seconds=seconds, folder=at.folder)
    after = at.cpu_s()
    row = {"requests_per_s": round(seen.per_s), "p50_ms": seen.p50_ms, "p99_ms": seen.p99_ms}
    for part, spent in after.items():
        row[f"cpu_us_{part}"] = round((spent - before[part]) / seen.requests * 1e6, 1)
    return row


def _added(at: Stage, load: Load, seconds: int, *, gateway_first: bool) -> dict[str, float]:
    """The same body to the emulator and to the gateway, one after the other."""
    pair = [("direct", _direct(at)), ("gateway", load)]
    seen: dict[str, Measured] = {}
    for name, one in reversed(pair) if gateway_first else pair:
        seen[name] = run(one, connections=FEW, seconds=seconds, folder=at.folder)
    direct, gateway = seen["direct"], seen["gateway"]
    return {
        "direct_p50_ms": direct.p50_ms,
        "direct_p99_ms": direct.p99_ms,
        "gateway_p50_ms": gateway.p50_ms,
        "gateway_p99_ms": gateway.p99_ms,
        "added_p50_ms": round(gateway.p50_ms - direct.p50_ms, 3),
        "added_p99_ms": round(gateway.p99_ms - direct.p99_ms, 3),
        "fdatasync_p50_ms": round(fdatasync_ms(at.disk), 3),
    }


def _medians(rows: Sequence[Mapping[str, float]]) -> dict[str, float]:
    return {name: round(statistics.median(row[name] for row in rows), 3) for name in rows[0]}


def _converse(at: Stage, operation: str = "converse", **headers: str) -> Load:
    path = f"/model/{MODEL.replace(':', '%3A')}/{operation}"
    body = {
        "messages": [{"role": "user", "content": [{"text": QUESTION}]}],
        "inferenceConfig": {"maxTokens": 1_024},
    }
    return _load(at, path, body, **headers)


def _chat(at: Stage) -> Load:
    body = {
        "model": MODEL,
        "messages": [{"role": "user", "content": QUESTION}],
        "max_tokens": 1_024,
    }
    return _load(at, "/v1/chat/completions", body)


def _load(at: Stage, path: str, body: Mapping[str, Any], **headers: str) -> Load:
    return Load(
        at.gateway_url,
        path,
        [
            {"Authorization": f"Bearer {key}", "Content-Type": "application/json", **headers}
            for key in at.keys
        ],
        json.dumps(body),
    )


def _direct(at: Stage) -> Load:
    through = _converse(at)
    headers = {"Authorization": f"Bearer {at.emulator_key}", "Content-Type": "application/json"}
    return Load(at.emulator_url, through.path, [headers], through.body)


LOADS: Mapping[str, Callable[[Stage], Load]] = {
    "converse": _converse,
    # boto3 names every call by itself, and so makes it idempotent.
    "converse_named_by_boto3": lambda at: _converse(at, **{"amz-sdk-invocation-id": UNIQUE}),
    "converse_stream": lambda at: _converse(at, "converse-stream"),
    "chat_completions": _chat,
}


if __name__ == "__main__":
    sys.exit(main())
