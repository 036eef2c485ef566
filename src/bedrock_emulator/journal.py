"""An append-only file of JSON lines that survives the process, and by choice the machine.

`durable`: `settled()` returns after an fdatasync that many appends share. `batched`: lines are
written a few times a second without fsync, for benches whose subject is another program.
"""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Literal

from bedrock_emulator.files import append_whole

Mode = Literal["durable", "batched"]
BATCH_S = 0.05
BUFFERED_BYTES_MAX = 1_048_576  # a batched journal writes at once when it holds more


class Journal:
    def __init__(self, path: Path, mode: Mode) -> None:
        self._file = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)
        _drop_torn_line(self._file)
        self._mode = mode
        self._buffer: list[bytes] = []
        self._buffered_bytes = 0
        self._timer: asyncio.TimerHandle | None = None
        self._sync: asyncio.Task[None] | None = None
        self._waiters: list[asyncio.Future[None]] = []

    def append(self, line: bytes) -> None:
        """Adds one line (without its newline). Durable journals hand it to the kernel at once."""
        self._buffer.append(line)
        self._buffered_bytes += len(line)
        if self._mode == "durable" or self._buffered_bytes > BUFFERED_BYTES_MAX:
            self.write()
        elif self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(BATCH_S, self.write)

    async def settled(self) -> None:
        """Returns when everything appended so far is on the disk (batched: at once)."""
        if self._mode == "batched":
            return
        waiter = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        if self._sync is None:
            self._sync = asyncio.create_task(self._sync_waiters())
        # A cancelled caller must not take the others' sync with it.
        await asyncio.shield(waiter)

    async def _sync_waiters(self) -> None:
        try:
            while self._waiters:
                waiters, self._waiters = self._waiters, []
                try:
                    await asyncio.to_thread(os.fdatasync, self._file)
                except OSError as error:
                    for waiter in waiters:
                        if not waiter.done():
                            waiter.set_exception(error)
                    continue
                for waiter in waiters:
                    if not waiter.done():
                        waiter.set_result(None)
        finally:
            self._sync = None

    def write(self) -> None:
        """Hands every buffered line to the kernel. Raises OSError where it cannot take them all:
        then none is kept."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if not self._buffer:
            return
        data = b"\n".join(self._buffer) + b"\n"
        self._buffer.clear()
        self._buffered_bytes = 0
        append_whole(self._file, data)

    def close(self) -> None:
        self.write()
        os.fdatasync(self._file)
        os.close(self._file)


def _drop_torn_line(file: int) -> None:
    """Removes a last line that a crash left without its newline, so that no later one joins it."""
    end = os.fstat(file).st_size
    kept = end
    while kept > 0:
        start = max(0, kept - 65_536)
        block = os.pread(file, kept - start, start)
        newline = block.rfind(b"\n")
        if newline >= 0:
            kept = start + newline + 1
            break
        kept = start
    if kept != end:
        os.ftruncate(file, kept)
