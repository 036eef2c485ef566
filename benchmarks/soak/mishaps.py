"""What goes wrong, how often, and the thread that lets it: at random intervals, by the seed."""

from __future__ import annotations

import random
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from benchmarks.soak import changes, dying, faults
from benchmarks.soak.traffic import Traffic
from benchmarks.soak.world import World

Act = Callable[[World, random.Random], str]


@dataclass(frozen=True, slots=True)
class Mishap:
    """`act` does it, waits until the deployment stands again, and says whom it met.

    `weight`: how likely beside the others. `rest_s`: not again before. `is_dying`: processes end
    by it, so that it is for the first half alone.
    """

    name: str
    act: Act
    weight: int
    rest_s: float = 0.0
    is_dying: bool = False


MISHAPS: Final[Sequence[Mishap]] = (
    Mishap("gateway worker killed", dying.gateway_worker, 6, is_dying=True),
    Mishap("background worker killed", dying.background_worker, 3, is_dying=True),
    Mishap("postmaster killed", dying.postmaster, 3, rest_s=90, is_dying=True),
    Mishap("supervisor killed", dying.supervisor, 2, rest_s=90, is_dying=True),
    Mishap("everything killed", dying.everything, 1, rest_s=180, is_dying=True),
    Mishap("restarted in order", dying.restart, 2, rest_s=90, is_dying=True),
    Mishap("certificate renewed", dying.renewed_certificate, 2, rest_s=60, is_dying=True),
    Mishap("tenant shredded", changes.shred, 2, rest_s=180, is_dying=True),
    Mishap("fault upstream", faults.fault, 10),
    Mishap("plan changed", changes.plan, 4),
    Mishap("budget set", changes.budget, 4),
    Mishap("prices imported", changes.prices, 2),
    Mishap("key replaced", changes.key, 4),
    Mishap("tenant suspended", changes.suspension, 3),
    Mishap("receiver away", changes.receiver_away, 2),
    Mishap("batch submitted", changes.batch, 2, rest_s=60),
)


class Mishaps(threading.Thread):
    def __init__(self, world: World, traffic: Traffic) -> None:
        super().__init__(name="mishaps", daemon=True)
        self._world = world
        self._traffic = traffic
        self._chance = random.Random(f"mishaps-{world.course.seed}")
        self._rests: dict[str, float] = {}  # until when, by name

    def run(self) -> None:
        world = self._world
        mean_s = world.course.mishap_every_s
        while world.ending.pause(self._chance.expovariate(1 / mean_s)):
            with world.gate.passed():
                if not world.ending.is_over():
                    self._one()

    def _one(self) -> None:
        world, now = self._world, time.monotonic()
        are_dying = world.journal.elapsed_s() < world.course.dying_ends_s
        able = [
            mishap
            for mishap in MISHAPS
            if self._rests.get(mishap.name, 0) <= now and (are_dying or not mishap.is_dying)
        ]
        [mishap] = self._chance.choices(able, [one.weight for one in able])
        self._rests[mishap.name] = now + mishap.rest_s
        members = len(world.members)
        try:
            world.journal.happened(mishap.name, mishap.act(world, self._chance))
        except Exception:
            world.journal.broke("a mishap that nobody recovers from",
                                f"{mishap.name}: {traceback.format_exc()}")  # fmt: skip
        for joined in world.members[members:]:
            self._traffic.begin_for(joined)


@contextmanager
def running(world: World, traffic: Traffic) -> Iterator[None]:
    """Mishaps as long as the block, and until the last one is over."""
    mishaps = Mishaps(world, traffic)
    mishaps.start()
    try:
        yield
    finally:
        world.ending.end()
        mishaps.join()
