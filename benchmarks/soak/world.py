"""What all parts of a soak share."""

from __future__ import annotations

from dataclasses import dataclass, field

from tests.support.stack import Stack

from benchmarks.soak.cast import Member
from benchmarks.soak.course import Course
from benchmarks.soak.gate import Ending, Gate
from benchmarks.soak.journal import Journal
from benchmarks.soak.reasons import Reason, Reasons
from benchmarks.soak.receiver import Receiver
from benchmarks.soak.refusals import Refusals, documented


@dataclass(slots=True)
class World:
    stack: Stack
    course: Course
    receiver: Receiver
    journal: Journal
    members: list[Member] = field(default_factory=list)  # also those that have left
    reasons: Reasons = field(default_factory=Reasons)
    refusals: Refusals = field(default_factory=documented)
    gate: Gate = field(default_factory=Gate)
    ending: Ending = field(default_factory=Ending)
    fault: Reason | None = None  # of the fault upstream that there is

    def present(self) -> list[Member]:
        """Members that have not left."""
        return [member for member in self.members if not member.has_left]

    def others(self, member: Member) -> list[Member]:
        return [other for other in self.present() if other is not member]
