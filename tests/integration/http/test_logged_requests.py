"""A line about a failed request says whose it was and which, beside words that fold."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from tests.support.http_edge import Edge
from tests.support.http_plain import post_json

from tenantry.domain.errors import Unavailable

APP = "tenantry.entrypoints.http.app"
KEYS = {"tnt_acme": "tk_acme", "tnt_bolt": "tk_bolt"}


@pytest.mark.parametrize(
    ("failure", "status", "words"),
    [(Unavailable("of a tenant"), 503, "unavailable at "), (KeyError("x"), 500, "unexpected at ")],
)
@pytest.mark.parametrize("idempotent", [False, True])
def test_a_failed_request_is_named_with_its_tenant(
    edge: Edge,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    failure: Exception,
    status: int,
    words: str,
    idempotent: bool,
) -> None:
    async def fails(*_: Any) -> Any:
        raise failure

    monkeypatch.setattr(edge.services.library, "find", fails)
    ids = {}
    with caplog.at_level(logging.WARNING, APP):
        for tenant, key in KEYS.items():
            sent = {"Idempotency-Key": f"{words[:4]}-{tenant}"} if idempotent else {}
            found = post_json(edge, "/v1/search", {"query": "q"}, key=key, headers=sent)
            assert found[0] == status
            ids[tenant] = found[1]["x-tenantry-request-id"]
    records: list[Any] = [record for record in caplog.records if record.name == APP]
    assert [record.about for record in records] == [
        f"request {ids[tenant]} tenant {tenant}" for tenant in KEYS
    ]
    assert all(record.getMessage().startswith(f"{words}/v1/search: ") for record in records)
    if status == 503:
        assert {record.getMessage() for record in records} == {
            "unavailable at /v1/search: of a tenant"
        }
    assert "tnt_" not in "".join(record.getMessage() for record in records)


def test_a_request_that_nobody_was_found_for_has_its_id_alone(
    edge: Edge, caplog: pytest.LogCaptureFixture
) -> None:
    edge.services.directory.add("late", Unavailable())
    with caplog.at_level(logging.WARNING, APP):
        status, headers, _ = post_json(edge, "/v1/search", {"query": "q"}, key="tk_late")
    assert status == 503
    (record,) = [each for each in caplog.records if each.name == APP]
    assert vars(record)["about"] == f"request {headers['x-tenantry-request-id']}"
