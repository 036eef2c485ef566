"""`PUT /v1/documents/{id}` and `/v1/documents/reindex` at the edge: shapes, scopes, two tenants."""

from typing import Any

import orjson
from tests.support.http_edge import Edge
from tests.support.http_plain import post_json, send

ADMIN = "tk_acme-admin"
REINDEX = "/v1/documents/reindex"


def put(edge: Edge, path: str, text: str, key: str = "tk_acme", **more: Any) -> tuple[int, Any]:
    body = orjson.dumps({"title": "New", "text": text, **more})
    headers = {"content-type": "application/json"}
    status, _, answer = send(edge, "PUT", path, body, key=key, headers=headers)
    return status, orjson.loads(answer)


def added(edge: Edge, text: str) -> str:
    status, _, body = post_json(edge, "/v1/documents", {"title": "T", "text": text})
    assert status == 201
    return f"/v1/documents/{orjson.loads(body)['id']}"


def test_a_replacement_is_there_at_once_or_shows_how_far_it_is(edge: Edge) -> None:
    path = added(edge, "to be replaced")
    status, now = put(edge, path, "replaced")
    assert (status, now["title"], now["replacement"]) == (200, "New", None)
    assert now["progress"] == {"done": 0, "total": 0}, "as the use case tells it"
    status, same = put(edge, path, "replaced")
    assert (status, same) == (200, now)
    status, under_way = put(edge, path, "comes slowly")
    assert status == 202
    version = under_way["replacement"]
    assert version.keys() == {"status", "size_bytes", "created_at", "failure", "progress"}
    assert (version["status"], version["progress"]) == ("indexing", {"done": 64, "total": 100})


def test_who_may_replace(edge: Edge) -> None:
    path = added(edge, "acme alone may replace it")
    status, refused = put(edge, path, "x", key="tk_bolt")
    assert (status, refused["code"]) == (404, "not_found")
    assert put(edge, path, "x", key="tk_acme-search")[0] == 403
    assert put(edge, path, "x", unknown=1)[0] == 400
    assert put(edge, REINDEX, "x")[0] == 405, "no document is called so"


def test_a_reindex_is_an_admin_s_and_a_tenant_s_own(edge: Edge) -> None:
    body = {"model": "titan", "dimensions": 256}
    for key in ("tk_acme", "tk_acme-search"):
        assert post_json(edge, REINDEX, body, key=key)[0] == 403
    assert send(edge, "GET", REINDEX, key=ADMIN)[0] == 404
    status, headers, answer = post_json(edge, REINDEX, body, key=ADMIN)
    begun = orjson.loads(answer)
    assert (status, headers["location"]) == (202, REINDEX)
    assert (begun["status"], begun["dimensions"]) == ("running", 256)
    assert begun["passages"] == {"done": 0, "total": 3}
    assert begun["api_key_id"] == "key_acme-admin"
    assert orjson.loads(send(edge, "GET", REINDEX, key=ADMIN)[2]) == begun
    ended = orjson.loads(send(edge, "DELETE", REINDEX, key=ADMIN)[2])
    assert ended["status"] == "cancelled"
    for wrong in ({}, {"model": 1}, {"model": "titan", "dimensions": "x"}, {"model": "t", "x": 1}):
        assert post_json(edge, REINDEX, wrong, key=ADMIN)[0] == 400


def test_what_is_there_is_indexed_again_without_a_model(edge: Edge) -> None:
    status, _, answer = post_json(edge, REINDEX, {"again": True}, key=ADMIN)
    assert (status, orjson.loads(answer)["model"]) == (202, "as it is")
    for body in ({"again": 1}, {"again": None}, {"model": "titan", "anew": True}):
        assert post_json(edge, REINDEX, body, key=ADMIN)[0] == 400
