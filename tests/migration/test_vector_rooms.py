"""Documents of before, in whichever vector engine they rest: a shred must know of it."""

import asyncio
from pathlib import Path

import asyncpg
from tests.support.older_schema import migrations_before
from tests.support.postgres import Database

from tenantry.adapters.postgres.migrate import migrate

ANNA, BERT, CARL = (f"tnt_{number:026}" for number in range(3))
_WORLD = f"""
INSERT INTO tenantry.tenant (tenant_id, name, plan)
  SELECT id, id, 'free' FROM unnest(ARRAY['{ANNA}', '{BERT}', '{CARL}']) AS id;
INSERT INTO tenantry.knowledge_partition (tenant_id, model, dimensions) VALUES
  ('{ANNA}', 'pgvector/amazon.titan-embed-text-v2:0', 8),
  ('{BERT}', 'amazon.titan-embed-text-v2:0', 8), ('{CARL}', '', 0);
INSERT INTO tenantry.segment (tenant_id, segment_id, generation, dimensions, row_count, size_bytes)
VALUES ('{ANNA}', 'pgvector_1', 1, 8, 1, 1), ('{BERT}', 'seg_1', 1, 8, 1, 1),
  ('{BERT}', 'weaviate_1', 1, 8, 1, 1);
INSERT INTO tenantry.reindex (tenant_id, reindex_id, state, model, dimensions, pin, api_key_id,
  request_id) VALUES ('{BERT}', 'r', 'done', 'm', 8, 'opensearch/m', 'k', gen_random_uuid());
"""


def test_every_engine_that_documents_of_before_name_is_known(
    database: Database, tmp_path: Path
) -> None:
    before = migrations_before("0038", tmp_path)

    async def upgraded() -> list[tuple[str, str]]:
        superuser = await asyncpg.connect(database.dsn("superuser"))
        await superuser.execute("DROP SCHEMA tenantry CASCADE")
        await migrate(database.dsn("migrator"), folder=before)
        await superuser.execute(_WORLD)
        await migrate(database.dsn("migrator"))
        rows = await superuser.fetch(
            "SELECT tenant_id, engine FROM tenantry.vector_room WHERE ending IS NULL ORDER BY 1, 2"
        )
        forced = await superuser.fetchval(
            "SELECT bool_and(relforcerowsecurity) FROM pg_class WHERE relnamespace ="
            " 'tenantry'::regnamespace AND relname = ANY ($1)",
            ["vector_room", "knowledge_partition", "segment", "reindex"],
        )
        assert forced
        await superuser.close()
        return [tuple(row) for row in rows]

    assert asyncio.run(upgraded()) == [
        (ANNA, "pgvector"),
        (BERT, "opensearch"),
        (BERT, "weaviate"),
    ]
