"""`tenantry worker`: sweeps, true-ups and write-offs, in the background."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal

import click

from tenantry import bootstrap
from tenantry.config import Settings
from tenantry.entrypoints.worker import run_worker

_PARENT_POLL_S = 0.5


@click.command()
@click.option("--exit-with-parent", is_flag=True, help="End when the parent process ends.")
def worker(exit_with_parent: bool) -> None:
    """Run the background worker until SIGTERM or Ctrl-C; `serve` runs one by itself.

    Example: `tenantry worker`
    """
    parent = os.getppid() if exit_with_parent else None
    asyncio.run(_work(bootstrap.settings(), parent))


async def _work(config: Settings, parent: int | None) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with bootstrap.background(config) as rounds:
        watch = asyncio.create_task(_watch(parent, stop))
        await run_worker(rounds, stop)
        watch.cancel()


async def _watch(parent: int | None, stop: asyncio.Event) -> None:
    while parent is not None and not stop.is_set():
        if os.getppid() != parent:
            stop.set()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), _PARENT_POLL_S)
