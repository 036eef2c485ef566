"""A test of notices tells which sinks the worker has, waits for no other, and not for ever."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, cast
from uuid import UUID

import pytest

from tenantry.application.notice_test import tell_test
from tenantry.ports.delivery import Listed
from tenantry.ports.outbox import PLATFORM, TEST_NOTICE, Notice

AT = datetime(2026, 12, 1, tzinfo=UTC)
OWN, ANOTHER = UUID(int=2), UUID(int=3)
NEW = Listed(OWN, PLATFORM, None, TEST_NOTICE, AT, None, "new", 0, None, None)


@dataclass
class Desk:
    """A worker that has come further each time somebody looks, and a test that runs beside."""

    steps: Sequence[Sequence[Listed]]
    reported: list[Notice] = field(default_factory=list)
    looks: int = 0

    async def report(self, notice: Notice) -> UUID:
        self.reported.append(notice)
        return OWN

    async def listed(
        self, state: str | None, limit: int, notice_id: UUID | None = None
    ) -> list[Listed]:
        rows = self.steps[min(self.looks, len(self.steps) - 1)]
        self.looks += 1
        beside = [replace(NEW, notice_id=ANOTHER, sink="mail", state="pending")]
        return [row for row in [*beside, *rows] if notice_id in (None, row.notice_id)]


def told(desk: Desk, patience_s: float = 20) -> Sequence[Listed]:
    async def pause(seconds: float) -> None:
        pass

    return asyncio.run(tell_test(cast("Any", desk), AT, patience_s, pause))


def at(sink: str | None, state: str, error: str | None = None) -> Listed:
    return replace(NEW, sink=sink, state=state, last_error=error)


@pytest.mark.parametrize(
    "end",
    [
        [at(None, "no sink")],
        [at("mail", "delivered"), at("webhook", "delivered")],
        [at("mail", "delivered"), at("webhook", "pending", "it answered 500")],
        [at("webhook", "dead", "it answered 410")],
    ],
    ids=["nobody", "everybody", "one fails", "one refuses"],
)
def test_it_is_told_as_soon_as_it_is_known(end: list[Listed]) -> None:
    desk = Desk([[NEW], [at("mail", "pending"), at("webhook", "pending")], end, []])
    assert told(desk) == end
    (notice,) = desk.reported
    assert (notice.tenant_id, notice.kind) == (PLATFORM, TEST_NOTICE)
    assert notice.body["summary"]


def test_where_no_worker_is_it_stays_new_and_is_not_waited_for_any_longer() -> None:
    desk = Desk([[NEW]])
    assert told(desk, patience_s=1) == [NEW]
    assert desk.looks == 5
