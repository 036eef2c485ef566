"""Writes notices into the outbox, inside the transaction that causes them."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import orjson

from tenantry.ports.outbox import Notice

_ENQUEUE = """
INSERT INTO tenantry.notice (tenant_id, kind, once_key, body) VALUES ($1, $2, $3, $4)
ON CONFLICT (tenant_id, kind, once_key) DO NOTHING RETURNING notice_id
"""


async def enqueue(connection: Any, notice: Notice) -> UUID | None:
    """Adds a notice to the open transaction of a control session; returns its id. None: it was
    there before."""
    body = orjson.dumps(dict(notice.body)).decode()
    row = (notice.tenant_id, notice.kind, notice.once_key, body)
    found: UUID | None = await connection.fetchval(_ENQUEUE, *row)
    return found
