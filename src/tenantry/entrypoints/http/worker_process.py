"""A worker's process: what it is told by its supervisor, and what it tells."""

from __future__ import annotations

import asyncio
import os
import signal
from multiprocessing.connection import Connection
from typing import Any

import uvloop

from tenantry.domain.errors import TenantryError
from tenantry.entrypoints.http.labels import LABELS
from tenantry.entrypoints.http.metrics import Counters
from tenantry.entrypoints.http.supervisor import END_SLACK_S, ROLL, MakeServices, ServeSettings
from tenantry.entrypoints.http.tls import LocalTls
from tenantry.entrypoints.http.wire.listeners import Listeners
from tenantry.entrypoints.http.worker import serve_worker


def main(
    settings: ServeSettings,
    make_services: MakeServices,
    listeners: Listeners,
    tls: LocalTls,
    board: Any,
    number: int,
    pipe: Connection,
) -> None:
    """Serves until its supervisor says otherwise, or ends."""
    counters = Counters(board, LABELS, number)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        try:
            runner.run(_work(settings, make_services, listeners, tls, counters, pipe))
        except (TenantryError, OSError) as error:
            pipe.send(f"a worker could not start: {error}")
            raise SystemExit(1) from None


async def _work(
    settings: ServeSettings,
    make_services: MakeServices,
    listeners: Listeners,
    tls: LocalTls,
    counters: Counters,
    pipe: Connection,
) -> None:
    stop, started = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    roll_s: list[float] = []

    def told() -> None:
        try:
            if pipe.recv() == ROLL:
                roll_s.append(settings.roll_drain_s)
        except (EOFError, OSError):
            # The other end is closed on purpose to end us, and by the kernel if the supervisor
            # dies. One that rolls has no more time from then on than any other.
            loop.remove_reader(pipe.fileno())
            if roll_s:
                loop.call_later(2 * settings.drain_s + END_SLACK_S, os._exit, 1)
        stop.set()

    loop.add_reader(pipe.fileno(), told)
    services = await make_services(counters)
    serving = asyncio.create_task(
        serve_worker(
            services,
            listeners,
            tls.context(),
            stop,
            started=started,
            drain_s=settings.drain_s,
            roll_drain_s=lambda: roll_s[0] if roll_s else None,
            limits=settings.limits,
        )
    )
    announce = asyncio.create_task(started.wait())
    await asyncio.wait({serving, announce}, return_when=asyncio.FIRST_COMPLETED)
    if not serving.done():
        pipe.send("ready")
    announce.cancel()
    try:
        await serving
    finally:
        loop.remove_reader(pipe.fileno())
