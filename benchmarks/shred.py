"""Whether anything of a shredded tenant can still be read, by anybody, anywhere.

`make bench-shred` runs the product as its processes, fills one tenant with 10,000 canaries (in
texts, titles, file names, metadata, access tags, questions and answers), and takes what a thief
could take beforehand: a base backup of PostgreSQL with its WAL, a copy of every sealed object.
Then it shreds the tenant with `tenantry tenants shred` while a second tenant keeps asking, and

1. searches the data folder, the database's files with WAL, the base backup, and the memory of
   every process of the product that runs after the roll, for canaries in clear;
2. tries to open everything that was sealed with every key that is left.

Beforehand the same searches must find canaries in a worker's memory, and everything must open: a
search that could find nothing proves nothing. Exit status: 0 measured (also where a bar is
missed), 1 not measured.
"""

from __future__ import annotations

import argparse
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.support.stack import Stack, Tenant, running_stack
from tests.support.stack_command import tenantry

from benchmarks.canaries import Canaries, NoMemory
from benchmarks.result import Bar, result_line
from benchmarks.shred_stage import (
    PLAN,
    Borrowed,
    Snapshot,
    base_backup,
    database_folder,
    keyring,
    load,
    opened,
    snapshot,
)
from tenantry.domain.document import home_of

CANARIES = 10_000
OTHERS = 20  # of the tenant that must not notice
WORKERS = 2
SHRED_S = 900  # of the command, on a machine that does much else


class NotShown(Exception):
    """The measurement could not have found anything, or the product failed on the way."""


@dataclass(slots=True)
class Traffic:
    """What the second tenant met while the first was shredded."""

    answered: int = 0
    failed: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Shown:
    """What was found, and where."""

    in_clear: dict[str, set[str]]
    opened: set[str]
    before: dict[str, int]  # what the same searches found before
    traffic: Traffic
    shred_s: float
    certificate: str

    @property
    def found(self) -> int:
        return len(self.opened.union(*self.in_clear.values()))


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    try:
        with running_stack(workers=WORKERS) as stack:
            shown = show(stack, stack.home.parent, options.canaries)
    except (NotShown, NoMemory) as failed:
        print(f"bench-shred: {failed}", file=sys.stderr)
        return 1
    figures: dict[str, Any] = {
        "canaries": options.canaries,
        **{f"before_{name}": count for name, count in shown.before.items()},
        **{f"after_{name}": len(found) for name, found in shown.in_clear.items()},
        "after_opened": len(shown.opened),
        "shred_s": round(shown.shred_s, 1),
        "answered_meanwhile": shown.traffic.answered,
        "lost_meanwhile": len(shown.traffic.failed),
    }
    bars = {
        "shred_canaries_found": Bar(shown.found, 0),
        "shred_requests_lost": Bar(len(shown.traffic.failed), 0),
    }
    print(result_line("shred", figures, bars))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.shred", description=__doc__)
    parser.add_argument("--canaries", type=int, default=CANARIES)
    return parser


def show(stack: Stack, folder: Path, count: int, *, in_memory: bool = True) -> Shown:
    """One shred, from the canaries to the searches. Raises `NotShown`, `NoMemory`. `in_memory`
    False: where nobody may look into a process, files and keys alone.
    """
    gone, stays = stack.tenant(PLAN), stack.tenant(PLAN)
    canaries, others, later = (Canaries.make(each) for each in (count, OTHERS, OTHERS))
    load(stack, gone, canaries)
    load(stack, stays, others)
    backup = base_backup(stack, folder)
    taken = snapshot(stack, gone, folder / "stolen")
    before = _controls(stack, taken, canaries, in_memory)
    workers = set(stack.gateway_workers())
    with traffic(stack, stays) as met:
        began = time.monotonic()
        words = ("tenants", "shred", gone.name, "--yes", gone.name)
        done = tenantry(stack.home, *words, timeout_s=SHRED_S)
        took = time.monotonic() - began
    if done.returncode != 0:
        raise NotShown(f"the shred failed: {done.stderr.strip()}")
    if workers & set(stack.gateway_workers()):
        raise NotShown("a worker of before still runs")
    load(stack, stays, later)
    in_clear = {
        "data_folder": canaries.in_files([stack.home]),
        "database_with_wal": canaries.in_files([database_folder(stack)]),
        "base_backup": canaries.in_files([backup]),
        "stolen_objects": canaries.in_files([taken.accounts]),
    }
    if in_memory:
        in_clear |= _memories(stack, canaries, later)
    return Shown(
        in_clear, _opened_after(stack, taken, stays, canaries), before, met, took, done.stdout
    )


