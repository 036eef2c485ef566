"""The monthly run as a process of its own, which ends by SIGKILL: `python -m … DSN STEP`.

It dies after its STEPth statement, of which nobody hears, or ends where there are fewer.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from typing import Any

import asyncpg
from tests.support.billing import ISSUER

from tenantry.adapters.clock import SystemClock
from tenantry.adapters.postgres.invoice_book import PostgresInvoiceBook
from tenantry.application.invoice_run import run_due


class _Dying(PostgresInvoiceBook):
    """Counts the statements of its own; the one that is reached is sent, and nobody hears of it."""

    left = -1

    async def _run(self, connection: Any, name: str, *values: object) -> list[Any]:
        rows = await super()._run(connection, name, *values)
        self.left -= 1
        if self.left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return rows


async def main(dsn: str, step: int) -> None:
    settings = {"search_path": "tenantry, pg_temp", "timezone": "UTC"}
    pool = await asyncpg.create_pool(dsn, min_size=1, max_size=3, server_settings=settings)
    book = _Dying(pool)
    book.left = step
    await run_due(book, SystemClock(), ISSUER, mode="automatic", again_s=0)
    await pool.close()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2])))
