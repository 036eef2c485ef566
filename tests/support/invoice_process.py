"""The monthly run as a process of its own, which ends by SIGKILL: `python -m … DSN STEP HOME`.

It dies after its STEPth statement, of which nobody hears, or ends where there are fewer; at STEP
`after-commit`, between the commit of its first document and its number in the file.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path
from typing import Any

import asyncpg
from tests.support.billing import ISSUER

from tenantry.adapters.clock import SystemClock
from tenantry.adapters.objects.durable_file import DurableFiles
from tenantry.adapters.objects.number_file import DiskNumbers
from tenantry.adapters.postgres.invoice_book import PostgresInvoiceBook
from tenantry.adapters.postgres.invoice_numbers import PostgresSeries
from tenantry.application.invoice_numbers import InvoiceNumbers
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


class _Unkept(InvoiceNumbers):
    """What is committed is final, and its number is in no file."""

    async def given(self, number: str, sha256: str) -> None:
        os.kill(os.getpid(), signal.SIGKILL)


async def main(dsn: str, step: str, home: Path) -> None:
    settings = {"search_path": "tenantry, pg_temp", "timezone": "UTC"}
    pool = await asyncpg.create_pool(dsn, min_size=1, max_size=3, server_settings=settings)
    file = DiskNumbers(home / "control", DurableFiles())
    numbers = _Unkept if step == "after-commit" else InvoiceNumbers
    book = _Dying(pool, numbers(PostgresSeries(pool), file))
    book.left = -1 if step == "after-commit" else int(step)
    await run_due(book, SystemClock(), ISSUER, mode="automatic", again_s=0)
    await pool.close()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], Path(sys.argv[3])))
