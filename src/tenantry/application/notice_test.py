"""A notice that says nothing, to see who hears of notices: which sinks the worker really has."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Final
from uuid import uuid4

from tenantry.ports.delivery import Listed, NoticeDesk
from tenantry.ports.outbox import PLATFORM, TEST_NOTICE, Notice

_SINKS_MAX: Final = 1_000  # that are looked at
_PAUSE_S: Final = 0.25
_ON_THE_WAY: Final = frozenset({"new", "pending"})


async def tell_test(
    desk: NoticeDesk,
    now: datetime,
    patience_s: float,
    pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> Sequence[Listed]:
    """Puts a test into the outbox and returns its deliveries, one row of state `new` or `no sink`
    where there are none: once each has ended or has failed for now, or after `patience_s`.
    """
    body = {"summary": "a test: whoever reads it hears of alerts", "at": now.isoformat()}
    notice_id = await desk.report(Notice(PLATFORM, TEST_NOTICE, str(uuid4()), body))
    assert notice_id is not None, "its key is new"
    waited_s = 0.0
    while True:
        rows = await desk.listed(None, _SINKS_MAX, notice_id)
        waits = [row for row in rows if row.state in _ON_THE_WAY and row.last_error is None]
        if not waits or waited_s >= patience_s:
            return rows
        await pause(_PAUSE_S)
        waited_s += _PAUSE_S
