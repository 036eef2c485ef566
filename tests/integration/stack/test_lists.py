"""Lists by pages, over the wire: of tenants and of the operator."""

from __future__ import annotations

import json
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import pytest
from tests.support.stack import Stack, Tenant
from tests.support.stack_command import tenantry

from tenantry.adapters.postgres.contracts import PostgresContracts


@pytest.mark.parametrize("cursor", ["", "zzz", "%00", f"doc_{'0' * 26}"])
def test_a_list_begins_nowhere_but_where_one_ended(stack: Stack, cursor: str) -> None:
    def said(path: str, **who: Any) -> tuple[int, bytes]:
        status, _, answer = stack.http("GET", f"{path}?cursor={cursor}", **who)
        return status, answer

    for tenant in stack.tenants():
        status, answer = said("/v1/keys", tenant=tenant)
        assert (status, b"`cursor`" in answer) == (400, True), answer
    for path in ("tenants", "alerts", "audits", "plans", "placements", "models", "invoice-runs"):
        status, answer = said(f"/admin/v1/{path}", admin=True)
        assert (status, b"`cursor`" in answer) == (400, True), (path, answer)


OF_A_TENANT = (
    "keys",
    "budgets",
    "contracts",
    "contracts/plans",
    "contracts/credits",
    "mutes",
    "invoice-runs",
    "invoices",
)


def granted(stack: Stack, tenant: Tenant, times: int) -> None:
    async def work(databases: Any) -> None:
        for _ in range(times):
            await PostgresContracts(databases.control).grant_credit(tenant.id, Decimal(1), "")

    stack.in_databases(work)


def asked(stack: Stack, path: str, query: str) -> Any:
    status, _, answer = stack.http("GET", f"/admin/v1/{path}?{query}", admin=True)
    assert status == 200, (path, answer)
    return json.loads(answer)


def posted(stack: Stack, path: str, body: Mapping[str, Any]) -> None:
    status, _, answer = stack.http("POST", f"/admin/v1/{path}", body, admin=True)
    assert status in (200, 201), (path, answer)


def by_pages(stack: Stack, path: str, query: str) -> list[Any]:
    found, cursor = [], ""
    while cursor is not None:
        page = asked(stack, path, f"{query}limit=2{cursor and '&cursor=' + cursor}")
        assert len(page["data"]) <= 2
        found += page["data"]
        cursor = page["next_cursor"]
    return found


def test_an_operators_lists_have_pages_in_their_order(stack: Stack) -> None:
    anna, bert = stack.tenants({"monthly_budget": "50"})
    granted(stack, anna, 5)
    plan = json.loads(stack.http("GET", f"/admin/v1/tenants/{anna.id}", admin=True)[2])["plan"]
    for n in range(1, 6):
        of = {"tenant": anna.id}
        posted(stack, "keys", of)
        posted(stack, "budgets", {**of, "scope": "run", "scope_id": f"r{n}", "period": "day",
                                  "limit": "1"})  # fmt: skip
        posted(stack, "contracts", {**of, "payment_days": n})
        posted(stack, "contracts/plans", {**of, "plan": plan,
                                          "at": f"2126-0{n}-01T00:00:00Z"})  # fmt: skip
        posted(stack, "mutes", {**of, "starts_at": "2126-01-01T00:00:00Z",
                                "ends_at": "2126-01-02T00:00:00Z", "reason": "launch"})  # fmt: skip
        posted(stack, "exchange-rates", {"day": f"2020-01-0{n}", "base": "USD", "quote": "SEK",
                                         "rate": f"{n}", "source": "bank"})  # fmt: skip
        stack.rows(
            "INSERT INTO tenantry.invoice_run"
            " (tenant_id, period_start, period_end, outcome, detail)"
            f" VALUES ($1, '2020-0{n}-01', '2020-0{n + 1}-01', 'nothing', '') RETURNING true",
            anna.id,
        )
    for path in OF_A_TENANT:
        whole = asked(stack, path, f"tenant={anna.id}")
        assert whole["next_cursor"] is None
        assert by_pages(stack, path, f"tenant={anna.id}&") == whole["data"], path
        assert path == "invoices" or len(whole["data"]) >= 5, path
        theirs = asked(stack, path, f"tenant={bert.id}")["data"]
        assert not [row for row in theirs if row in whole["data"]] or path in (
            "budgets",  # the plan's own
            "invoices",  # drafts of the same months
        )
    for path in ("plans", "placements", "models", "exchange-rates", "invoice-runs", "tenants"):
        first = by_pages(stack, path, "")
        assert first[:2] == asked(stack, path, "limit=2")["data"]
        assert len({json.dumps(row) for row in first}) == len(first)


def test_commands_print_what_a_tenant_has_to_its_end(stack: Stack) -> None:
    """More than an adapter gives at once: the rows come from two pages."""
    anna, bert = stack.tenants({"monthly_budget": "50"})
    stack.rows(
        "INSERT INTO tenantry.api_key (tenant_id, api_key_id, name, hint, bearer_hmac,"
        " access_key_id, secret_sealed, scopes)"
        " SELECT $1, 'key_' || lpad(n::text, 26, '0'), '', 'cret', sha256(($1 || n)::bytea),"
        " $1 || n, secret_sealed, scopes FROM generate_series(1, 1000) n, tenantry.api_key k"
        " WHERE k.tenant_id = $1 RETURNING true",
        anna.id,
    )
    stack.rows(
        "INSERT INTO tenantry.budget (tenant_id, subject, period, basis, amount, hard)"
        " SELECT $1, 'run:r' || n, 'day', 'charge', 1, true FROM generate_series(1, 1000) n"
        " RETURNING true",
        anna.id,
    )
    for command in (("keys", "list"), ("budgets", "show"), ("invoices", "list")):
        ours, theirs = (
            json.loads(tenantry(stack.home, *command, who.id, "--json").stdout)
            for who in (anna, bert)
        )
        assert (len(ours), len(theirs)) == ((1, 1) if command[0] == "invoices" else (1_001, 1))


def test_what_is_left_of_a_credit_is_told_of_all_its_entries(stack: Stack) -> None:
    """It was the sum of the first hundred."""
    anna, bert = stack.tenants()
    granted(stack, anna, 131)
    granted(stack, bert, 1)
    for amount, left in ((), 131), (("5",), 136):
        told = tenantry(stack.home, "tenants", "credit", anna.name, *amount)
        assert told.stdout.splitlines()[-1] == f"left: {left} USD"
    entries = json.loads(tenantry(stack.home, "tenants", "credit", anna.name, "--json").stdout)
    assert (len(entries), sorted(entries[0])) == (
        132,
        ["amount", "currency", "kind", "note", "number", "posted_at"],
    )
    [theirs] = json.loads(tenantry(stack.home, "tenants", "credit", bert.name, "--json").stdout)
    assert theirs["amount"] == "1"
    page = asked(stack, "contracts/credits", f"tenant={anna.id}")
    assert (len(page["data"]), page["next_cursor"] is None) == (100, False)


def test_a_list_that_a_limit_ends_says_that_there_are_more(stack: Stack) -> None:
    stack.tenants()
    first = tenantry(stack.home, "tenants", "list", "--limit", "1", "--json")
    [tenant] = json.loads(first.stdout)
    assert first.stderr == f"These are 1, and there are more: --after {tenant['id']}.\n"
    after = tenantry(stack.home, "tenants", "list", "--all", "--after", tenant["id"])
    assert (after.returncode, after.stderr) == (0, "")
