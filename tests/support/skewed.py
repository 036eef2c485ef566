"""A gateway worker in this process with a clock of its own, over a running stack."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Self, TypeVar

from tests.support.settings import load_settings
from tests.support.stack_clients import Clients

from tenantry.adapters.clock import SystemClock
from tenantry.entrypoints.http.app import App
from tenantry.entrypoints.http.assemble import make_services
from tenantry.entrypoints.http.dataplane import DATA_PLANE
from tenantry.entrypoints.http.labels import LABELS
from tenantry.entrypoints.http.metrics import Counters, cells_for
from tenantry.entrypoints.http.wire.limits import WireLimits
from tenantry.entrypoints.http.wire.listeners import bind
from tenantry.entrypoints.http.wire.server import Server

START_S = 60.0

T = TypeVar("T")


class SkewedClock(SystemClock):
    """This machine's clock, so much ahead."""

    def __init__(self, ahead: timedelta) -> None:
        self._ahead = ahead

    def now(self) -> datetime:
        return super().now() + self._ahead


class SteppedClock(SystemClock):
    """This machine's clock, for which time passes when a test says so too."""

    def __init__(self) -> None:
        self._ahead_s = 0.0

    def monotonic(self) -> float:
        return super().monotonic() + self._ahead_s

    def step(self, seconds: float) -> None:
        self._ahead_s += seconds


class SkewedGateway(Clients):
    """Its data plane listens on `url`; everything else is the stack's own."""

    def __init__(
        self,
        home: Path,
        ahead: timedelta = timedelta(),
        *,
        machine: SystemClock | None = None,
        **settings: object,
    ) -> None:
        self._home = home
        self._machine = machine or SkewedClock(ahead)
        self._settings = settings
        self._loop = asyncio.new_event_loop()
        self._started = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._trouble: BaseException | None = None

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._started.wait(START_S), "the gateway did not start"
        if self._trouble is not None:
            raise self._trouble
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(START_S)

    def call(self, work: Coroutine[Any, Any, T]) -> T:
        """Runs a piece of work on the gateway's loop."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(START_S)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_until_complete(self._serve())
        except BaseException as trouble:
            self._trouble = trouble
        finally:
            self._started.set()
            self._loop.close()

    async def _serve(self) -> None:
        self._stop = asyncio.Event()
        given = {f"TENANTRY_{name.upper()}": str(value) for name, value in self._settings.items()}
        config = load_settings({"TENANTRY_HOME": str(self._home), **given})
        counters = Counters([0] * cells_for(1), LABELS, 0)
        services: Any = await make_services(config, counters, self._machine)
        self.services = services
        try:
            limits = WireLimits()
            server = Server(App(services, DATA_PLANE), limits)
            listener = bind("127.0.0.1", 0)
            await server.listen(listener)
            self.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
            self._started.set()
            await self._stop.wait()
            await server.drain(5)
        finally:
            await services.close()
