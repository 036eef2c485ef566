"""Which key of the control plane a database is used with, over the control plane's pool.

Owns: the row, and what proves a key where there is no row yet. Does not own: the key, nor what
becomes of a process without it (`bootstrap/control_key.py`).
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

from tenantry.adapters.postgres.api_keys import secret_aad
from tenantry.adapters.postgres.pooled import Pooled
from tenantry.adapters.postgres.statements import statements
from tenantry.domain.errors import Corrupt
from tenantry.domain.ids import ApiKeyId, TenantId

SEALED_MAX = 1_000  # secrets that a key is tried on

Open = Callable[[bytes, bytes], bytes]  # (sealed, AAD) → secret; Corrupt where it does not open


@dataclass(frozen=True, slots=True, repr=False)
class KnownKey:
    """What a database knows of its key: a fingerprint, or, of before there were any, secrets of API
    keys with what each is bound to. Neither: it was used with none yet."""

    fingerprint: bytes | None
    sealed: tuple[tuple[bytes, bytes], ...] = ()

    @property
    def is_used(self) -> bool:
        return self.fingerprint is not None or bool(self.sealed)

    def is_of(self, fingerprint: bytes, open_sealed: Open) -> bool:
        """Whether it is that key: by the fingerprint, else by what it opens."""
        if self.fingerprint is not None:
            return self.fingerprint == fingerprint
        return not self.sealed or any(_opens(open_sealed, *each) for each in self.sealed)


class PostgresControlKey(Pooled):
    def __init__(self, control_pool: Any) -> None:
        super().__init__(control_pool, "sql/control_key.sql")

    async def known(self) -> KnownKey:
        async with self._connection() as connection:
            return await self._known(connection)

    @contextlib.asynccontextmanager
    async def settling(self) -> AsyncIterator[tuple[KnownKey, list[bytes]]]:
        """What is known, while nobody else settles it. The fingerprint that the block puts into
        the list is noted with its end, in place of another one."""
        async with self._transaction() as connection:
            await connection.execute(self._sql["lock"])
            noted: list[bytes] = []
            yield await self._known(connection), noted
            for fingerprint in noted:
                await connection.execute(self._sql["note"], fingerprint)

    async def _known(self, connection: Any) -> KnownKey:
        fingerprint = await connection.fetchval(self._sql["fingerprint"])
        return KnownKey(fingerprint) if fingerprint else await _sealed_in(connection)


async def known_before(connection: Any) -> KnownKey:
    """What a schema of whatever version knows; `connection` acts as `tenantry_control`."""
    sql = statements("sql/control_key.sql")
    there = {row["relname"] for row in await connection.fetch(sql["tables"])}
    fingerprint = None
    if "control_key" in there:
        fingerprint = await connection.fetchval(sql["fingerprint"])
    if fingerprint or "api_key" not in there:
        return KnownKey(fingerprint)
    return await _sealed_in(connection)


async def _sealed_in(connection: Any) -> KnownKey:
    rows = await connection.fetch(statements("sql/control_key.sql")["sealed"], SEALED_MAX)
    return KnownKey(None, tuple(_bound(row) for row in rows))


def _bound(row: Any) -> tuple[bytes, bytes]:
    aad = secret_aad(TenantId(row["tenant_id"]), ApiKeyId(row["api_key_id"]))
    return row["secret_sealed"], aad


def _opens(open_sealed: Open, sealed: bytes, aad: bytes) -> bool:
    try:
        open_sealed(sealed, aad)
    except Corrupt:
        return False
    return True