def _controls(stack: Stack, taken: Snapshot, canaries: Canaries, in_memory: bool) -> dict[str, int]:
    """What must be found while the tenant lives."""
    found: set[str] = set()
    for pid in stack.gateway_workers() if in_memory else ():
        found |= canaries.in_memory(pid)
    keys = keyring(stack.home / "accounts")
    opens = opened(taken, keys, canaries)
    keys.close()
    planted = taken.accounts / "planted"
    planted.write_text(f"x{canaries.all[0]}y {canaries.all[-1]}")
    seen = canaries.in_files([taken.accounts])
    planted.unlink()
    before = {"memory": len(found)} if in_memory else {}
    before |= {"opened": len(opens), "planted": len(seen)}
    if not all(before.values()) or len(opens) < 0.8 * len(canaries.all):
        raise NotShown(f"before the shred too little is found: {before}")
    return before


def _memories(stack: Stack, canaries: Canaries, later: Canaries) -> dict[str, set[str]]:
    """Of every process that runs after the roll. What is still served must be found there."""
    found = {
        f"memory_{name}": set().union(*(canaries.in_memory(pid) for pid in pids))
        for name, pids in _processes(stack).items()
    }
    found["memory_database_sessions"] = set().union(
        *(canaries.in_memory(pid, shared=False) for pid in stack.database_processes())
    )
    if not any(later.in_memory(pid) for pid in stack.gateway_workers()):
        raise NotShown("the memory of the workers tells nothing of who is still served")
    return found


def _processes(stack: Stack) -> dict[str, list[int]]:
    """Everything of the product that runs; its callers and Bedrock are not of it."""
    status = stack.database_status()
    return {
        "workers": stack.gateway_workers(),
        "background": stack.background_workers(),
        "supervisor": [stack.serve.pid],
        "database": [status.guardian_pid, status.postmaster_pid],
    }


def _opened_after(stack: Stack, taken: Snapshot, stays: Tenant, canaries: Canaries) -> set[str]:
    """What opens with the tenant's own key, were it there, and with the other's."""
    keys = keyring(stack.home / "accounts")
    other = home_of(stack.control(lambda control: control.get_tenant(stays.id)))
    found = opened(taken, keys, canaries) | opened(taken, Borrowed(keys, other), canaries)
    keys.close()
    return found


@contextmanager
def traffic(stack: Stack, tenant: Tenant, threads: int = 2) -> Iterator[Traffic]:
    """Asks, searches and hangs on to connections for as long as the block runs."""
    met, over, turn = Traffic(), threading.Event(), threading.Lock()

    def note(ask: Callable[[], int]) -> None:
        try:
            status = ask()
            problem = None if status == 200 else f"answered {status}"
        except OSError as lost:
            problem = repr(lost)
        with turn:
            met.answered += problem is None
            met.failed += [problem] if problem else []

    def ask() -> None:
        while not over.is_set():
            note(lambda: stack.http("POST", "/v1/search", {"query": "this"}, tenant=tenant)[0])
            note(lambda: stack.http("GET", "/v1/documents", tenant=tenant)[0])

    asking = [threading.Thread(target=ask) for _ in range(threads)]
    for each in asking:
        each.start()
    try:
        yield met
    finally:
        over.set()
        for each in asking:
            each.join()


if __name__ == "__main__":
    sys.exit(main())
