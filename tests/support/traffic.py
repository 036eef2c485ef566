"""Traffic of two tenants in two accounts over the wire, for what is reconciled afterwards.

Most calls are small, as they come; a few are large, so that a bill of them has more than cents.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from tests.support.stack import MODEL, Stack, Tenant, running_stack
from tests.support.stack_clients import converse_body, converse_path
from tests.support.stack_command import tenantry

REQUESTS = 500  # of each of two tenants
CLIENTS = 8
HAIKU = "anthropic.claude-haiku-4-5-20251001-v1:0"
_CACHED = {"cache_read": 200_000, "cache_write_5m": 40_000, "cache_write_1h": 30_000}
# Which tenant, which model, and what the call is ruled to have used.
LARGE: tuple[tuple[int, str, dict[str, int]], ...] = (
    (0, MODEL, {"input": 10_000_000, "output": 2_000_000}),
    (1, MODEL, {"input": 5_000_000, "output": 1_000_000}),
    (0, f"us.{HAIKU}", {"input": 100_000, "output": 50_000, **_CACHED}),
    (1, f"global.{HAIKU}", {"input": 1_000_000, "output": 100_000}),
)
CALLS = 2 * REQUESTS + len(LARGE)


@dataclass(frozen=True)
class Traffic:
    stack: Stack
    anna: Tenant
    bert: Tenant

    @property
    def log(self) -> Path:
        return self.stack.home / "accounts"


@contextmanager
def running_traffic() -> Iterator[Traffic]:
    """Everything that was asked is answered and settled."""
    with running_stack() as stack:
        anna, bert = stack.tenant(placement="pool"), stack.tenant(placement="silo")

        def ask(number: int) -> int:
            tenant = (anna, bert)[number % 2]
            text = "Hello. " * (1 + number % 7)
            body = converse_body(text, max_tokens=1 + number % 50)
            return stack.http("POST", converse_path(MODEL), body, tenant=tenant)[0]

        with ThreadPoolExecutor(CLIENTS) as clients:
            assert set(clients.map(ask, range(2 * REQUESTS))) == {200}
        for number, model, usage in LARGE:
            tenant = (anna, bert)[number]
            match = {"request_metadata": {"tid": tenant.id}}
            stack.emulator.rules({"match": match, "times": 1, "action": {"kind": "usage", **usage}})
            body = converse_body("Hello.", max_tokens=10)
            reply = stack.http("POST", converse_path(model), body, tenant=tenant)
            assert reply[0] == 200, reply
        stack.wait_settled(anna, bert)
        yield Traffic(stack, anna, bert)


def reconcile(
    traffic: Traffic, *options: str, environment: Mapping[str, str] | None = None
) -> tuple[int, dict[str, Any], str]:
    """Exit status, report and what was said, of the command itself."""
    if "--from" not in options:  # the default, the month so far, ends within a test once a month
        yesterday = datetime.now(UTC) - timedelta(days=1)
        options = (*options, "--from", f"{yesterday:%Y-%m-%d}")
    done = tenantry(traffic.stack.home, "reconcile", "--json", *options, environment=environment)
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout), done.stderr
