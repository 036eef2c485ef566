"""`tenantry ledger write-off`: what no log will ever tell of ends by an operator's word."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError
from tests.support.stack import Stack, Tenant
from tests.support.stack_agent import agent, reranked
from tests.support.stack_command import tenantry

WORDS = ("ledger", "write-off")


def lost(stack: Stack, tenant: Tenant) -> None:
    """Reranking of which no answer came, and that no log tells of."""
    stack.emulator.rules({"match": {"operation": "Rerank"}, "action": {"kind": "cut"}})
    with pytest.raises(ClientError):
        agent(stack, tenant).rerank(**reranked(["trains"]))
    stack.emulator.clear_rules()


def states(stack: Stack, tenant: Tenant) -> list[Any]:
    rows = stack.rows("SELECT state FROM tenantry.intent WHERE tenant_id = $1", tenant.id)
    return [row[0] for row in rows]


def test_an_operator_gives_up_an_account_before_an_instant(stack: Stack) -> None:
    anna, bert = stack.tenants()
    start = datetime.now(UTC)
    lost(stack, anna)
    lost(stack, bert)
    facts = json.loads(tenantry(stack.home, "doctor", "--json").stdout)["facts"]
    assert f"{anna.account} us-east-1: " in facts["invocation logs"]
    assert "attempts wait" in facts["invocation logs"]
    early = f"{start - timedelta(days=1):%Y-%m-%dT%H:%M:%SZ}"
    done = tenantry(stack.home, *WORDS, "--yes", "--json", "--before", early)
    assert json.loads(done.stdout) == {"written_off": 0}
    future = f"{start + timedelta(days=1):%Y-%m-%dT%H:%M:%SZ}"
    assert "future" in tenantry(stack.home, *WORDS, "--yes", "--before", future).stderr
    time.sleep(1.1)  # the option has whole seconds
    now = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"
    other = tenantry(stack.home, *WORDS, "--yes", "--account", "999999999999", "--before", now)
    assert "0 attempts" in other.stdout
    assert states(stack, anna) == states(stack, bert) == ["unknown"] * 2
    done = tenantry(stack.home, *WORDS, "--yes", "--account", anna.account, "--before", now)
    assert done.returncode == 0
    assert states(stack, anna) == []
    assert stack.rows("SELECT 1 FROM tenantry.charge_entry WHERE tenant_id = $1", anna.id) == []
    asked = tenantry(stack.home, *WORDS, "--before", now)
    assert (asked.returncode, "Write off what is unknown" in asked.stderr) == (1, True)
