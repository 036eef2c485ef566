"""A full disk is told before anybody asks for something that needs it."""

from __future__ import annotations

import urllib.request
from urllib.error import HTTPError

import pytest
from tests.support.skewed import SkewedGateway, SteppedClock
from tests.support.stack import Stack

from tenantry.adapters import disks

NO_DISK_HAS_SO_MUCH = 2**62


def ready(gateway: SkewedGateway) -> int:
    try:
        with urllib.request.urlopen(f"{gateway.url}/readyz", timeout=30) as answer:
            return int(answer.status)
    except HTTPError as refused:
        return refused.code


def test_who_has_no_room_for_the_ledger_is_not_ready_though_nobody_asks_for_anything(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = SteppedClock()
    with SkewedGateway(stack.home, machine=clock) as gateway:
        assert ready(gateway) == 200
        with monkeypatch.context() as full:
            full.setattr(disks, "ROOM_BYTES_MIN", NO_DISK_HAS_SO_MUCH)
            clock.step(2)
            assert ready(gateway) == 503
        clock.step(2)
        assert ready(gateway) == 200


def test_metrics_tell_what_is_left_of_both_disks(stack: Stack) -> None:
    text = stack.http("GET", "/metrics", admin=True)[2].decode()
    found = [line for line in text.splitlines() if line.startswith("tenantry_disk_free_bytes{")]
    assert [line.partition(" ")[0] for line in found] == [
        'tenantry_disk_free_bytes{of="database"}',
        'tenantry_disk_free_bytes{of="home"}',
    ]
    assert all(int(line.rpartition(" ")[2]) > 0 for line in found)
