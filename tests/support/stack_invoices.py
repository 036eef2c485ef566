"""Usage of a running product, moved into a month that can be invoiced."""

from __future__ import annotations

import asyncio

import asyncpg
from tests.support.billing import months_ago
from tests.support.stack import Stack, Tenant

from tenantry.domain.period import billing_period


def last_month(stack: Stack, tenant: Tenant) -> None:
    """All of a tenant's past moves into the month before this one."""
    at = months_ago(1)
    period = billing_period(at, "UTC", 1)

    async def move() -> None:
        connection = await asyncpg.connect(stack.cluster().dsn("superuser"))
        try:
            await connection.execute(
                "SET session_replication_role = replica;"
                f"UPDATE tenantry.charge_entry SET admitted_at = '{at}', posted_at = '{at}'"
                f" WHERE tenant_id = '{tenant.id}';"
                f"UPDATE tenantry.cost_entry SET admitted_at = '{at}', posted_at = '{at}'"
                f" WHERE tenant_id = '{tenant.id}';"
                # What the ledger's own trigger would have marked for the roll-up.
                f"INSERT INTO tenantry.late_hour (tenant_id, hour) VALUES"
                f" ('{tenant.id}', date_trunc('hour', timestamptz '{at}', 'UTC'))"
                " ON CONFLICT DO NOTHING;"
                f"UPDATE tenantry.budget_use SET settled = 0 WHERE tenant_id = '{tenant.id}';"
                f"UPDATE tenantry.plan_change SET effective_at = '{period.start}',"
                f" entered_at = '{period.start}' WHERE tenant_id = '{tenant.id}';"
                f"UPDATE tenantry.billing_account SET period_start = '{period.start}',"
                f" period_end = '{period.end}' WHERE tenant_id = '{tenant.id}'"
            )
        finally:
            await connection.close()

    asyncio.run(move())
