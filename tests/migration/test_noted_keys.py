"""Tenants of before that used a key: it is missed where it is not there."""

import asyncio
from pathlib import Path

import asyncpg
from tests.support.older_schema import migrations_before
from tests.support.postgres import Database

from tenantry.adapters.postgres.migrate import migrate

DOCUMENT, BUDGET, USED, IDLE, SHREDDED = (f"tnt_{number:026}" for number in range(5))
_WORLD = f"""
INSERT INTO tenantry.plan (name, version, definition) VALUES ('pro', 1, '{{}}');
INSERT INTO tenantry.placement (placement_id, kind, definition)
  VALUES ('pool', 'pool', '{{"kind": "pool", "account": "111111111111"}}');
INSERT INTO tenantry.tenant (tenant_id, name, plan, placement_id)
  SELECT id, id, 'pro', 'pool'
  FROM unnest(ARRAY['{DOCUMENT}', '{BUDGET}', '{USED}', '{IDLE}', '{SHREDDED}']) AS id;
INSERT INTO tenantry.knowledge_partition (tenant_id) VALUES ('{DOCUMENT}'), ('{SHREDDED}');
INSERT INTO tenantry.document (tenant_id, document_id, state, content_hmac, original_id,
  original_bytes, api_key_id, failure)
SELECT id, 'd', 'failed', decode(repeat('00', 32), 'hex'), 'o', 1, 'k', 'x'
FROM unnest(ARRAY['{DOCUMENT}', '{SHREDDED}']) AS id;
INSERT INTO tenantry.budget (tenant_id, subject, period, basis, amount, hard) VALUES
  ('{BUDGET}', 'user:0123', 'day', 'charge', 1, true),
  ('{IDLE}', 'run:r', 'day', 'charge', 1, true);
INSERT INTO tenantry.charge_hour_detail VALUES
  ('{USED}', '2020-01-01T00:00Z', 1, '2020-01-01', 'USD', 'm', 'k', 'abc', '', '{{}}', 'out', 1, 1,
   1, 1, 1),
  ('{IDLE}', '2020-01-01T00:00Z', 1, '2020-01-01', 'USD', 'm', 'k', '', '', '{{}}', 'out', 1, 1,
   1, 1, 1);
UPDATE tenantry.tenant SET status = 'shredded' WHERE tenant_id = '{SHREDDED}';
"""


def test_whoever_has_anything_under_a_key_has_a_key(database: Database, tmp_path: Path) -> None:
    before = migrations_before("0070", tmp_path)

    async def upgraded() -> list[tuple[object, ...]]:
        superuser = await asyncpg.connect(database.dsn("superuser"))
        await superuser.execute("DROP SCHEMA tenantry CASCADE")
        await migrate(database.dsn("migrator"), folder=before)
        await superuser.execute(_WORLD)
        await migrate(database.dsn("migrator"))
        rows = await superuser.fetch(
            "SELECT tenant_id, version, fingerprint FROM tenantry.tenant_key ORDER BY 1"
        )
        assert await superuser.fetchval(
            "SELECT bool_and(relforcerowsecurity) FROM pg_class WHERE relnamespace ="
            " 'tenantry'::regnamespace AND relrowsecurity AND relkind IN ('r', 'p')"
        )
        await superuser.close()
        return [tuple(row) for row in rows]

    noted = [(each, 1, None) for each in (DOCUMENT, BUDGET, USED)]
    assert asyncio.run(upgraded()) == noted
