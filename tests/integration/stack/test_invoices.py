"""From a question over the wire to a final invoice over the wire, and nothing of it for another."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from typing import Any

from tests.support.stack import MODEL, Stack
from tests.support.stack_clients import converse_body, converse_path
from tests.support.stack_invoices import last_month

from tenantry.domain.invoice_numbers import parts_of


def admin(stack: Stack, method: str, path: str, body: Any = None) -> tuple[int, Any]:
    request = urllib.request.Request(
        f"{stack.admin_url}/admin/v1{path}",
        None if body is None else json.dumps(body).encode(),
        {"authorization": f"Bearer {stack.operator_token}", "content-type": "application/json"},
        method=method,
    )
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as refused:
        return refused.code, json.load(refused)


def test_a_question_ends_on_a_final_invoice_of_its_tenant_alone(stack: Stack) -> None:
    anna, bert = stack.tenants({"monthly_fee": "10"})
    for tenant in (anna, bert):
        answer = stack.api(tenant).post(converse_path(MODEL), converse_body())
        assert answer.status == 200
    contract = {"tenant": anna.id, "address": ["1 Main Street"], "tax_rate": "0.2"}
    status, made = admin(stack, "POST", "/contracts", contract)
    assert (status, made["version"], made["tax_rate"]) == (201, 1, "0.2")
    last_month(stack, anna)
    status, drafts = admin(stack, "GET", f"/invoices?tenant={anna.id}")
    assert [row["status"] for row in drafts["data"]] == ["draft", "draft"]
    status, final = admin(stack, "POST", "/invoices/finalise", {"tenant": anna.id})
    assert status == 201, final
    assert (final["total"], final["due"]) == ("12.00", "12.00")
    assert {line["token_class"] for line in final["lines"]} == {None, "uncached_in", "out"}
    number = final["number"]
    series, count = parts_of(number)
    kept = json.loads((stack.home / "control" / "invoice-numbers.json").read_text())
    assert kept[series] >= count  # before it was handed out
    assert admin(stack, "POST", "/invoices/finalise", {"tenant": anna.id})[0] == 409
    assert admin(stack, "GET", f"/invoices/{number}/verify")[1]["same"] is True

    mine = stack.api(anna).get(f"/v1/invoices/{number}")
    assert (mine.status, mine.body["sha256"]) == (200, final["sha256"])
    listed = stack.api(anna).get("/v1/invoices").body["data"]
    assert [row["number"] for row in listed if row["status"] == "final"] == [number]
    assert stack.api(bert).get(f"/v1/invoices/{number}").status == 404
    assert number not in str(stack.api(bert).get("/v1/invoices").body)

    status, note = admin(
        stack, "POST", f"/invoices/{number}/credit", {"amount": "5.00", "reason": "outage"}
    )
    assert (status, note["total"], note["references"]["invoice"]) == (201, "-6.00", number)
    assert admin(stack, "POST", f"/invoices/{number}/void", {"reason": "no"})[0] == 409
    assert admin(stack, "POST", f"/invoices/{note['number']}/void", {"reason": "no"})[0] == 200
    assert admin(stack, "POST", f"/invoices/{number}/void", {"reason": "address"})[0] == 200
    assert stack.api(anna).get(f"/v1/invoices/{number}").body["status"] == "void"
    assert stack.violations() == []


def test_a_plan_changed_over_the_admin_port_holds_for_the_next_request(stack: Stack) -> None:
    anna, bert = stack.tenants()

    async def closed(control: Any) -> None:
        await control.apply_plans({"closed": {"requests_per_day": 0, "markup": "3"}})

    stack.control(closed)
    ask = (converse_path(MODEL), converse_body())
    assert stack.api(anna).post(*ask).status == 200
    status, _ = admin(stack, "POST", "/contracts/plans", {"tenant": anna.id, "plan": "closed"})
    assert status == 201
    assert stack.api(anna).post(*ask).status == 400  # quota, on Bedrock's wire
    assert stack.api(bert).post(*ask).status == 200
    later = {"tenant": bert.id, "plan": "closed", "at": "2999-01-01T00:00:00Z"}
    assert admin(stack, "POST", "/contracts/plans", later)[0] == 201
    assert stack.api(bert).post(*ask).status == 200
    status, listed = admin(stack, "GET", f"/contracts/plans?tenant={bert.id}")
    assert [row["applied_at"] is None for row in listed["data"]] == [True, False]
