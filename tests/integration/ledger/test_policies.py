"""Every row policy, tried by itself: with every grant that the house withholds, on rows of both.

Grants are another wall, which other tests hold; here they are given, so that the policy alone
stands between two tenants. What it does not let through for one role, it lets through for another
on purpose: those that see across tenants are not the data plane's.
"""

from __future__ import annotations

import asyncio

import asyncpg
from tests.support.planting import ANNA, BERT, DUE, NO_RIGHT, Planted, as_role, plant, refused
from tests.support.postgres import Database


async def _granted(database: Database, tables: list[str], role: str) -> None:
    connection = await asyncpg.connect(database.dsn("superuser"))
    for name in tables:
        await connection.execute(f"GRANT ALL ON tenantry.{name} TO tenantry_{role}")
    await connection.close()


async def _own_rows_alone(database: Database, planted: Planted, tables: list[str]) -> None:
    await _granted(database, tables, "app")
    for tenant in (None, "", "%"):
        nobody = await as_role(database, "app", tenant)
        for name in tables:
            shown = await nobody.fetch(f"SELECT FROM tenantry.{name} LIMIT 1")
            assert shown == [], f"{name} shows rows to tenant {tenant!r}"
        await nobody.close()
    anna = await as_role(database, "app", ANNA)
    for name in tables:
        seen = {row[0] for row in await anna.fetch(f"SELECT tenant_id FROM tenantry.{name}")}
        assert seen <= {ANNA}, f"{name} shows another tenant's rows"
        taken = await refused(anna, planted.inserts[name], BERT)
        assert taken == NO_RIGHT, f"{name} takes a row of another tenant ({taken})"
        given = await refused(anna, f"UPDATE tenantry.{name} SET tenant_id = $1", BERT)
        assert given in (NO_RIGHT, "none"), f"a row of {name} can be given away ({given})"
        for statement in (
            f"UPDATE tenantry.{name} SET tenant_id = tenant_id WHERE tenant_id = $1",
            f"DELETE FROM tenantry.{name} WHERE tenant_id = $1",
        ):
            assert await refused(anna, statement, BERT) == "none", statement
    await anna.close()


def own_rows_alone(database: Database, table: str | None = None) -> None:
    """As the data plane's role, with every right: of one table, or of all."""

    async def run() -> None:
        planted = await plant(database)
        tables = list(planted.tables) if table is None else [table]
        await _own_rows_alone(database, planted, tables)

    asyncio.run(run())


def test_the_data_planes_role_reaches_its_own_tenants_rows_alone(database: Database) -> None:
    own_rows_alone(database)


def test_it_does_see_its_own(database: Database) -> None:
    """The proof above can fail: rows are there, and shown where a policy is for them."""

    async def run() -> None:
        planted = await plant(database)
        await _granted(database, list(planted.tables), "app")
        anna = await as_role(database, "app", ANNA)
        shown = {
            name
            for name in planted.tables
            if await anna.fetch(f"SELECT FROM tenantry.{name} WHERE tenant_id = $1", ANNA)
        }
        policies = await anna.fetch(
            "SELECT tablename FROM pg_policies WHERE 'tenantry_app' = ANY (roles)"
        )
        assert shown == {row[0] for row in policies}
        await anna.close()

    asyncio.run(run())


def narrow(database: Database) -> None:
    """What the control plane reaches of content is what its work needs: nothing of what is live."""

    async def run() -> None:
        await plant(database)
        await _granted(database, list(DUE), "control")
        control = await as_role(database, "control", None)
        for name in DUE:
            shown = await control.fetch(f"SELECT tenant_id FROM tenantry.{name}")
            assert [row[0] for row in shown] == [BERT], f"control sees what is live of {name}"
        await control.close()

    asyncio.run(run())


def test_the_control_plane_sees_of_content_what_its_work_needs(database: Database) -> None:
    narrow(database)
