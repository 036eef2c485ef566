"""A notice that says nothing, to see who hears of notices: which sinks the worker really has."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Final
from uuid import uuid4

from tenantry.ports.delivery import Listed, NoticeDesk
from tenantry.ports.outbox import PLATFORM, Notice

TEST_NOTICE: Final = "platform.test"
_LOOKED_AT: Final = 1_000  # newest deliveries, among which those of the test are
_PAUSE_S: Final = 0.25
_ON_THE_WAY: Final = frozenset({"new", "pending"})


async def tell_test(
    desk: NoticeDesk,
    now: datetime,
    patience_s: float,
    pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> Sequence[Listed]:
    """Puts a test into the outbox and returns its deliveries, one row of state `new` or `no sink`
    where there are none: once none is on its way any more, or one has failed, or after
    `patience_s`.
    """
    before = {row.notice_id for row in await _tests(desk)}
    body = {"summary": "a test: whoever reads it hears of alerts", "at": now.isoformat()}
    await desk.report(Notice(PLATFORM, TEST_NOTICE, str(uuid4()), body))
    waited_s = 0.0
    while True:
        rows = [row for row in await _tests(desk) if row.notice_id not in before]
        waits = [row for row in rows if row.state in _ON_THE_WAY and row.last_error is None]
        if not waits or waited_s >= patience_s:
            return rows
        await pause(_PAUSE_S)
        waited_s += _PAUSE_S


async def _tests(desk: NoticeDesk) -> list[Listed]:
    return [row for row in await desk.listed(None, _LOOKED_AT) if row.kind == TEST_NOTICE]
