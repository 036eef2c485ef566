"""Starts a worker for one file, watches its time and output, and ends it whatever happens."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys

from tenantry.adapters.extraction.worker_limits import OUTPUT_BYTES_MAX, WALL_S_MAX
from tenantry.domain.errors import TooLarge, Unavailable, Unreadable, UnsupportedMedia

_MODULE = "tenantry.adapters.extraction.worker"
_REFUSALS = {error.code: error for error in (Unreadable, TooLarge, UnsupportedMedia)}


async def parse(
    kind: str, data: bytes, declared: str = "", *, wall_s: float = WALL_S_MAX
) -> tuple[str, tuple[int, int] | None]:
    """The text of a `pdf`, `docx` or `html`, whose charset `declared` may name; and of a PDF how
    many pages it has, and how many of them without text.

    Raises Unreadable, TooLarge, UnsupportedMedia.
    """
    try:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-I",
            "-m",
            _MODULE,
            kind,
            declared if declared.isprintable() else "",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            env={},
        )
    except OSError as error:
        raise Unavailable("No process could be started to read the document.") from error
    try:
        async with asyncio.timeout(wall_s):
            output = await _exchange(process, data)
    except TimeoutError:
        raise Unreadable(f"The document takes longer than {wall_s:.0f} s to read.") from None
    finally:
        await _end(process)
    return _answer(output)


async def _exchange(process: asyncio.subprocess.Process, data: bytes) -> bytes:
    stdin, stdout = process.stdin, process.stdout
    assert stdin is not None and stdout is not None, "both pipes were asked for"

    async def feed() -> None:
        # A worker that ended early has said why, or its silence does.
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            stdin.write(data)
            await stdin.drain()
        stdin.close()

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(feed())
        received = bytearray()
        while part := await stdout.read(65_536):
            received += part
            if len(received) > OUTPUT_BYTES_MAX:
                process.kill()
                break
    return bytes(received)


async def _end(process: asyncio.subprocess.Process) -> None:
    with contextlib.suppress(ProcessLookupError):
        process.kill()
    # Shielded, so that a cancelled upload leaves no process behind unwaited.
    await asyncio.shield(process.wait())


def _answer(output: bytes) -> tuple[str, tuple[int, int] | None]:
    head, newline, text = output.partition(b"\n")
    if not newline or len(output) > OUTPUT_BYTES_MAX:
        raise Unreadable("The document cannot be read within bounded time and memory.")
    line = json.loads(head)
    if "code" in line:
        raise _REFUSALS.get(line["code"], Unreadable)(line["message"])
    counts = line["pages"]
    return text.decode(), counts and (int(counts[0]), int(counts[1]))
