"""Unmodified boto3 reranks: by the operation and natively, billed by the query alone."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from botocore.exceptions import ClientError
from tests.support.stack import Stack, Tenant
from tests.support.stack_agent import (
    COHERE_ARN,
    RERANK_ARN,
    agent,
    both_ways,
    charge_of,
    reranked,
    with_documents,
)
from tests.support.stack_command import tenantry

from tenantry.domain import money


@pytest.fixture
def anna(stack: Stack) -> Iterator[Tenant]:
    """At the end the books agree, and another tenant paid nothing."""
    anna, bert = stack.tenants()
    yield anna
    stack.wait_settled(anna, bert)
    assert stack.ledger(bert) == {}


@pytest.mark.parametrize(("arn", "price"), [(RERANK_ARN, "1000"), (COHERE_ARN, "2000")])
@both_ways
def test_rerank(stack: Stack, anna: Tenant, how: Any, arn: str, price: str) -> None:
    texts = ["pears", {"title": "trains", "to": "Oslo"}, "trains to Oslo"] * 34  # two queries
    answer = agent(stack, anna, how).rerank(**reranked(texts, arn=arn))
    results = answer["results"]
    assert len(results) == len(texts)
    assert results[0]["index"] == 2
    assert results[0]["relevanceScore"] == pytest.approx(1.0)
    assert charge_of(answer) == f"{money.plain(Decimal(price) * 2 * 3 / 10**6)} USD"


def test_reranked_in_pages(stack: Stack, anna: Tenant) -> None:
    pages = agent(stack, anna).get_paginator("rerank").paginate(**reranked(["trains"] * 501))
    assert [len(page["results"]) for page in pages] == [500, 1]


def test_a_reranking_model_invoked_natively(stack: Stack, anna: Tenant) -> None:
    body = {"query": "trains", "documents": ["pears", "trains"] * 51, "top_n": 1}
    answer = stack.boto3(anna).invoke_model(modelId="amazon-rerank", body=json.dumps(body))
    assert json.loads(answer["body"].read())["results"][0]["index"] == 1
    assert charge_of(answer) == "0.006 USD"


def test_a_native_query_that_was_lost_is_trued_up_from_the_log(stack: Stack) -> None:
    """The log has no tokens of it: the units are those that its intent pinned."""
    tenant = stack.tenant()
    match = {"request_metadata": {"tid": tenant.id}}
    stack.emulator.rules({"match": match, "action": {"kind": "cut"}})
    body = {"query": "trains", "documents": ["trains"] * 101}
    with pytest.raises(ClientError):
        stack.boto3(tenant).invoke_model(modelId="amazon-rerank", body=json.dumps(body))
    stack.emulator.clear_rules()
    stack.wait_settled(tenant)
    units = [counts["searchUnits"] for counts in stack.ledger(tenant).values()]
    assert units == [2, 2]
    rows = stack.rows(
        "SELECT coalesce(sum(amount), 0) FROM tenantry.charge_entry WHERE tenant_id = $1", tenant.id
    )
    assert rows[0][0] == 0, "nobody was answered"


@pytest.mark.parametrize(
    ("action", "code", "unknown"),
    [
        ({"kind": "throttle"}, "ThrottlingException", 0),
        ({"kind": "error", "status": 503}, "ServiceUnavailableException", 0),
        ({"kind": "cut"}, "ServiceUnavailableException", 2),
        ({"kind": "rubbish", "what": "html"}, "ModelErrorException", 0),
    ],
)
def test_a_rerank_that_fails_upstream_costs_its_tenant_nothing(
    stack: Stack, action: dict[str, Any], code: str, unknown: int
) -> None:
    tenant = stack.tenant()
    stack.emulator.rules({"match": {"operation": "Rerank"}, "action": action})
    with pytest.raises(ClientError) as error:
        agent(stack, tenant).rerank(**reranked(["trains"]))
    stack.emulator.clear_rules()
    assert error.value.response["Error"]["Code"] == code
    states = stack.rows("SELECT state FROM tenantry.intent WHERE tenant_id = $1", tenant.id)
    assert [row[0] for row in states] == ["unknown"] * unknown
    # No log will ever tell of them: they end as our waste.
    now = datetime.now(UTC)
    stack.keeper(lambda keeper: keeper.give_up(now))
    assert stack.open_requests(tenant) == []
    assert stack.rows("SELECT 1 FROM tenantry.charge_entry WHERE tenant_id = $1", tenant.id) == []


def test_queries_are_reconciled(stack: Stack, anna: Tenant) -> None:
    agent(stack, anna).rerank(**reranked(["trains"]))
    body = {"query": "trains", "documents": ["trains"]}
    stack.boto3(anna).invoke_model(modelId="amazon-rerank", body=json.dumps(body))
    stack.wait_settled(anna)
    yesterday = f"{datetime.now(UTC) - timedelta(days=1):%Y-%m-%d}"
    done = tenantry(stack.home, "reconcile", "--json", "--log-delay-s", "0", "--from", yesterday)
    report = json.loads(done.stdout)
    assert [one for one in report["breaks"] if one["tenant_id"] == anna.id] == []
    assert report["matched"] > 0


def test_search_and_answers_rerank_when_asked(stack: Stack) -> None:
    anna, _ = with_documents(stack)
    rerank = {"model": "amazon-rerank", "keep": 1}
    body = {"query": "trains to Oslo", "rerank": rerank}
    status, headers, found = stack.http("POST", "/v1/search", body, tenant=anna)
    assert status == 200, found
    [passage] = json.loads(found)["passages"]
    assert passage["title"] == "Trains"
    query = Decimal("0.003")
    assert query < Decimal(headers["x-tenantry-charge"].removesuffix(" USD")) < 2 * query
    for more in ({}, {"stream": True}):
        asked = {"question": "trains to Oslo", "rerank": rerank, **more}
        status, _, answer = stack.http("POST", "/v1/answers", asked, tenant=anna)
        assert status == 200, answer
    stack.wait_settled(anna)
    units = [counts["searchUnits"] for counts in stack.ledger(anna).values()]
    assert sorted(units)[-4:] == [0, 1, 1, 1]
    body = {"query": "trains", "rerank": {"model": "nova-micro"}}
    assert stack.http("POST", "/v1/search", body, tenant=anna)[0] == 400
