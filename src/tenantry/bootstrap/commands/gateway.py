"""A use case of the data plane in this process."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from tenantry.bootstrap.database import attached_or_started
from tenantry.bootstrap.deployment import settings
from tenantry.bootstrap.gateway import Gateway, gateway

T = TypeVar("T")


def run_with_gateway(work: Callable[[Gateway], Awaitable[T]]) -> T:
    """Runs one use case of the data plane in this process, with what a gateway worker holds."""
    config = settings()

    async def main() -> T:
        async with gateway(config) as opened:
            try:
                return await work(opened)
            finally:
                await opened.drain()

    with attached_or_started(config):
        return asyncio.run(main())
