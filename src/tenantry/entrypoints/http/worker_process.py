"""A worker's process: what it is told by its supervisor, and what it tells."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import ssl
from multiprocessing.connection import Connection
from typing import Any

import uvloop

from tenantry.entrypoints.http.labels import LABELS
from tenantry.entrypoints.http.metrics import Counters
from tenantry.entrypoints.http.services import Services
from tenantry.entrypoints.http.serving import (
    END_SLACK_S,
    RENEWED,
    ROLL,
    MakeServices,
    ServeSettings,
)
from tenantry.entrypoints.http.tls import LocalTls
from tenantry.entrypoints.http.wire.listeners import Listeners
from tenantry.entrypoints.http.worker import serve_worker

_log = logging.getLogger(__name__)


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
        except Exception as failure:
            from tenantry.bootstrap.failures import told

            line = told(failure)
            if line is None:
                raise
            _tell(pipe, f"a worker could not start: {line}")
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
    context = tls.context()
    counters.tls_ends(tls.ends_at())
    roll_s: list[float] = []

    def told() -> None:
        try:
            word = pipe.recv()
            if word == RENEWED:
                _renew(context, tls, counters)
                return
            if word == ROLL:
                roll_s.append(settings.roll_drain_s)
        except (EOFError, OSError):
            # The other end is closed on purpose to end us, and by the kernel if the supervisor
            # dies. One that rolls has no more time from then on than any other.
            loop.remove_reader(pipe.fileno())
            if roll_s:
                loop.call_later(2 * settings.drain_s + END_SLACK_S, os._exit, 1)
        stop.set()

    loop.add_reader(pipe.fileno(), told)
    try:
        services = await _made(make_services, counters, stop)
        if services is None:
            return
        serving = asyncio.create_task(
            serve_worker(
                services,
                listeners,
                context,
                stop,
                started=started,
                drain_s=settings.drain_s,
                roll_drain_s=lambda: roll_s[0] if roll_s else None,
                limits=settings.limits,
                admin_connections=settings.admin_connections,
            )
        )
        announce = asyncio.create_task(started.wait())
        await asyncio.wait({serving, announce}, return_when=asyncio.FIRST_COMPLETED)
        if not serving.done():
            _tell(pipe, "ready")
        announce.cancel()
        await serving
    finally:
        loop.remove_reader(pipe.fileno())


async def _made(
    make_services: MakeServices, counters: Counters, stop: asyncio.Event
) -> Services | None:
    """None where it is told to end before they are made."""

    async def make() -> Services:
        return await make_services(counters)

    making, stopping = asyncio.create_task(make()), asyncio.create_task(stop.wait())
    await asyncio.wait({making, stopping}, return_when=asyncio.FIRST_COMPLETED)
    if not stop.is_set():
        stopping.cancel()
        return await making
    making.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await (await making).close()
    return None


def _renew(context: ssl.SSLContext, tls: LocalTls, counters: Counters) -> None:
    """For handshakes from now on; who is connected stays so."""
    try:
        tls.context()  # a pair that is refused would leave `context` with neither
        context.load_cert_chain(tls.certificate, tls.private_key)
        counters.tls_ends(tls.ends_at())
    except OSError as refused:
        _log.error("the TLS certificate was not renewed here: %s", refused)


def _tell(pipe: Connection, word: str) -> None:
    """To a supervisor that may have closed its end, which tells us to end."""
    with contextlib.suppress(OSError):
        pipe.send(word)
