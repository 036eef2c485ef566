"""The deployment that is soaked: two workers, and times that fit into minutes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from tests.support.stack import Stack

from benchmarks.soak import faults
from benchmarks.soak.cast import ROLES, join
from benchmarks.soak.course import Course
from benchmarks.soak.journal import Journal
from benchmarks.soak.receiver import SECRET, Receiver
from benchmarks.soak.world import World

MISHAPS_LOG: Final = "mishaps.log"
DRAIN_S: Final = 8.0
SETTINGS: Final[Mapping[str, object]] = {
    "workers": 2,
    "upstream_first_byte_timeout_ms": 15_000,
    "upstream_idle_timeout_ms": 15_000,
    "upstream_total_timeout_ms": 40_000,
    "drain_cap_ms": int(DRAIN_S * 1_000),
    "shutdown_grace_ms": 10_000,
    "invocation_log_poll_ms": 1_000,
    "batch_poll_ms": 2_000,
    "webhook_secret": SECRET,
}


@contextmanager
def staged(folder: Path, course: Course) -> Iterator[World]:
    """The world, in a folder that PostgreSQL's user can reach; every process ends with it."""
    receiver = Receiver()
    try:
        settings = {**SETTINGS, "webhook_url": receiver.url}
        with Stack(folder, mode="models", log_delay_ms=1_000, **settings) as stack:
            world = World(stack, course, receiver, Journal(folder / MISHAPS_LOG))
            world.members += [join(stack, role) for role in ROLES]
            for member in world.members:
                world.reasons.give(member.role.refusals, member.id)
            faults.calm(world)
            yield world
    finally:
        receiver.go_away()
