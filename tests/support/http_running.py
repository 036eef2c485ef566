"""A supervisor in a thread of the test's own process, and the workers that it has."""

import os
import threading
import urllib.request
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from tests.support.http_make import make_fixed
from tests.support.http_supervisors import START_S

from tenantry.entrypoints.http.serving import MakeServices, ServeSettings
from tenantry.entrypoints.http.supervisor import Addresses, run


def settings_in(home: Path, **changes: int) -> ServeSettings:
    ports = {"http_port": 0, "https_port": 0, "admin_port": 0} | changes
    return ServeSettings(home, drain_s=2.0, **ports)


@contextmanager
def running(
    settings: ServeSettings,
    make: MakeServices = make_fixed,
    rolls: Callable[[], Collection[int]] = tuple,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> Iterator[Addresses]:
    ready, over = threading.Event(), threading.Event()
    found: list[Addresses] = []

    def announce(addresses: Addresses) -> None:
        found.append(addresses)
        ready.set()

    thread = threading.Thread(
        target=run,
        args=(settings, make),
        kwargs={"on_ready": announce, "stop": over.is_set, "rolls": rolls, "now": now},
    )
    thread.start()
    try:
        assert ready.wait(START_S), "the workers did not start"
        yield found[0]
    finally:
        over.set()
        thread.join(START_S)
        assert not thread.is_alive()


def get(url: str) -> str:
    with urllib.request.urlopen(url, timeout=20) as answer:
        text: str = answer.read().decode()
        return text


def children(parent: int | None = None) -> set[int]:
    """The workers of a process, this one by default."""
    found = Path(f"/proc/{parent or os.getpid()}/task").glob("*/children")
    pids = {int(pid) for path in found for pid in path.read_text().split()}
    return {pid for pid in pids if is_worker(pid)}


def is_worker(pid: int) -> bool:
    try:
        return b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except FileNotFoundError:
        return False
