"""pgvector's own walls, tried with plain SQL as its role; and the whole way of a document in it."""

from __future__ import annotations

import asyncio
import dataclasses
import re
import secrets
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from tests.support import engines
from tests.support import knowledge as support
from tests.support.engines import Scene
from tests.support.knowledge_process import Doom, knowledge
from tests.support.pools import app_pool
from tests.support.postgres import Database

from tenantry.adapters.postgres.errors import PgvectorMissing
from tenantry.adapters.postgres.pgvector import ROLE, open_pgvector, prepare_pgvector
from tenantry.adapters.vectors.partitions import EnginePartitions
from tenantry.application import documents, ingestion, retrieval, tending
from tenantry.domain.document import DocumentState
from tenantry.domain.errors import Conflict, Corrupt, NotFound
from tenantry.domain.upload import upload_from_text

DEFINERS = Path(__file__).parents[3] / "docs" / "reference" / "definer-functions.md"
Connections = Callable[[Scene, Any, Any], Awaitable[None]]


def walled(database: Database, root: Path, scene: Connections) -> None:
    """A scene with a connection as the engine's role and one as the superuser."""

    async def main() -> None:
        await engines.prepare(database)
        pool = await open_pgvector(lambda: database.dsn("app"), engines.SECRET, "tests")
        superuser = await asyncpg.connect(database.dsn("superuser"))
        async with engines.scene_of(root, lambda: engines.pgvector_at(database)) as world:
            await world.add(world.anna, "doc_1", "the secret of anna")
            await world.add(world.bert, "doc_1", "the secret of bert")
            async with pool.acquire() as connection:
                await scene(world, connection, superuser)
        await superuser.close()
        await pool.close()

    asyncio.run(main())


async def _as(connection: Any, tenant: str, query: str, *values: object) -> list[Any]:
    async with connection.transaction():
        await connection.execute("SELECT set_config('tenantry.tenant', $1, true)", tenant)
        return await connection.fetch(query, *values)


def test_without_a_tenant_or_a_filter_nothing_of_another_is_seen(database, tmp_path) -> None:
    async def scene(world: Scene, role: Any, superuser: Any) -> None:
        everything = "SELECT tenant_id FROM tenantry_vectors.passage"
        assert await role.fetch(everything) == []
        for tenant in (world.anna.tenant_id, world.bert.tenant_id):
            assert {row[0] for row in await _as(role, tenant, everything)} == {tenant}
        theirs = "SELECT * FROM tenantry_vectors.passage WHERE tenant_id = $1"
        assert await _as(role, world.anna.tenant_id, theirs, world.bert.tenant_id) == []
        for statement in (
            "DELETE FROM tenantry_vectors.passage WHERE tenant_id = $1 RETURNING 1",
            "UPDATE tenantry_vectors.passage SET sealed = '' WHERE tenant_id = $1 RETURNING 1",
        ):
            changed = await _as(role, world.anna.tenant_id, statement, world.bert.tenant_id)
            assert changed == []
        for statement in (
            "INSERT INTO tenantry_vectors.passage VALUES ($1, 's', 0, 1, '[1]', '')",
            "UPDATE tenantry_vectors.passage SET tenant_id = $1",
        ):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await _as(role, world.anna.tenant_id, statement, world.bert.tenant_id)

    walled(database, tmp_path, scene)


def test_a_partition_is_reached_through_its_parent_alone(database, tmp_path) -> None:
    async def scene(world: Scene, role: Any, superuser: Any) -> None:
        own = world.anna.tenant_id
        for statement in (
            f"SELECT * FROM tenantry_vectors.passage_{own}",
            f"TRUNCATE tenantry_vectors.passage_{own}",
            f"DROP TABLE tenantry_vectors.passage_{own}",
            "ALTER TABLE tenantry_vectors.passage DISABLE ROW LEVEL SECURITY",
            "CREATE TABLE tenantry_vectors.mine ()",
            "SET ROLE tenantry_vectors_owner",
            "SELECT * FROM tenantry.tenant",
            "SELECT tenantry_vectors.own_partition()",
        ):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await _as(role, own, statement)
        async with superuser.transaction():
            await superuser.execute("SET LOCAL ROLE tenantry_vectors_owner")
            for table in ("passage", f"passage_{own}"):
                rows = await superuser.fetch(f"SELECT * FROM tenantry_vectors.{table}")
                assert rows == [], "row security holds for the owner too"
        weak = await superuser.fetch(
            "SELECT relname FROM pg_class WHERE relnamespace = 'tenantry_vectors'::regnamespace "
            "AND relkind IN ('r', 'p') AND NOT (relrowsecurity AND relforcerowsecurity)"
        )
        assert weak == []
        roles = await superuser.fetch(
            "SELECT rolname FROM pg_roles WHERE rolname LIKE 'tenantry_vectors%' "
            "AND (rolsuper OR rolbypassrls OR rolcreaterole OR rolcreatedb)"
        )
        assert roles == []

    walled(database, tmp_path, scene)


