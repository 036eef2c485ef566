"""From a tenant's call to the operator's alert, by the running worker, and on the command line."""

import json
from decimal import Decimal
from typing import Any

from click.testing import CliRunner
from tests.support.stack import MODEL, Stack, Tenant, wait_until
from tests.support.stack_clients import Reply, converse_body, converse_path

from tenantry.entrypoints.cli.main import cli
from tenantry.ports.control import Budget


def run(stack: Stack, *words: str) -> Any:
    result = CliRunner().invoke(cli, list(words), env={"TENANTRY_HOME": str(stack.home)})
    assert result.exit_code == 0, result.output
    return json.loads(result.output) if "--json" in words else result.output


def alerts_of(stack: Stack, name: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = run(stack, "alerts", "list", "--tenant", name, "--json")["alerts"]
    return found


def test_a_call_that_spends_a_budget_is_told(stack: Stack) -> None:
    plan = {"monthly_budget": "0.000001", "budget_hard": False}
    anna, bert = stack.tenants(plan)
    stack.boto3(anna).converse(modelId=MODEL, **converse_body())
    stack.wait_settled(anna)
    told = wait_until(lambda: alerts_of(stack, anna.name), "an alert")
    assert [a["detail"]["threshold_percent"] for a in told] == [100, 80, 50]
    assert {(a["tenant_id"], a["tenant_name"]) for a in told} == {(anna.id, anna.name)}
    assert alerts_of(stack, bert.name) == []
    (row,) = run(stack, "budgets", "show", anna.name, "--json")
    assert row["scope"] == "plan"
    shown = run(stack, "budgets", "show", anna.name).splitlines()[1].split()
    assert shown[:4] == ["plan", "month", "charge", "0.000001"]
    assert Decimal(row["settled"]) == Decimal(told[0]["observed"])
    run(stack, "alerts", "acknowledge", told[0]["id"])
    states = {a["id"]: a["state"] for a in alerts_of(stack, anna.name)}
    assert sorted(states.values()) == ["acknowledged", "open", "open"]
    assert states[told[0]["id"]] == "acknowledged"
    seen = run(stack, "alerts", "acknowledge", told[1]["id"])
    assert told[1]["id"] in seen
    lines = run(stack, "alerts", "list", "--tenant", anna.name).splitlines()[1:]
    assert all("budget.threshold" in line and f" {anna.name} " in line for line in lines)
    assert len(lines) == len(told)
    told_of = {each["tenant_id"]: each["tenant_name"] for each in _notices(stack)}
    assert told_of[anna.id] == anna.name
    assert f" {anna.name} " in run(stack, "notices", "list")


def test_a_call_that_a_budget_refuses_is_told(stack: Stack) -> None:
    anna, bert = stack.tenants({"monthly_budget": "0.000001"})
    for _ in range(2):
        status, _, _ = stack.http("POST", converse_path(MODEL), converse_body(), tenant=anna)
        assert status == 402
    (told,) = wait_until(lambda: alerts_of(stack, anna.name), "an alert")
    assert (told["kind"], told["subject"], told["observed"]) == ("budget.refused", "plan", "0")
    assert alerts_of(stack, bert.name) == []


def test_a_shortened_answer_is_no_refusal_and_the_refusal_after_it_is_told(stack: Stack) -> None:
    anna, bert = stack.tenants({"max_tokens_ceiling": 64_000})
    for who in (anna, bert):
        cap = Budget(who.id, "run", "r-one", "total", "charge", Decimal("0.002"))
        stack.control(lambda control, cap=cap: control.set_budget(cap))
    body = converse_body(max_tokens=64_000)
    named = {"x-tenantry-run": "r-one"}

    def ask(who: Tenant) -> Reply:
        return stack.http("POST", converse_path(MODEL), body, tenant=who, headers=named)

    for who in (anna, bert):
        status, headers, answer = ask(who)
        assert (status, "x-tenantry-max-tokens" in headers) == (200, True), answer
        stack.wait_settled(who)
    spent = Budget(anna.id, "run", "r-one", "total", "charge", Decimal("0.0000001"))
    stack.control(lambda control: control.set_budget(spent))
    assert [ask(anna)[0] for _ in range(2)] == [402, 402]
    refused = wait_until(lambda: _refusals_of(stack, anna.name), "an alert")
    assert [(a["subject"], a["observed"] != "0") for a in refused] == [("run:r-one", True)]
    assert _refusals_of(stack, bert.name) == []


def _notices(stack: Stack) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = run(stack, "notices", "list", "--json")
    return found


def _refusals_of(stack: Stack, name: str) -> list[dict[str, Any]]:
    return [alert for alert in alerts_of(stack, name) if alert["kind"] == "budget.refused"]


def test_use_is_announced_by_command(stack: Stack) -> None:
    anna, bert = stack.tenants()
    span = ("--from", "2026-12-01", "--to", "2026-12-02T06:00:00Z")
    run(stack, "alerts", "mute", anna.name, *span, "--reason", "launch")
    (muted,) = run(stack, "alerts", "mutes", anna.name, "--json")["mutes"]
    assert (muted["tenant_id"], muted["reason"]) == (anna.id, "launch")
    assert muted["starts_at"] == "2026-12-01T00:00:00+00:00"
    assert run(stack, "alerts", "mutes", bert.name, "--json")["mutes"] == []
    run(stack, "alerts", "unmute", anna.name, muted["id"])
    assert run(stack, "alerts", "mutes", anna.name, "--json")["mutes"] == []
    backwards = ["alerts", "mute", anna.name, "--from", "2026-12-02", "--to", "2026-12-01"]
    refused = CliRunner().invoke(cli, [*backwards, "--reason", "x"])
    assert refused.exit_code == 2


def test_a_replay_without_a_file_reads_the_ledger(stack: Stack) -> None:
    """It was a usage error, and nothing makes the file that it wanted."""
    stack.tenants()
    found = run(stack, "alerts", "replay", "--json")["alerts"]
    assert all(alert.keys() == {"tenant", "hour_utc", "kind", "excess"} for alert in found)
    assert run(stack, "alerts", "replay").split()[:4] == ["tenant", "hour_utc", "kind", "excess"]
