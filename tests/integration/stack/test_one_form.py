"""Tags, groups and metadata in two of Unicode's forms over the running product, and the names that
Retrieve keeps for itself."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.support.stack import Stack, Tenant
from tests.support.stack_agent import agent, retrieve

NFC, NFD = "\u00dcnit", "U\u0308nit"
KEY_NFC, KEY_NFD = "caf\u00e9", "cafe\u0301"


def groups(name: str) -> dict[str, str]:
    """As UTF-8, which the client sends as it is."""
    return {"x-tenantry-groups": name.encode().decode("latin-1")}


def post(
    stack: Stack, tenant: Tenant, path: str, body: dict[str, Any], *, group: str | None = None
) -> tuple[int, Any]:
    headers = None if group is None else groups(group)
    status, _, answer = stack.http("POST", path, body, tenant=tenant, headers=headers)
    return status, json.loads(answer)


@pytest.mark.parametrize(("tag", "group"), [(NFC, NFD), (NFD, NFC)])
def test_a_tag_opens_for_its_group_in_either_form(stack: Stack, tag: str, group: str) -> None:
    anna, bert = stack.tenants()
    body = {"title": "Pay", "text": f"apples of {anna.name}", "access": [tag]}
    status, made = post(stack, anna, "/v1/documents", body, group=group)
    assert (status, made["access"]) == (201, [NFC])
    path = f"/v1/documents/{made['id']}"
    for who, name, expected in (
        (anna, group, 200),
        (anna, tag, 200),
        (anna, "Unit", 404),
        (bert, group, 404),
    ):
        assert stack.http("GET", path, tenant=who, headers=groups(name))[0] == expected
        _, found = post(stack, who, "/v1/search", {"query": "apples"}, group=name)
        assert [one["document_id"] for one in found["passages"]] == [made["id"]] * (expected == 200)
    assert stack.http("GET", path, tenant=anna)[0] == 404
    # The same upload, with its tag in the other form.
    status, again = post(stack, anna, "/v1/documents", {**body, "access": [group]}, group=tag)
    assert (status, again["id"]) == (200, made["id"])


def test_a_filter_finds_metadata_in_either_form(stack: Stack) -> None:
    anna, bert = stack.tenants()
    for tenant in (anna, bert):
        body = {"title": tenant.name, "text": "apples", "metadata": {KEY_NFC: NFD, "z": 1}}
        status, made = post(stack, tenant, "/v1/documents", body)
        assert (status, made["metadata"]) == (201, body["metadata"])
    for key in (KEY_NFC, KEY_NFD):
        for value in (NFC, NFD):
            asked = {"query": "apples", "filter": {key: value}}
            _, found = post(stack, anna, "/v1/search", asked)
            assert [one["title"] for one in found["passages"]] == [anna.name]
            where = {"equals": {"key": key, "value": value}}
            answer = retrieve(agent(stack, anna), anna, "apples", filter=where)
            assert len(answer["retrievalResults"]) == 1


def test_metadata_cannot_take_the_names_of_retrieve(stack: Stack) -> None:
    anna, _ = stack.tenants()
    for name in ("x-tenantry-document-id", "x-amz-bedrock-kb-source-uri"):
        body = {"title": "T", "text": "apples", "metadata": {name: "forged"}}
        status, answer = post(stack, anna, "/v1/documents", body)
        assert status == 400 and "are taken" in answer["detail"]
    assert json.loads(stack.http("GET", "/v1/documents", tenant=anna)[2])["data"] == []
