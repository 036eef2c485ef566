"""`make soak`: drives a deployment for an hour with mishaps, and says what broke.

`SOAK_MINUTES` (60), `SOAK_SEED` (drawn, and printed), `SOAK_RATE` (requests a second, 10). It
prints a line a minute; mishaps go to a file that the first line names; the last line is one JSON
object. Exit status: 0 nothing broke, 1 something did (or the deployment did not start), 2 wrong
settings, 130 interrupted.

Threads and processes run as they run: the same seed asks the same and lets the same go wrong, not
at the same instants. Where something broke the folder is kept, with the deployment's log.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import time
import traceback
from pathlib import Path
from typing import Final

from benchmarks.soak import census, mishaps, report, traffic
from benchmarks.soak.checks import Checks
from benchmarks.soak.course import QUIET_EVERY_S, Course, from_environment
from benchmarks.soak.journal import Journal
from benchmarks.soak.stage import MISHAPS_LOG, staged
from benchmarks.soak.world import World
from tenantry.adapters.postgres.embedded.place import known_place

_LINE_EVERY_S: Final = 60.0
_ORPHANS_S: Final = 15.0  # for who was told to end with its parent


def main() -> int:
    try:
        course = from_environment()
    except ValueError as wrong:
        print(f"soak: {wrong}", file=sys.stderr)
        return 2
    folder = Path(tempfile.mkdtemp(prefix="tenantry-soak-"))
    folder.chmod(0o711)  # PostgreSQL's user passes
    print(
        f"soak of {course.minutes:g} minutes, SOAK_SEED={course.seed}; {folder / MISHAPS_LOG}",
        flush=True,
    )
    try:
        journal = _played(folder, course)
    except KeyboardInterrupt:
        shutil.rmtree(folder, ignore_errors=True)
        return 130
    if journal is None:
        print(f"soak: not played; its folder is {folder}", file=sys.stderr)
        return 1
    if journal.broken:
        print(f"kept: {folder / MISHAPS_LOG}, {folder / 'home' / 'serve.stderr'}", file=sys.stderr)
    else:
        shutil.rmtree(folder, ignore_errors=True)
    return 1 if journal.broken else 0


def _played(folder: Path, course: Course) -> Journal | None:
    """The whole soak, and its report; None where the deployment did not start or end."""
    world = None
    try:
        with staged(folder, course) as world:
            counted = census.Census(world.stack)
            counted.start()
            checks = Checks(world)
            with traffic.running(world) as clients, mishaps.running(world, clients):
                _drive(world, checks, counted)
            checks.last()
            counted.end()
            for life in counted.lives.values():
                if life.leaks():
                    world.journal.broke("memory grows", str(life))
            places = _places(world)
        _left_over(world, places)
    except Exception:
        traceback.print_exc()
        return None
    report.summary(world, counted)
    return world.journal


def _drive(world: World, checks: Checks, counted: census.Census) -> None:
    """Until its time is over: a line a minute, a quiet moment every few."""
    journal, course = world.journal, world.course
    line, quiet = _LINE_EVERY_S, QUIET_EVERY_S
    while (elapsed := journal.elapsed_s()) < course.duration_s:
        if elapsed >= line:
            report.progress(world, counted)
            line += _LINE_EVERY_S
        if elapsed >= quiet:
            checks.quiet()
            quiet = journal.elapsed_s() + QUIET_EVERY_S
        time.sleep(min(1.0, max(0.0, course.duration_s - elapsed)))


def _places(world: World) -> list[Path]:
    """The folders by which the deployment's processes are known."""
    cluster = known_place(world.stack.home)
    return [world.stack.home, *([cluster.folder] if cluster is not None else [])]


def _left_over(world: World, places: list[Path]) -> None:
    deadline = time.monotonic() + _ORPHANS_S
    while (left := list(census.of_home(places))) and time.monotonic() < deadline:
        time.sleep(0.2)
    if left:
        world.journal.broke("processes are left over", "; ".join(left))


if __name__ == "__main__":
    status = main()
    sys.stdout.flush()
    os._exit(status)  # threads of a request that has no end keep nobody waiting
