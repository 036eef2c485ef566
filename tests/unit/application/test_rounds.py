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
