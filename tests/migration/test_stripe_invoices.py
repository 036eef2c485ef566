"""What Stripe was given before anybody kept it: known from the notices that are there still."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path

import asyncpg
from tests.support.older_schema import migrations_before
from tests.support.postgres import Database

from tenantry.adapters.postgres.migrate import migrate

ANNA, BERT, CARL = (f"tnt_{number:026}" for number in range(3))
ENDED = datetime(2027, 2, 2, tzinfo=UTC)
_WORLD = f"""
INSERT INTO tenantry.placement (placement_id, kind, definition)
  VALUES ('pool', 'pool', '{{"kind": "pool", "account": "111111111111"}}');
INSERT INTO tenantry.tenant (tenant_id, name, plan, placement_id)
  SELECT id, id, 'free', 'pool' FROM unnest(ARRAY['{ANNA}', '{BERT}', '{CARL}']) AS id;
INSERT INTO tenantry.stripe_customer VALUES
  ('{ANNA}', 'cus_anna', '2027-01-01Z'), ('{BERT}', 'cus_bert', '2027-03-01Z');
INSERT INTO tenantry.notice (tenant_id, kind, once_key, body, created_at)
  SELECT t, k, n, jsonb_build_object('number', n, 'lines', l::jsonb), '2027-02-01Z'
  FROM (VALUES ('{ANNA}', 'invoice.finalised', 'A-1', '[1]'),
    ('{ANNA}', 'invoice.finalised', 'A-2', '[1]'), ('{ANNA}', 'invoice.finalised', 'A-3', '[]'),
    ('{ANNA}', 'invoice.voided', 'A-1', '[1]'), ('{BERT}', 'invoice.finalised', 'B-1', '[1]'),
    ('{CARL}', 'invoice.finalised', 'C-1', '[1]')) AS x (t, k, n, l);
INSERT INTO tenantry.delivery (tenant_id, notice_id, sink, state, since, next_at, ended_at)
  SELECT tenant_id, notice_id,
    CASE tenant_id WHEN '{CARL}' THEN 'webhook' ELSE 'stripe' END,
    CASE once_key WHEN 'A-2' THEN 'pending' ELSE 'delivered' END, created_at, created_at,
    CASE once_key WHEN 'A-2' THEN NULL ELSE '2027-02-02Z'::timestamptz END
  FROM tenantry.notice;
"""


def test_what_was_pushed_before_is_known_and_whose_where_that_is_certain(
    database: Database, tmp_path: Path
) -> None:
    before = migrations_before("0059", tmp_path)

    async def upgraded() -> list[tuple[object, ...]]:
        superuser = await asyncpg.connect(database.dsn("superuser"))
        await superuser.execute("DROP SCHEMA tenantry CASCADE")
        await migrate(database.dsn("migrator"), folder=before)
        await superuser.execute(_WORLD)
        await migrate(database.dsn("migrator"))
        rows = await superuser.fetch("SELECT * FROM tenantry.stripe_invoice ORDER BY 1, 2")
        forced = await superuser.fetchval(
            "SELECT bool_and(relforcerowsecurity) FROM pg_class WHERE relnamespace ="
            " 'tenantry'::regnamespace AND relname = ANY ($1)",
            ["stripe_invoice", "stripe_customer", "notice", "delivery"],
        )
        assert forced
        await superuser.close()
        return [tuple(row) for row in rows]

    assert asyncio.run(upgraded()) == [
        (ANNA, "A-1", ["cus_anna"], ENDED),
        (ANNA, "A-2", ["cus_anna"], None),
        (ANNA, "A-3", ["cus_anna"], None),
        (BERT, "B-1", [], ENDED),
    ]