def test_rooms_are_opened_and_dropped_for_the_unit_s_tenant_alone(database, tmp_path) -> None:
    async def scene(world: Scene, role: Any, superuser: Any) -> None:
        doors = ("open_room(NULL)", "empty_room()", "close_room()")
        for door in doors:
            with pytest.raises(asyncpg.RaiseError):
                await role.fetch(f"SELECT tenantry_vectors.{door}")
            for tenant in ("", "tnt_a; DROP TABLE x", 'tnt_a"', "TNT_A", "x" * 49):
                with pytest.raises(asyncpg.RaiseError):
                    await _as(role, tenant, f"SELECT tenantry_vectors.{door}")
        for door in doors[1:]:
            await _as(role, world.anna.tenant_id, f"SELECT tenantry_vectors.{door}")
        assert await world.found(world.bert, "secret") == ["the secret of bert"]
        definers = await superuser.fetch(
            "SELECT proname, proacl::text, proconfig FROM pg_proc "
            "WHERE pronamespace = 'tenantry_vectors'::regnamespace AND prosecdef"
        )
        documented = re.findall(r"^\| `(\w+)`", DEFINERS.read_text("utf-8"), re.M)
        assert {row["proname"] for row in definers} <= set(documented)
        assert len(definers) == len(doors)
        for row in definers:
            assert "=X/" not in row["proacl"].replace("tenantry_vectors=X", "").replace(
                "tenantry_vectors_owner=X", ""
            )
            assert row["proconfig"] == ["search_path=pg_catalog, pg_temp"]

    walled(database, tmp_path, scene)


def test_a_row_that_somebody_moves_to_another_tenant_does_not_open(database, tmp_path) -> None:
    async def scene(world: Scene, role: Any, superuser: Any) -> None:
        await superuser.execute(
            "UPDATE tenantry_vectors.passage SET tenant_id = $1 WHERE tenant_id = $2",
            world.anna.tenant_id,
            world.bert.tenant_id,
        )
        with pytest.raises(Corrupt):
            await world.found(world.anna, "the secret of bert")

    walled(database, tmp_path, scene)


def test_the_database_holds_vectors_and_ids_and_nothing_to_read(database, tmp_path) -> None:
    async def scene(world: Scene, role: Any, superuser: Any) -> None:
        rows = await superuser.fetch("SELECT * FROM tenantry_vectors.passage")
        assert len(rows) == 2
        for row in rows:
            assert set(row.keys()) == {
                "tenant_id",
                "segment_id",
                "row_number",
                "dimensions",
                "embedding",
                "sealed",
            }
            assert row["sealed"].startswith(b"TNB1")
            for word in (b"secret", b"Title", b"doc_1", b"text/plain"):
                assert word not in row["sealed"]
        plan = await _as(
            role,
            world.anna.tenant_id,
            "EXPLAIN SELECT 1 FROM tenantry_vectors.passage WHERE tenant_id = "
            f"'{world.anna.tenant_id}'",
        )
        text = "\n".join(row[0] for row in plan)
        assert f"passage_{world.anna.tenant_id}" in text
        assert world.bert.tenant_id not in text, "no other tenant's partition is opened"

    walled(database, tmp_path, scene)


def test_an_hnsw_index_is_made_where_it_is_asked_for(database, tmp_path) -> None:
    async def main() -> None:
        await engines.prepare(database)
        opener = lambda: engines.pgvector_at(database, indexed=True)  # noqa: E731
        async with engines.scene_of(tmp_path, opener) as world:
            await world.add(world.anna, "doc_1", *[f"apples {n}" for n in range(400)])
            superuser = await asyncpg.connect(database.dsn("superuser"))
            assert len(await world.hits(world.anna, "apples 7", 50)) == 50
            index = f"passage_{world.anna.tenant_id}_{support.DIMENSIONS}"
            size = await superuser.fetchval(
                "SELECT pg_relation_size(to_regclass($1))", f"tenantry_vectors.{index}"
            )
            assert size > 100_000
            await superuser.close()

    asyncio.run(main())


def test_an_owner_without_superuser_rights_is_enough_where_the_extension_is_there(
    database, tmp_path
) -> None:
    name = f"master_{secrets.token_hex(4)}"

    async def main() -> None:
        superuser = await asyncpg.connect(database.dsn("superuser"))
        await superuser.execute(f"CREATE ROLE {name} LOGIN CREATEROLE PASSWORD 'secret'")
        await superuser.execute(f"GRANT {ROLE}, {ROLE}_owner TO {name} WITH ADMIN OPTION")
        await superuser.execute(f"ALTER DATABASE {database.name} OWNER TO {name}")
        login = f"postgresql://{name}:secret@"
        dsn = login + database.dsn("superuser").partition("@")[2]
        try:
            with pytest.raises(PgvectorMissing):
                await prepare_pgvector(dsn, engines.SECRET)
            await superuser.execute("CREATE EXTENSION vector WITH SCHEMA public")
            await superuser.execute(f"GRANT USAGE ON SCHEMA public TO {name} WITH GRANT OPTION")
            for _ in range(2):
                await prepare_pgvector(dsn, engines.SECRET)
            async with engines.scene_of(tmp_path, lambda: engines.pgvector_at(database)) as world:
                await world.add(world.anna, "doc_1", "apples")
                assert await world.found(world.anna, "apples") == ["apples"]
        finally:
            await superuser.execute(f"ALTER DATABASE {database.name} OWNER TO CURRENT_USER")
            await superuser.execute(
                f"REASSIGN OWNED BY {name} TO CURRENT_USER; DROP OWNED BY {name} CASCADE;"
                f"DROP ROLE {name}"
            )
            await superuser.close()

    asyncio.run(engines.prepare_roles(database))
    asyncio.run(main())


