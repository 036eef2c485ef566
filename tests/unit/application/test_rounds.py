"""A round comes again after its pause, and soon after an outage."""

from __future__ import annotations

import asyncio

import pytest

from tenantry.application.round import Round
from tenantry.domain.errors import Unavailable
from tenantry.entrypoints import rounds


def test_a_round_that_met_an_outage_comes_again_before_its_pause_is_over(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(rounds, "RETRY_S", 0.0)
    came = 0

    async def run() -> None:
        stop = asyncio.Event()

        async def work() -> None:
            nonlocal came
            came += 1
            if came == 1:
                raise Unavailable
            stop.set()

        async with asyncio.timeout(30):
            await rounds.run_rounds([Round("archive", 3_600.0, work)], stop)

    asyncio.run(run())
    assert came == 2


def test_an_outage_is_one_line_of_whatever_rounds_meet_it(caplog: pytest.LogCaptureFixture) -> None:
    """Lines fold by their words: which round it was and what the system said is beside them."""

    async def run() -> None:
        stop = asyncio.Event()
        met: list[str] = []

        async def work(name: str, reason: OSError) -> None:
            met.append(name)
            if len(met) == 2:
                stop.set()
            raise Unavailable("The database is out of reach.") from reason

        refused, cut = OSError(111, "Connection refused"), OSError(104, "Connection reset by peer")
        async with asyncio.timeout(30):
            await rounds.run_rounds(
                [
                    Round("sweep", 1.0, lambda: work("sweep", refused)),
                    Round("deliver", 1.0, lambda: work("deliver", cut)),
                ],
                stop,
            )

    asyncio.run(run())
    assert set(caplog.messages) == {"background work has to wait: The database is out of reach"}
    assert {record.about for record in caplog.records} == {
        "[Errno 111] Connection refused; round sweep",
        "[Errno 104] Connection reset by peer; round deliver",
    }


def test_a_round_that_takes_long_holds_up_no_end() -> None:
    """One over all tenants can take half an hour, and the others have ended by then."""
    ended: list[str] = []

    async def run() -> None:
        stop, both = asyncio.Event(), asyncio.Barrier(2)

        async def over_all_tenants() -> None:
            await both.wait()
            stop.set()
            try:
                await asyncio.Event().wait()
            finally:
                ended.append("broken off")

        async def short() -> None:
            await both.wait()
            await stop.wait()
            ended.append("short")

        async with asyncio.timeout(30):
            long = [Round("usage-watch", 60.0, over_all_tenants), Round("sweep", 2.0, short)]
            await rounds.run_rounds(long, stop, end_s=0.1)

    asyncio.run(run())
    assert ended == ["short", "broken off"]
