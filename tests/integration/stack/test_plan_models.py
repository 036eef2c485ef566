"""Each embedding model that is documented to index with: plans name it, documents are found."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from tests.support.stack import Stack, Tenant, wait_until

REINDEX = "/v1/documents/reindex"
MADE = [
    ("amazon.titan-embed-text-v1", None, 1_536),
    ("amazon.titan-embed-text-v1", 1_536, 1_536),
    ("amazon.titan-embed-image-v1", None, 1_024),
    ("amazon.titan-embed-image-v1", 384, 384),
    ("cohere.embed-english-v3", None, 1_024),
    ("cohere.embed-v4:0", None, 512),
    ("cohere.embed-v4:0", 1_536, 1_536),
]
_SPACES = "SELECT dimensions FROM tenantry.segment WHERE tenant_id = $1"


def ask(stack: Stack, who: Tenant, path: str, body: Any, method: str = "POST") -> tuple[int, Any]:
    sent = b"" if body is None else orjson.dumps(body)
    headers = {"content-type": "application/json"}
    status, _, answer = stack.http(method, path, sent, tenant=who, headers=headers)
    return status, orjson.loads(answer)


def lengths(stack: Stack, who: Tenant) -> set[int]:
    return {row[0] for row in stack.rows(_SPACES, who.id)}


def titles(stack: Stack, who: Tenant) -> list[str]:
    status, found = ask(stack, who, "/v1/search", {"query": "what colour are apples?"})
    assert status == 200, found
    return [passage["title"] for passage in found["passages"]]


@pytest.mark.parametrize(("model", "asked", "made"), MADE)
def test_documents_of_a_plan_with_that_model_are_found(
    stack: Stack, model: str, asked: int | None, made: int
) -> None:
    said = {} if asked is None else {"embedding_dimensions": asked}
    anna, bert = stack.tenants({"embedding_model": model, **said})
    for who, title in ((anna, "Hers"), (bert, "His")):
        status, answer = ask(stack, who, "/v1/documents", {"title": title, "text": "apples: red"})
        assert (status, answer.get("status")) == (201, "ready"), answer
    assert (titles(stack, anna), titles(stack, bert)) == (["Hers"], ["His"])
    assert lengths(stack, anna) == {made}


@pytest.mark.parametrize(("model", "asked", "made"), MADE)
def test_documents_are_reindexed_with_that_model(
    stack: Stack, model: str, asked: int | None, made: int
) -> None:
    anna, bert = stack.tenants()
    for who, title in ((anna, "Hers"), (bert, "His")):
        assert ask(stack, who, "/v1/documents", {"title": title, "text": "apples: red"})[0] == 201
    said = {} if asked is None else {"dimensions": asked}
    status, begun = ask(stack, anna, REINDEX, {"model": model, **said})
    assert (status, begun.get("dimensions")) == (202, made), begun

    def ended() -> Any:
        found = ask(stack, anna, REINDEX, None, "GET")[1]
        return found if found["status"] != "running" else None

    assert wait_until(ended, "the reindex has ended")["status"] == "done"
    assert (titles(stack, anna), titles(stack, bert)) == (["Hers"], ["His"])
    assert lengths(stack, bert) == {512}
