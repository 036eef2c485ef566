"""Writes notices into the outbox, inside the transaction that causes them."""

from __future__ import annotations

from typing import Any

import orjson

from tenantry.ports.outbox import Notice

_ENQUEUE = """
INSERT INTO tenantry.notice (tenant_id, kind, once_key, body) VALUES ($1, $2, $3, $4)
ON CONFLICT (tenant_id, kind, once_key) DO NOTHING RETURNING true
"""


async def enqueue(connection: Any, notice: Notice) -> bool:
    """Adds a notice to the open transaction of a control session. False: it was there before."""
    body = orjson.dumps(dict(notice.body)).decode()
    row = (notice.tenant_id, notice.kind, notice.once_key, body)
    return await connection.fetchval(_ENQUEUE, *row) is not None
