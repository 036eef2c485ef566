"""What roll-ups were mended by waits until an invoice that has looked at it is committed."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import asyncpg

from tenantry.adapters.postgres.statements import statements
from tenantry.domain.errors import Busy
from tenantry.domain.ids import TenantId

_FILE = "sql/mended_hours.sql"


async def waiting_hours(connection: Any, tenant_id: TenantId, before: datetime) -> list[datetime]:
    """Those that end by `before`; asked for before usage is read, so that it has what they were
    mended by. None of them is mended again while this transaction lasts. Raises `Busy`."""
    try:
        rows = await connection.fetch(statements(_FILE)["waiting"], tenant_id, before)
    except asyncpg.LockNotAvailableError:
        raise Busy("Usage of this tenant is being rolled up at the moment: ask again.") from None
    return [row["hour"] for row in rows]


async def have_been_seen(
    connection: Any,
    tenant_id: TenantId,
    hours: Sequence[datetime],
    watermark: datetime,
    issued_at: datetime,
) -> None:
    """By what is issued now, and is not written yet."""
    await connection.execute(statements(_FILE)["seen"], tenant_id, hours, watermark, issued_at)
