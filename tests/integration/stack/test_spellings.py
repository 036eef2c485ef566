"""A name in two of Unicode's forms is one end user, wherever it comes in."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

import pytest
from tests.support.stack import MODEL, Stack, Tenant
from tests.support.stack_clients import converse_body, converse_path
from tests.support.stack_command import tenantry

from tenantry.domain.ids import TenantId
from tenantry.domain.knowledge_base import knowledge_base_of

NFC, NFD = "Jos\u00e9", "Jose\u0301"
PLAN = {"answer_cache_ttl_s": 3_600}


def header(name: str) -> dict[str, str]:
    """As UTF-8, which the client sends as it is."""
    return {"x-tenantry-user": name.encode().decode("latin-1")}


def post(
    stack: Stack, tenant: Tenant, path: str, body: dict[str, Any], **headers: str
) -> tuple[int, Any]:
    status, _, answer = stack.http("POST", path, body, tenant=tenant, headers=headers)
    return status, json.loads(answer)


def ask(stack: Stack, tenant: Tenant, name: str, text: str) -> tuple[int, str | None]:
    """Status, and whether it is an answer of before."""
    status, headers, _ = stack.http(
        "POST", converse_path(MODEL), converse_body(text), tenant=tenant, headers=header(name)
    )
    return status, headers.get("x-tenantry-cache")


def users(stack: Stack, tenant: Tenant) -> dict[str, int]:
    """Requests by the hash of who asked."""
    status, _, body = stack.http("GET", "/v1/usage?group_by=user", tenant=tenant)
    assert status == 200, body
    return {row["user"]: row["requests"] for row in json.loads(body)["data"]}


def test_usage_and_budgets_know_one_user_by_every_way_in(stack: Stack) -> None:
    anna, bert = stack.tenants()
    for tenant in (anna, bert):
        for name in (NFC, NFD):
            assert ask(stack, tenant, name, "Hello.")[0] == 200
            stack.openai(tenant).chat.completions.create(
                model=MODEL, messages=[{"role": "user", "content": "Hi."}], user=name
            )
    ((user, requests),) = users(stack, anna).items()
    assert requests == 4
    assert set(users(stack, bert)) != {user}
    limit = {"scope": "user", "period": "day", "limit": "5"}
    made = [post(stack, anna, "/v1/budgets", {**limit, "scope_id": name})[1] for name in (NFC, NFD)]
    operators = stack.http(
        "POST", "/admin/v1/budgets", {**limit, "tenant": anna.id, "scope_id": NFD}, admin=True
    )
    assert {each["scope_id"] for each in (*made, json.loads(operators[2]))} == {user}
    for name in (NFC, NFD):
        _, _, body = stack.http("GET", f"/v1/usage?user={quote(name)}", tenant=anna)
        assert json.loads(body)["data"][0]["requests"] == 4
        shown = tenantry(stack.home, "usage", anna.name, "--user", name, "--json")
        assert json.loads(shown.stdout)[0]["requests"] == 4, shown.stderr
        _, _, body = stack.http("GET", "/v1/limits", tenant=anna, headers=header(name))
        assert f"budget user:{user}" in {each["name"] for each in json.loads(body)["data"]}
    assert len(json.loads(stack.http("GET", "/v1/budgets", tenant=anna)[2])["data"]) == 1
    assert json.loads(stack.http("GET", "/v1/budgets", tenant=bert)[2])["data"] == []


@pytest.mark.parametrize(("one", "other"), [(NFC, NFD), (NFD, NFC)])
def test_a_spent_budget_refuses_the_other_spelling_too(stack: Stack, one: str, other: str) -> None:
    anna, bert = stack.tenants()
    none = {"scope": "user", "scope_id": one, "period": "day", "limit": "0"}
    assert post(stack, anna, "/v1/budgets", none)[0] == 201
    assert [ask(stack, anna, name, "Hello.")[0] for name in (one, other)] == [402, 402]
    assert [ask(stack, bert, name, "Hello.")[0] for name in (one, other)] == [200, 200]
    assert ask(stack, anna, "Jose", "Hello.")[0] == 200, "another name"


def test_answers_conversations_and_erasure_know_one_user(stack: Stack) -> None:
    anna, bert = stack.tenants(PLAN)
    sessions = {}
    for tenant in (anna, bert):
        post(stack, tenant, "/v1/documents", {"title": "T", "text": "apples are red"})
        assert ask(stack, tenant, NFC, "What is red?") == (200, None)
        assert ask(stack, tenant, NFD, "What is red?") == (200, "hit")
        first = talk(stack, tenant, {"userContext": {"userId": NFD}})
        again = {"userContext": {"userId": NFC}, "sessionId": first[1]["sessionId"]}
        assert (first[0], talk(stack, tenant, again)[0]) == (200, 200)
        sessions[tenant.id] = again
    status, erased = post(stack, anna, "/v1/users/erase", {"user": NFD})
    assert status == 200
    counts = erased["erased"]
    assert (counts["replies"], counts["sessions"], counts["links"]) == (1, 1, 1)
    assert talk(stack, anna, sessions[anna.id])[0] == 404
    assert talk(stack, bert, sessions[bert.id])[0] == 200
    for name in (NFC, NFD):
        asked = {"user": name, "section": "usage"}
        assert post(stack, anna, "/v1/users/export", asked)[1]["data"] == []
        assert len(post(stack, bert, "/v1/users/export", asked)[1]["data"]) >= 3


def talk(stack: Stack, tenant: Tenant, more: dict[str, Any]) -> tuple[int, Any]:
    body = {
        "input": {"text": "What are apples?"},
        "retrieveAndGenerateConfiguration": {
            "type": "KNOWLEDGE_BASE",
            "knowledgeBaseConfiguration": {
                "knowledgeBaseId": knowledge_base_of(TenantId(tenant.id)),
                "modelArn": MODEL,
            },
        },
        **more,
    }
    return post(stack, tenant, "/retrieveAndGenerate", body)
