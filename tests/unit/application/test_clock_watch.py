"""A checked clock goes on steadily, whatever becomes of the machine's."""

from __future__ import annotations

from datetime import timedelta

from tests.support.scripted import NOW, ManualClock

from tenantry.application.clock_watch import CheckedClock
from tenantry.ports.clock import Moment


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
