"""How a unit of work begins on a pooled connection, and ends clean, in one round trip each.

A unit of one statement is three round trips in place of five: the tenant is named with `BEGIN`, and
what the pool runs to clean a session that comes back goes along with the transaction's end.
"""

import re
from typing import Any, Literal

import asyncpg

from tenantry.adapters.postgres.errors import TenantMissing
from tenantry.domain.ids import TenantId

_TENANT_ID = re.compile(r"[A-Za-z0-9_-]{1,128}", re.ASCII)  # nothing that SQL could read


class UnitConnection(asyncpg.Connection):  # type: ignore[misc]  # asyncpg has no types
    """For the pools that units of work draw on."""

    _is_clean = False

    def left_clean(self) -> None:
        """Nothing has been left in the session: the pool need not clean it."""
        self._is_clean = True

    def get_reset_query(self) -> str:
        """What the pool runs when the connection comes back."""
        if self._is_clean:
            self._is_clean = False
            return ""
        query: str = super().get_reset_query()
        return query


def check_tenant(tenant_id: TenantId) -> None:
    """Raises TenantMissing for what names no tenant."""
    if not _TENANT_ID.fullmatch(tenant_id):
        raise TenantMissing()


async def begin_unit(connection: Any, tenant_id: TenantId, *, readonly: bool) -> None:
    """Open a transaction in which row-level security shows one tenant. Raises TenantMissing."""
    check_tenant(tenant_id)  # here too: it becomes part of a statement
    begin = "BEGIN READ ONLY" if readonly else "BEGIN"
    await connection.execute(f"{begin}; SET LOCAL tenantry.tenant = '{tenant_id}'")


async def end_unit(connection: Any, end: Literal["COMMIT", "ROLLBACK"]) -> None:
    """End the transaction, and leave nothing in the session that would outlive it."""
    await connection.execute(f"{end}; {connection.get_reset_query()}")
    connection.left_clean()
