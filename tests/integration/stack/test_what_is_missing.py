"""What is not there, or not yet, is named by its kind and its id, and what can be had instead."""

from __future__ import annotations

import json

import pytest
from tests.support.stack import Stack, Tenant
from tests.support.stack_command import tenantry

LIMIT = ("--limit", "1", "--period", "total")


def refused(stack: Stack, *words: str, who: Tenant | None = None) -> str:
    keys = {} if who is None else {"TENANTRY_API_KEY": who.key.bearer, "TENANTRY_URL": stack.url}
    done = tenantry(stack.home, *words, environment=keys)
    assert (done.returncode, done.stdout) == (1, "")
    return done.stderr


def asked(stack: Stack, who: Tenant, method: str, path: str, admin: bool = False) -> str:
    status, _, body = stack.http(method, path, tenant=who, admin=admin)
    assert status == 404
    return str(json.loads(body)["detail"])


def test_an_api_key(stack: Stack) -> None:
    anna, bert = stack.tenants()
    for name in ("key_nope", bert.key.id):
        told = f"There is no API key {name}."
        assert refused(stack, "keys", "revoke", anna.id, name) == f"tenantry: {told}\n"
        assert asked(stack, anna, "DELETE", f"/v1/keys/{name}") == told
        of = f"/admin/v1/keys/{name}?tenant={anna.id}"
        assert asked(stack, anna, "DELETE", of, admin=True) == told
    assert stack.http("GET", "/v1/limits", tenant=bert)[0] == 200, "theirs is as it was"


def test_a_budget(stack: Stack) -> None:
    anna, bert = stack.tenants()
    words = ("--run", "nope", "--period", "total")
    assert tenantry(stack.home, "budgets", "set", bert.id, "--run", "nope", *LIMIT).returncode == 0
    told = refused(stack, "budgets", "remove", anna.id, *words)
    assert told == "tenantry: There is no budget run:nope, total, charge.\n"
    assert tenantry(stack.home, "budgets", "remove", bert.id, *words).returncode == 0


def test_a_question_is_called_so(stack: Stack) -> None:
    anna, _ = stack.tenants()
    assert (
        refused(stack, "ask", "", who=anna) == "tenantry: The question must not be empty. (400)\n"
    )
    assert (
        refused(stack, "search", "", who=anna) == "tenantry: The query must not be empty. (400)\n"
    )
    told = refused(stack, "ask", "x" * 20_000, who=anna)
    assert told.startswith("tenantry: The question is longer than ")


@pytest.mark.parametrize("words", [("finalise",), ("draft", "--store")], ids=" ".join)
def test_an_invoice_of_a_period_that_runs(stack: Stack, words: tuple[str, ...]) -> None:
    anna, _ = stack.tenants()
    told = refused(stack, "invoices", words[0], anna.id, *words[1:])
    assert told.startswith("tenantry: The period ends at ")
    assert told.endswith(
        ": until then nothing of it is made final or stored for review. What it comes to so far is"
        " its draft.\n"
    )
    assert tenantry(stack.home, "invoices", "draft", anna.id).returncode == 0
