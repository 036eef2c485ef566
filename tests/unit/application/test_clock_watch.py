"""A checked clock goes on steadily, whatever becomes of the machine's, and a skew is told."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import timedelta

import pytest
from tests.support.scripted import NOW, ManualClock

from tenantry.application import clock_watch
from tenantry.application.clock_watch import TOLD_EVERY_S, CheckedClock, ClockWatch
from tenantry.ports.clock import Moment
from tenantry.ports.outbox import Notice


class JumpingClock(ManualClock):
    """Whose wall clock can be set, as by a person or NTP; its monotonic time goes on."""

    def __init__(self) -> None:
        super().__init__()
        self.jump = timedelta()

    def now(self):  # type: ignore[no-untyped-def]
        return self.at + self.jump


def test_a_jump_of_the_machine_moves_no_instant() -> None:
    machine = JumpingClock()
    clock = CheckedClock(machine)
    assert clock.now() == NOW, "the machine's, until it was checked"
    true = NOW + timedelta(minutes=7)
    clock.set(Moment(true, machine.monotonic(), 0.001))
    machine.move(seconds=30)
    machine.jump = timedelta(hours=-2)
    assert clock.now() == true + timedelta(seconds=30)
    assert clock.monotonic() == machine.monotonic()
    clock.set(Moment(true + timedelta(seconds=31), machine.monotonic(), 0.001))
    assert clock.now() == true + timedelta(seconds=31)


class OtherClock:
    """A database whose clock is so far ahead of `machine`; a notice it has had before."""

    def __init__(self, machine: ManualClock, ahead_s: float) -> None:
        self.machine = machine
        self.ahead_s = ahead_s
        self.was_right = asyncio.Event()

    async def read(self, monotonic: Callable[[], float]) -> Moment:
        if not self.ahead_s:
            self.was_right.set()
        return Moment(self.machine.now() + timedelta(seconds=self.ahead_s), monotonic(), 0.001)

    async def report(self, notice: Notice) -> bool:
        return False


def test_a_skew_is_in_the_log_at_each_start_when_it_changes_and_now_and_then(
    caplog: pytest.LogCaptureFixture,
) -> None:
    machine = ManualClock()
    database = OtherClock(machine, 3600)

    def watch() -> ClockWatch:
        return ClockWatch(CheckedClock(machine), machine, database, "vm/gateway")

    def told(each: ClockWatch) -> list[str]:
        caplog.clear()
        asyncio.run(each.check())
        return caplog.messages

    behind = (
        "the clocks of vm/gateway and of the database differ by 3600 s (the database's is ahead)"
    )
    assert told(watch()) == [behind]
    lasting = watch()
    assert told(lasting) == [behind], "a restart is told, whenever the notice was"
    assert told(lasting) == []
    machine.move(seconds=TOLD_EVERY_S)
    assert told(lasting) == [behind]
    database.ahead_s = -420
    assert told(lasting) == [
        "the clocks of vm/gateway and of the database differ by 420 s (the machine's is ahead)"
    ]
    database.ahead_s = 0
    assert told(lasting) == ["the clocks of vm/gateway and of the database agree again"]
    assert told(lasting) == []


def test_a_doubted_clock_is_checked_before_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock_watch, "DOUBTED_EVERY_S", 0.0)
    machine = ManualClock()
    clock = CheckedClock(machine)
    database = OtherClock(machine, 3600)
    watch = ClockWatch(clock, machine, database, "vm/gateway")

    async def run() -> None:
        await watch.check()
        assert clock.ahead() == timedelta(seconds=-3600)
        keeping = asyncio.create_task(watch.keep())
        database.ahead_s = 0
        clock.doubt()
        async with asyncio.timeout(30):
            await database.was_right.wait()
        keeping.cancel()

    asyncio.run(run())
    assert clock.ahead() == timedelta()
