"""The end of a terminal is an order to end: what streams is answered and settled."""

from __future__ import annotations

import os
import signal
import threading
from typing import Any

from tests.support.stack import MODEL, Tenant, running_stack, wait_until

ASKED = [{"role": "user", "content": [{"text": "Hello there."}]}]


def test_a_hangup_lets_streams_end_and_settles_them() -> None:
    # The log is not read: nobody but the worker that streams settles.
    with running_stack(shutdown_grace_ms=30_000, invocation_log_poll_ms=86_400_000) as stack:
        anna, bert = stack.tenants()
        stack.emulator.rules({"action": {"kind": "slow_tokens", "delay_ms": 150}})
        seen: dict[str, list[dict[str, Any]]] = {anna.id: [], bert.id: []}

        def ask(tenant: Tenant) -> None:
            answer = stack.boto3(tenant).converse_stream(modelId=MODEL, messages=ASKED)
            for event in answer["stream"]:
                seen[tenant.id].append(event)

        threads = [threading.Thread(target=ask, args=(tenant,)) for tenant in (anna, bert)]
        for thread in threads:
            thread.start()
        wait_until(lambda: all(seen.values()), "both streams have begun")
        assert not any("metadata" in event for events in seen.values() for event in events)
        for pid in (*stack.gateway_workers(), stack.serve.pid):  # a terminal tells its whole group
            os.kill(pid, signal.SIGHUP)
        for thread in threads:
            thread.join(60)
        assert stack.serve.wait(60) == 0
        for events in seen.values():
            assert "metadata" in events[-1], "it was cut"
        stack.restart()
        assert stack.open_requests(anna, bert) == []
        for tenant in (anna, bert):
            assert stack.ledger_equals_bill(tenant)
        assert stack.violations() == []


def test_a_background_worker_ends_in_order_and_is_replaced() -> None:
    with running_stack() as stack:
        first = stack.background_worker()
        assert os.getsid(first) == first, "it hears what `serve` tells it, and no terminal"
        os.kill(first, signal.SIGHUP)
        wait_until(lambda: [pid for pid in stack.background_workers() if pid != first], "another")
        assert "the background worker ended with status 0" in (
            stack.home / "serve.stderr"
        ).read_text("utf-8")
