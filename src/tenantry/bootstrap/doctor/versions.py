"""What `doctor` finds of processes that serve: whether any is older than the schema."""

from __future__ import annotations

from tenantry.adapters.postgres.connections import Databases
from tenantry.adapters.postgres.key_holders import this_host
from tenantry.adapters.postgres.outages import outages_are_unavailable
from tenantry.adapters.postgres.serving import by_host, older_than_schema


async def version_problems(databases: Databases) -> list[str]:
    """Raises `Unavailable`."""
    with outages_are_unavailable():
        async with databases.control.acquire() as connection:
            older = await older_than_schema(connection, this_host())
    if not older:
        return []
    return [
        f"processes that began before the schema's last migration still serve: {by_host(older)}."
        " They may be of an older version, which does not know this schema: restart `serve` there"
    ]
