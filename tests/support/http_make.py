"""`make_services` for worker processes: what a spawned worker can import."""

import asyncio
import os
import sys

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
