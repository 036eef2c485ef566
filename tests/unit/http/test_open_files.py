"""Open files are shared out, so that connections never take all."""

from __future__ import annotations

import pytest

from tenantry.entrypoints.http.open_files import OWN, Shares, scarce, shares_of, too_few, wanted
from tenantry.entrypoints.http.wire.limits import WireLimits

MOST = wanted(512)


def test_who_has_enough_has_the_limits_of_the_wire() -> None:
    limits = WireLimits()
    assert (MOST.clients, MOST.requests) == (limits.connections, limits.requests)
    assert wanted(10_000).requests == 10_000, "each with a connection of its own to Bedrock"
    for files in (MOST.files, 2 * MOST.files):
        assert shares_of(files, MOST) == MOST
        assert (too_few(files), scarce(files, MOST)) == (None, None)


@pytest.mark.parametrize("most", [MOST, Shares(8_192, 1_024, 100), Shares(100, 10, 50_000)])
def test_what_is_shared_out_is_never_more_than_there_is(most: Shares) -> None:
    before = Shares(0, 0, 0)
    for files in range(OWN + 64, most.files + 2):
        found = shares_of(files, most)
        assert found.files <= files
        for name in ("clients", "admin", "requests"):
            share = getattr(found, name)
            assert 0 < share <= getattr(most, name)
            assert share >= getattr(before, name), "more files are less to nobody"
        before = found
    assert before == most


def test_what_is_less_is_said_in_one_line() -> None:
    told = scarce(1_024, MOST)
    assert told is not None and "\n" not in told
    assert "1,024 files open and could use 11,392" in told
    assert "523 connections of clients, not 8,192, and 261 requests at a time, not 2,048" in told
    assert "LimitNOFILE" in told and "ulimit -n" in told
    assert too_few(1_024) is None
    told = too_few(150)
    assert told is not None and "150 files open and needs 192 at least" in told
