"""`tenantry worker`: every round of the background, from sweeps to the delivery of notices."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from typing import NoReturn

import click
import uvloop

from tenantry.bootstrap.background import background
from tenantry.bootstrap.deployment import env_told, settings
from tenantry.bootstrap.logs import log_events
from tenantry.config import Settings
from tenantry.entrypoints.rounds import run_rounds
from tenantry.entrypoints.signals import endings

_PARENT_POLL_S = 0.5


@click.command()
@click.option("--exit-with-parent", is_flag=True, help="End when the parent process ends.")
@click.option("--parent", type=int, hidden=True, help="Whose end, where it is known already.")
def worker(exit_with_parent: bool, parent: int | None) -> None:
    """Run the background worker until SIGTERM, SIGHUP or Ctrl-C; `serve` runs one by itself.

    Example: `tenantry worker`
    """
    if parent is None and exit_with_parent:
        parent = os.getppid()
    config = settings()
    log_events(env_told(config))
    if uvloop.run(_work(config, parent)):
        _make_place(parent)


def _make_place(parent: int | None) -> NoReturn:
    """A successor under the same pid, so that whoever watches over it need not know: the kernel
    takes away every page of memory that this process ever had (execve(2)).
    """
    watched = [] if parent is None else ["--exit-with-parent", "--parent", str(parent)]
    module = "tenantry.entrypoints.cli.main"
    command = [sys.executable, "-P", "-m", module, "worker", *watched]
    os.execv(sys.executable, command)  # noqa: S606 - our own


async def _work(config: Settings, parent: int | None) -> bool:
    """Whether it has to make place for a successor."""
    stop, roll = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (*endings(), signal.SIGINT):
        loop.add_signal_handler(number, stop.set)

    def on_roll() -> None:
        if not stop.is_set():
            roll.set()
            stop.set()

    async with background(config, on_roll=on_roll) as rounds:
        watch = asyncio.create_task(_watch(parent, stop))
        await run_rounds(rounds, stop)
        watch.cancel()
    return roll.is_set()


async def _watch(parent: int | None, stop: asyncio.Event) -> None:
    while parent is not None and not stop.is_set():
        if os.getppid() != parent:
            stop.set()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), _PARENT_POLL_S)
