"""`tenantry documents reindex`: what is asked of the gateway."""

from __future__ import annotations

import importlib
from typing import Any

import pytest
from click.testing import CliRunner

from tenantry.entrypoints.api_client import Reply

cli = importlib.import_module("tenantry.entrypoints.cli.reindex")

FOUND = {
    "id": "rdx_1",
    "status": "done",
    "model": "titan",
    "dimensions": 512,
    "documents": {"done": 1, "total": 1},
    "passages": {"done": 3, "total": 3},
    "failure": None,
    "failed_document_id": None,
}


class Gateway:
    """Remembers what it was asked."""

    def __init__(self, found: dict[str, Any]) -> None:
        self.found = found
        self.asked: list[Any] = []

    def get(self, path: str) -> Reply:
        self.asked.append("get")
        return Reply(200, {}, self.found)

    def post(self, path: str, body: Any) -> Reply:
        self.asked.append(body)
        return Reply(202, {}, self.found)


@pytest.mark.parametrize(
    ("arguments", "asked"),
    [
        ([], ["get"]),
        (["--model", "titan"], [{"model": "titan"}, "get"]),
        (["--again"], [{"again": True}, "get"]),
        (["--again", "--no-wait"], [{"again": True}]),
        (
            ["--model", "titan", "--dimensions", "512", "--again", "--no-wait"],
            [{"model": "titan", "dimensions": 512, "again": True}],
        ),
    ],
)
def test_what_was_not_given_is_not_sent(
    arguments: list[str], asked: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    gateway = Gateway(FOUND)
    monkeypatch.setattr(cli, "tenant_api", lambda: gateway)
    done = CliRunner().invoke(cli.reindex, arguments)
    assert (done.exit_code, gateway.asked) == (0, asked)


@pytest.mark.parametrize(
    "arguments",
    [["--cancel", "--again"], ["--cancel", "--model", "x"], ["--dimensions", "1", "--again"]],
)
def test_what_does_not_go_together_is_wrong_usage(
    arguments: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    gateway = Gateway(FOUND)
    monkeypatch.setattr(cli, "tenant_api", lambda: gateway)
    assert CliRunner().invoke(cli.reindex, arguments).exit_code == 2
    assert gateway.asked == []


def test_one_that_is_paused_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    gateway = Gateway({**FOUND, "status": "paused", "failure": "budget_exceeded"})
    monkeypatch.setattr(cli, "tenant_api", lambda: gateway)
    assert CliRunner().invoke(cli.reindex, ["--again"]).exit_code == 1
