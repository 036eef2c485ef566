"""Ports for tests that need several."""

from __future__ import annotations

import socket

import pytest
from tests.support import ports


def test_several_free_ports_are_no_two_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    found = ports.free_ports(3)
    monkeypatch.setattr(ports, "RANGE", found)
    assert sorted(ports.free_ports(3)) == sorted(found)


def test_a_port_where_somebody_listens_is_not_free(monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = ports.free_ports(2)
    monkeypatch.setattr(ports, "RANGE", [first, second])
    with socket.create_server(("127.0.0.1", first)):
        assert {ports.free_port() for _ in range(8)} == {second}
