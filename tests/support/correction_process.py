"""A correction of prices as a process of its own: `python -m … <spec as JSON>`.

It dies by SIGKILL after its `step`th page was posted, of which nobody hears; 0: it lives.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import Any

import asyncpg
from tests.support.ledger import World, synthetic_prices

from tenantry.adapters.postgres.corrections import PostgresCorrections
from tenantry.application import corrections
from tenantry.application.corrections import correct_prices
from tenantry.domain.ids import TenantId
from tenantry.domain.period import Span


def spec_of(world: World, span: Span, *, step: int = 0, **asked: Any) -> str:
    """For the tenant `anna`: from the edition `wrong` to `right`, whose prices are `factor` times
    those of the world."""
    return json.dumps(
        {
            "dsn": world.database.dsn("control"),
            "tenant_id": world.anna.tenant_id,
            "start": span.start.isoformat(),
            "end": span.end.isoformat(),
            "step": step,
            **asked,
        }
    )


class _Dying(PostgresCorrections):
    left = 0

    async def _fetch(self, name: str, *values: object) -> list[Any]:
        rows = await super()._fetch(name, *values)
        if name == "correct":
            self.left -= 1
            if self.left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
        return rows


async def run(spec: dict[str, Any]) -> None:
    settings = {"search_path": "tenantry, pg_temp", "timezone": "UTC"}
    pool = await asyncpg.create_pool(spec["dsn"], min_size=1, max_size=1, server_settings=settings)
    fixes = _Dying(pool)
    fixes.left = spec["step"]
    corrections.PAGE = 2
    right = replace(synthetic_prices(Decimal(spec["factor"])), version=spec["right"])
    done = await correct_prices(
        fixes, TenantId(spec["tenant_id"]), datetime.fromisoformat(spec["start"]),
        datetime.fromisoformat(spec["end"]), wrong=spec["wrong"], right=right,
    )  # fmt: skip
    sys.stdout.write(f"{done.attempts}\n")
    await pool.close()


if __name__ == "__main__":
    asyncio.run(run(json.loads(sys.argv[1])))
