"""`make_services` for worker processes: what a spawned worker can import."""

import asyncio
import os
import sys
from pathlib import Path

from tests.support.http_services import FixedServices

from tenantry.domain.errors import Unavailable
from tenantry.entrypoints.http.metrics import Counters
from tenantry.entrypoints.http.services import Services


async def make_fixed(counters: Counters) -> Services:
    return FixedServices().services(counters)


async def make_nothing(counters: Counters) -> Services:
    raise Unavailable("the database is gone")


async def make_late(counters: Counters) -> Services:
    """Says that it has begun; then it takes the seconds that the environment names."""
    sys.stdout.write("making\n")
    sys.stdout.flush()
    await asyncio.sleep(float(os.environ["MAKE_S"]))
    return FixedServices().services(counters)


async def make_held(counters: Counters) -> Services:
    """Its streams wait after their first piece, until there is the file that the environment
    names."""
    fixed = FixedServices()
    gate = fixed.inference.gate
    gate.clear()

    async def open_when_told() -> None:
        while not Path(os.environ["GATE"]).exists():  # noqa: ASYNC110, ASYNC240
            await asyncio.sleep(0.02)
        gate.set()

    fixed.opening = asyncio.create_task(open_when_told())  # type: ignore[attr-defined]
    return fixed.services(counters)


async def make_unless(counters: Counters) -> Services:
    """Never ends where there is the file that the environment names."""
    if Path(os.environ["HANGS"]).exists():  # noqa: ASYNC240
        await asyncio.Event().wait()
    return FixedServices().services(counters)


async def make_or_die(counters: Counters) -> Services:
    """Dies where there is the file that the environment names."""
    if Path(os.environ["DIES"]).exists():  # noqa: ASYNC240
        os._exit(3)
    return FixedServices().services(counters)
