"""What `serve` says, and what it hands on to its workers."""

from __future__ import annotations

import importlib
import json
from pathlib import Path

import pytest

from tenantry.config import Settings
from tenantry.entrypoints.http.open_files import Shares, wanted
from tenantry.entrypoints.http.supervisor import Addresses

serve = importlib.import_module("tenantry.entrypoints.cli.serve")


def test_workers_keep_within_their_share_of_open_files() -> None:
    plain = serve._serve_settings(Settings())
    assert serve._within(wanted(512), plain) == plain
    found = serve._within(Shares(75, 16, 37), plain)
    assert (found.limits.connections, found.admin_connections, found.limits.requests) == (
        75,
        16,
        37,
    )
    assert found.limits.body_bytes == plain.limits.body_bytes


def test_the_ready_line_is_addresses_alone(capsys: pytest.CaptureFixture[str]) -> None:
    where = Addresses("http://h:1", "https://h:2", "http://h:3", Path("/x/ca.pem"))
    serve._announce(where, True)
    assert json.loads(capsys.readouterr().out) == {
        "http_url": "http://h:1",
        "https_url": "https://h:2",
        "admin_url": "http://h:3",
        "ca_bundle": "/x/ca.pem",
    }
