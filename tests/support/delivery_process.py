"""A worker that delivers to one webhook, as a process that a test may kill.

Argument: JSON with `dsn`, `url`, `secret` and `ahead_s`, by which its clock is ahead.
"""

import asyncio
import json
import os
import sys
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg

from tenantry.adapters.postgres.deliveries import PostgresDeliveries
from tenantry.adapters.webhook.sinks import OperatorWebhook
from tenantry.application.delivery import EVERYTHING, Deliverer, Outside
from tenantry.ports.delivery import Route


@dataclass
class ClockAhead:
    by: timedelta

    def now(self) -> datetime:
        return datetime.now(UTC) + self.by

    def monotonic(self) -> float:
        return self.now().timestamp()

    def random(self, count: int) -> bytes:
        return os.urandom(count)


async def run(spec: dict[str, Any]) -> None:
    clock = ClockAhead(timedelta(seconds=spec["ahead_s"]))
    pool = await asyncpg.create_pool(
        spec["dsn"], min_size=1, max_size=4, server_settings={"search_path": "tenantry"}
    )
    webhook = OperatorWebhook(spec["url"], [spec["secret"]], clock)
    outside = Outside({"webhook": webhook}, [Route("webhook", EVERYTHING)])
    deliverer = Deliverer(PostgresDeliveries(pool), outside, clock)
    while True:
        await deliverer.deliver()
        await deliverer.idle()
        await asyncio.sleep(0.02)


if __name__ == "__main__":
    asyncio.run(run(json.loads(sys.argv[1])))
