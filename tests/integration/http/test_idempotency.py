"""Idempotency keys at the edge: on every POST of the data plane, and never past authentication."""

from typing import Any

import pytest
from tests.support.http_edge import Edge
from tests.support.http_plain import post_json, send

from tenantry.domain import errors
from tenantry.entrypoints.http.dataplane import DATA_PLANE

MODEL = "amazon.nova-micro-v1:0"
CONVERSE: dict[str, Any] = {"messages": [{"role": "user", "content": [{"text": "hi"}]}]}
CHAT = {"model": MODEL, "messages": [{"role": "user", "content": "hi"}]}
CALLS = {
    f"/model/{MODEL}/converse": CONVERSE,
    f"/model/{MODEL}/converse-stream": CONVERSE,
    "/v1/chat/completions": CHAT,
    "/v1/chat/completions?": {**CHAT, "stream": True},
    "/v1/embeddings": {"model": "amazon.titan-embed-text-v2:0", "input": "hi"},
    "/v1/search": {"query": "hi"},
    "/v1/answers": {"question": "hi"},
}


@pytest.mark.parametrize("path", CALLS)
def test_the_same_bytes_come_again(edge: Edge, path: str) -> None:
    key = {"idempotency-key": f"same-{path}"}
    status, headers, body = post_json(edge, path, CALLS[path], headers=key)
    assert status == 200
    assert "idempotent-replayed" not in headers
    edge.services.inference.refusal = errors.ModelRetired()  # nothing runs any more
    status, again, same = post_json(edge, path, CALLS[path], headers=key)
    assert (status, same, again["idempotent-replayed"]) == (200, body, "true")
    edge.services.inference.refusal = None
    for changing in ("date", "idempotent-replayed", "content-length"):
        headers.pop(changing, None)
        again.pop(changing, None)
    assert again == headers


@pytest.mark.parametrize(
    "route",
    [route for route in DATA_PLANE.routes if route.method == "POST"],
    ids=lambda route: route.template,
)
def test_every_post_looks_at_its_key(edge: Edge, route: Any) -> None:
    path = route.template.replace("{", "").replace("}", "")
    status, _, body = send(
        edge, "POST", path, b"{}", key="tk_acme-admin", headers={"idempotency-key": "not visible"}
    )
    assert status == 400
    assert b"Idempotency-Key" in body


@pytest.mark.parametrize("key", ["", "a b", "k" * 256, "k\x7f", "ä"])
def test_a_key_that_is_none(edge: Edge, key: str) -> None:
    sent = {"idempotency-key": key.encode().decode("latin-1")}
    assert post_json(edge, "/v1/chat/completions", CHAT, headers=sent)[0] == 400
    assert edge.services.inference.asked == []


def test_the_other_tenant_has_the_same_key_to_itself(edge: Edge) -> None:
    key = {"idempotency-key": "shared"}
    for tenant in ("acme", "bolt"):
        _, headers, _ = post_json(
            edge, "/v1/chat/completions", CHAT, key=f"tk_{tenant}", headers=key
        )
        assert headers["x-tenantry-tenant"] == f"tnt_{tenant}"
        assert "idempotent-replayed" not in headers


@pytest.mark.parametrize(
    "other", [{"x-tenantry-groups": "legal"}, {"x-tenantry-user": "zoe"}, {"x-tenantry-run": "r"}]
)
def test_what_decides_the_answer_is_part_of_the_body(edge: Edge, other: dict[str, str]) -> None:
    key = {"idempotency-key": f"decides-{next(iter(other))}"}
    assert post_json(edge, "/v1/search", {"query": "hi"}, headers=key)[0] == 200
    assert post_json(edge, "/v1/search", {"query": "hi"}, headers=key | other)[0] == 422
    assert post_json(edge, "/v1/answers", {"query": "hi"}, headers=key)[0] == 422


def test_a_replay_authenticates_afresh(edge: Edge) -> None:
    directory, key = edge.services.directory, {"idempotency-key": "fresh"}
    path, body = "/v1/chat/completions", CHAT
    before = directory.fresh_reads
    assert post_json(edge, path, body, headers=key)[0] == 200
    assert directory.fresh_reads == before
    assert post_json(edge, path, body, headers=key)[0] == 200
    assert directory.fresh_reads == before + 1
    found = next(known for known in directory.keys if known.bearer == "tk_acme")
    cached = directory.by_bearer

    async def revoked_behind_the_cache(presented: str, *, fresh: bool) -> Any:
        if fresh:
            raise errors.KeyRevoked
        return found.principal

    directory.by_bearer = revoked_behind_the_cache  # type: ignore[method-assign]
    try:
        status, _, answer = post_json(edge, path, body, headers=key)
    finally:
        directory.by_bearer = cached  # type: ignore[method-assign]
    assert status == 401
    assert b"chatcmpl" not in answer


def test_an_invocation_id_counts_on_the_bedrock_wire_alone(edge: Edge) -> None:
    sdk = {"amz-sdk-invocation-id": "0a1b2c3d-0000-4000-8000-00000000000e"}
    for path, body, replayed in (
        (f"/model/{MODEL}/converse", CONVERSE, "true"),
        ("/v1/chat/completions", CHAT, None),
    ):
        post_json(edge, path, body, headers=sdk)
        _, headers, _ = post_json(edge, path, body, headers=sdk)
        assert headers.get("idempotent-replayed") == replayed


def test_reads_have_no_key(edge: Edge) -> None:
    key = {"idempotency-key": "not visible"}
    assert send(edge, "GET", "/v1/models", headers=key)[0] == 200


PASSING = [errors.UpstreamThrottled(), errors.UpstreamUnavailable(), errors.ConcurrencyLimited()]


@pytest.mark.parametrize("refusal", PASSING)
@pytest.mark.parametrize("spent", [False, True])
def test_a_passing_refusal_frees_its_key_unless_something_is_charged(
    edge: Edge, refusal: errors.TenantryError, spent: bool
) -> None:
    key = {"idempotency-key": f"passing-{refusal.code}-{spent}"}
    path, inference = f"/model/{MODEL}/converse", edge.services.inference
    inference.refusal, inference.spent = refusal, spent
    try:
        status, headers, _ = post_json(edge, path, CONVERSE, headers=key)
    finally:
        inference.refusal = inference.spent = None
    assert status in (429, 503)
    assert (headers.get("x-should-retry") == "false") is spent
    assert not (spent and {"retry-after", "x-amz-retry-after"} & headers.keys())
    again, headers, _ = post_json(edge, path, CONVERSE, headers=key)
    replayed = headers.get("idempotent-replayed")
    assert (again, replayed) == ((status, "true") if spent else (200, None))


def test_a_refusal_that_does_not_pass_keeps_its_key(edge: Edge) -> None:
    key, path = {"idempotency-key": "kept-refusal"}, f"/model/{MODEL}/converse"
    inference = edge.services.inference
    inference.refusal, inference.spent = errors.UpstreamRubbish(), False
    try:
        status, _, _ = post_json(edge, path, CONVERSE, headers=key)
    finally:
        inference.refusal = inference.spent = None
    again, headers, _ = post_json(edge, path, CONVERSE, headers=key)
    assert (again, headers["idempotent-replayed"]) == (status, "true")