def test_a_document_s_whole_way_with_the_manifest_in_postgresql(database, tmp_path) -> None:
    a, b = support.tenant("tnt_" + "a" * 26), support.tenant("tnt_" + "b" * 26)
    alice, bob = support.principal(a), support.principal(b)

    async def main() -> None:
        await engines.prepare(database)
        await support.add_tenants(database, a.id, b.id)
        async with app_pool(database.dsn("app")) as pool:
            deps = knowledge(tmp_path, pool, Doom(1_000_000, after=False))
            deps.vectors.close()
            engine = await engines.pgvector_at(database)
            vectors = EnginePartitions(engine, deps.manifest, deps.keys, deps.sealer, deps.clock)
            deps = dataclasses.replace(deps, vectors=vectors)
            sent = {"title": "A", "text": "apples are red", "access": ["hr"]}
            mine = await ingestion.ingest(deps, alice, upload_from_text(sent))
            again = await ingestion.ingest(deps, alice, upload_from_text(sent))
            assert (again.created, again.document.id) == (False, mine.document.id)
            theirs = await ingestion.ingest(deps, bob, _upload("blue apples"))
            assert mine.document.status is theirs.document.status is DocumentState.READY
            assert await retrieval.search(deps, alice, "apples") == []
            hr = frozenset({"hr"})
            (hit,) = await retrieval.search(deps, alice, "apples", groups=hr)
            assert (hit.text, hit.document_id) == ("apples are red", mine.document.id)
            page = await documents.list_documents(deps, alice, groups=hr)
            assert [item.card.title for item in page.documents] == ["A"]
            for who, name in ((alice, theirs.document.id), (bob, mine.document.id)):
                with pytest.raises(NotFound):
                    await documents.get_document(deps, who, name, groups=hr)
                with pytest.raises(NotFound):
                    await documents.delete_document(deps, who, name, groups=hr)
            await documents.delete_document(deps, alice, mine.document.id, groups=hr)
            assert await retrieval.search(deps, alice, "apples", groups=hr) == []
            assert [hit.text for hit in await retrieval.search(deps, bob, "apples")] == [
                "blue apples"
            ]
            assert await tending.sweep_vectors(deps, TwoTenants(a, b), support.Ours()) == 0
            await deps.tasks.close()
            await vectors.close()

    asyncio.run(main())


def test_what_rests_in_another_engine_costs_no_embedding_until_it_is_reindexed(
    database, tmp_path
) -> None:
    """After the setting was changed: each way, and for the one tenant alone."""
    a, b = support.tenant("tnt_" + "a" * 26), support.tenant("tnt_" + "b" * 26)
    alice, bob = support.principal(a), support.principal(b)

    async def main() -> None:
        await engines.prepare(database)
        await support.add_tenants(database, a.id, b.id)
        async with app_pool(database.dsn("app")) as pool:
            own = knowledge(tmp_path, pool, Doom(1_000_000, after=False))
            engine = await engines.pgvector_at(database)
            vectors = EnginePartitions(engine, own.manifest, own.keys, own.sealer, own.clock)
            other = dataclasses.replace(own, vectors=vectors)
            await ingestion.ingest(own, alice, _upload("red apples"))
            await ingestion.ingest(other, bob, _upload("blue apples"))
            before = list(own.embedder.calls)
            for deps, who in ((other, alice), (own, bob)):
                with pytest.raises(Conflict, match="another vector engine"):
                    await ingestion.ingest(deps, who, _upload("green pears"))
                with pytest.raises(Conflict, match="another vector engine"):
                    await retrieval.search(deps, who, "apples")
                assert len((await documents.list_documents(deps, who)).documents) == 1
            assert own.embedder.calls == before
            for deps, who, text in ((own, alice, "red apples"), (other, bob, "blue apples")):
                assert [hit.text for hit in await retrieval.search(deps, who, "apples")] == [text]
            await own.tasks.close()
            await vectors.close()
            own.vectors.close()

    asyncio.run(main())


def _upload(text: str) -> Any:
    return upload_from_text({"title": "B", "text": text})


class TwoTenants:
    """The control plane's list."""

    def __init__(self, *tenants: Any) -> None:
        self._tenants = tenants

    async def list_tenants(self, *, after: str | None = None, limit: int) -> list[Any]:
        return [] if after else list(self._tenants)
