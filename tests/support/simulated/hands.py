"""The gateway workers of a run: two slots, each with a process that is replaced when it dies."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import os
import secrets
import signal
from collections.abc import Awaitable, Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

from tests.support.simulated import worker
from tests.support.simulated.facts import Facts, Sending
from tests.support.simulated.theatre import CREDENTIALS, Theatre

SLOTS = 2
READY_S = 60.0
DRAIN_S = 60.0
SETTLE_WAIT_MS = 5_000
TIMEOUTS = {
    "connect_timeout_ms": 2_000,
    "first_byte_timeout_ms": 3_000,
    "idle_timeout_ms": 15_000,  # nothing hangs once it has begun, however slow the machine
    "total_timeout_ms": 20_000,
}


class Hand:
    """One slot. What was sent through it and not answered when its process dies is lost."""

    def __init__(
        self,
        theatre: Theatre,
        facts: Facts,
        path: Path,
        dsns: dict[str, str],
        died: Callable[[list[str]], Awaitable[None]],
    ) -> None:
        self._theatre, self._facts, self._path, self._dsns = theatre, facts, path, dsns
        self._died = died  # is told the requests that a dead process served
        self._waiting: dict[int, Sending] = {}
        self._writer: asyncio.StreamWriter | None = None
        self._ready = asyncio.Event()
        self._drained = asyncio.Event()
        self._closing = False
        self._server: asyncio.Server | None = None
        self._process: Any = None
        self._served: list[Sending] = []  # by the process that lives
        self._gone: asyncio.Event = asyncio.Event()

    async def start(self) -> None:
        self._server = await asyncio.start_unix_server(
            self._connected, self._path, limit=worker.LINE_BYTES_MAX
        )
        self._spawn()

    def _spawn(self) -> None:
        spec = {
            "dsns": self._dsns,
            "boot_id": secrets.randbits(31),
            "credentials": CREDENTIALS,
            "endpoint_url": self._theatre.emulator.url,
            "timeouts": TIMEOUTS,
            "settle_wait_ms": SETTLE_WAIT_MS,
        }
        encoded = base64.b64encode(json.dumps(spec).encode()).decode()
        self._process = self._theatre.context.Process(
            target=worker.main, args=(str(self._path), encoded), daemon=True
        )
        self._process.start()

    async def send(self, order: dict[str, Any], sending: Sending) -> None:
        await self._await_ready()
        self._waiting[order["sending"]] = sending
        self._served.append(sending)
        self._write(order)

    async def jump(self, offset_s: float) -> None:
        await self._await_ready()
        self._write({"offset_s": offset_s})

    def kill(self) -> None:
        """By kill -9; one that has not begun to serve is left alone."""
        if self._writer is not None:
            self._end()

    def _end(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(self._process.pid, signal.SIGKILL)

    async def drain(self) -> None:
        """Returns when nothing that was sent is under way, whoever died meanwhile."""
        async with asyncio.timeout(DRAIN_S):
            while True:
                await self._await_ready()
                self._drained.clear()
                self._write({"drain": True})
                await self._drained.wait()
                if not self._waiting:
                    return

    async def close(self) -> None:
        self._closing = True
        if self._writer is not None:
            with contextlib.suppress(OSError):
                self._writer.write_eof()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(DRAIN_S):
                    await self._gone.wait()
        self._end()
        await asyncio.to_thread(self._process.join)
        self._process.close()
        assert self._server is not None
        self._server.close()
        await self._server.wait_closed()

    async def _await_ready(self) -> None:
        async with asyncio.timeout(READY_S):
            await self._ready.wait()

    def _write(self, order: dict[str, Any]) -> None:
        if self._writer is not None:
            self._writer.write(json.dumps(order).encode() + b"\n")

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writer, self._served = writer, []
        self._gone.clear()
        try:
            while line := await reader.readline():
                self._hear(json.loads(line))
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()
        await self._lost()

    def _hear(self, said: dict[str, Any]) -> None:
        if "ready" in said:
            self._ready.set()
        elif "drained" in said:
            self._drained.set()
        elif "reserved" in said:
            held = (Fraction(said["cost"]), Fraction(said["charge"]))
            self._facts.reserved[said["reserved"]] = held
        else:
            sending = self._waiting.pop(said["sending"])
            sending.told, sending.code = said["told"], said.get("code")
            sending.charge = said.get("charge")
            sending.answered_by = said.get("answered_by")
            sending.replayed = said.get("replayed", False)

    async def _lost(self) -> None:
        """Its process has ended: another takes its place, unless that was asked for."""
        self._writer = None
        self._ready.clear()
        if self._closing:
            self._gone.set()
            return
        for sending in self._served:
            sending.worker_died = True
        self._waiting.clear()
        self._end()
        await asyncio.to_thread(self._process.join)
        self._process.close()
        await self._died([sending.request_id for sending in self._served])
        self._spawn()
        self._drained.set()  # whoever waited for it asks the new one


def hands(
    theatre: Theatre,
    facts: Facts,
    dsn_of: Callable[[str], str],
    died: Callable[[list[str]], Awaitable[None]],
) -> list[Hand]:
    dsns = {role: dsn_of(role) for role in ("app", "control", "operator")}
    return [
        Hand(theatre, facts, theatre.folder / f"hand-{slot}.socket", dsns, died)
        for slot in range(SLOTS)
    ]
