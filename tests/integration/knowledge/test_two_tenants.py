"""Knowledge of two tenants in one PostgreSQL and on one disk: rows, segments and keys apart."""

from __future__ import annotations

import asyncio
from pathlib import Path

import asyncpg
import pytest
from tests.support import knowledge as support
from tests.support.postgres import Database
from tests.support.two_tenants import ALICE, BOB, A, B, process

from tenantry.adapters.postgres.manifest import PostgresUnfinished
from tenantry.application import documents, ingestion, patience, retrieval, tending
from tenantry.application.knowledge import Knowledge
from tenantry.domain.document import DocumentState, home_of
from tenantry.domain.errors import Corrupt, NotFound, Unavailable
from tenantry.domain.upload import upload_from_text
from tenantry.ports.objects import ObjectKind

TABLES = ("knowledge_partition", "segment", "document")


async def upload(deps: Knowledge, who: object, title: str, text: str) -> str:
    done = await ingestion.ingest(deps, who, upload_from_text({"title": title, "text": text}))
    return done.document.id


async def texts(deps: Knowledge, who: object, query: str) -> list[str]:
    return [passage.text for passage in await retrieval.search(deps, who, query, top_k=9)]


def test_two_processes_see_one_truth_and_two_tenants_see_two(
    database: Database, tmp_path: Path
) -> None:
    async def run() -> None:
        await support.add_tenants(database, A.id, B.id)
        async with process(database, tmp_path) as here, process(database, tmp_path) as there:
            mine = await upload(here, ALICE, "A", "apples are red")
            theirs = await upload(there, BOB, "B", "apples are blue")
            assert await texts(there, ALICE, "apples") == ["apples are red"]
            assert await texts(here, BOB, "apples") == ["apples are blue"]
            await upload(there, ALICE, "A2", "apples are ripe")
            assert len(await texts(here, ALICE, "apples")) == 2
            for call in (
                documents.get_document,
                documents.document_content,
                documents.delete_document,
            ):
                with pytest.raises(NotFound):
                    await call(here, ALICE, theirs)
            await documents.delete_document(here, ALICE, mine)
            assert await texts(there, ALICE, "apples") == ["apples are ripe"]
            assert await texts(there, BOB, "apples") == ["apples are blue"]

    asyncio.run(run())


def test_segments_and_rows_moved_between_tenants_fail_closed(
    database: Database, tmp_path: Path
) -> None:
    async def run() -> None:
        await support.add_tenants(database, A.id, B.id)
        async with process(database, tmp_path) as deps:
            await upload(deps, ALICE, "A", "secret of a")
            await upload(deps, BOB, "B", "secret of b")
        one, two = _segments(tmp_path)
        kept = one.read_bytes(), two.read_bytes()
        one.write_bytes(kept[1])
        two.write_bytes(kept[0])
        async with process(database, tmp_path) as deps:
            for who in (ALICE, BOB):
                with pytest.raises(Corrupt):
                    await texts(deps, who, "secret")
        one.write_bytes(kept[0])
        two.write_bytes(kept[1])
        await _steal_rows(database)
        async with process(database, tmp_path) as deps:
            for stolen in (texts(deps, BOB, "secret"), documents.list_documents(deps, BOB)):
                with pytest.raises((Corrupt, Unavailable)):
                    await stolen

    asyncio.run(run())


def _segments(root: Path) -> list[Path]:
    return sorted(root.glob("accounts/*/objects/*/segments/*"))


async def _steal_rows(database: Database) -> None:
    """What someone with the database, but without keys, might do: A's rows become B's."""
    connection = await asyncpg.connect(database.dsn("superuser"))
    async with connection.transaction():
        await connection.execute("SET LOCAL session_replication_role = replica")
        for table in TABLES:
            await connection.execute(f"DELETE FROM tenantry.{table} WHERE tenant_id = $1", B.id)
            await connection.execute(
                f"UPDATE tenantry.{table} SET tenant_id = $1 WHERE tenant_id = $2", B.id, A.id
            )
    await connection.close()


def test_row_policies_hide_what_a_forgotten_filter_would_show(
    database: Database, tmp_path: Path
) -> None:
    async def run() -> None:
        await support.add_tenants(database, A.id, B.id)
        async with process(database, tmp_path) as deps:
            await upload(deps, ALICE, "A", "apples")
            await upload(deps, BOB, "B", "pears")
        connection = await asyncpg.connect(database.dsn("app"))
        for table in TABLES:
            assert await connection.fetch(f"SELECT * FROM tenantry.{table}") == []
            async with connection.transaction():
                await connection.execute("SELECT set_config('tenantry.tenant', $1, true)", A.id)
                rows = await connection.fetch(f"SELECT tenant_id FROM tenantry.{table}")
                assert {row["tenant_id"] for row in rows} == {A.id}
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            async with connection.transaction():
                await connection.execute("SELECT set_config('tenantry.tenant', $1, true)", A.id)
                await connection.execute(
                    "UPDATE tenantry.document SET tenant_id = $1 WHERE tenant_id = $2", B.id, A.id
                )
        await connection.close()

    asyncio.run(run())


_PLANTED = {
    "embedded_batch": "(tenant_id, content_hmac, model, dimensions, first, passages, object_id)"
    " SELECT $1, sha256('x'), 'm', 8, 0, 64, 'o'",
    "reindex": "(tenant_id, reindex_id, state, model, dimensions, pin, api_key_id, request_id,"
    " claimed_until) SELECT $1, 'r', 'running', 'm', 8, 'm', 'k', gen_random_uuid(), now()",
    "vector_room": "(tenant_id, engine) SELECT $1, 'pgvector'",
}

# What the control plane sees of all tenants, and what is withheld from it where it is not `model`.
_ACROSS = {"reindex": "claimed_until", "vector_room": "engine"}
_WITHHELD = {"vector_room": "DELETE FROM"}


@pytest.mark.parametrize("table", sorted(_PLANTED))
def test_batches_reindexes_and_rooms_are_a_tenant_s_own(database: Database, table: str) -> None:
    async def run() -> None:
        await support.add_tenants(database, A.id, B.id)
        owner = await asyncpg.connect(database.dsn("superuser"))
        for who in (A, B):
            await owner.execute(
                "INSERT INTO tenantry.knowledge_partition (tenant_id) VALUES ($1)", who.id
            )
            await owner.execute(f"INSERT INTO tenantry.{table} {_PLANTED[table]}", who.id)
        app = await asyncpg.connect(database.dsn("app"))
        assert await app.fetch(f"SELECT * FROM tenantry.{table}") == []
        async with app.transaction():
            await app.execute("SELECT set_config('tenantry.tenant', $1, true)", A.id)
            rows = await app.fetch(f"SELECT tenant_id FROM tenantry.{table}")
            assert [row["tenant_id"] for row in rows] == [A.id]
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            async with app.transaction():
                await app.execute("SELECT set_config('tenantry.tenant', $1, true)", A.id)
                await app.execute(f"INSERT INTO tenantry.{table} {_PLANTED[table]}", B.id)
        control = await asyncpg.connect(database.dsn("control"))
        if (shown := _ACROSS.get(table)) is not None:
            rows = await control.fetch(f"SELECT tenant_id, {shown} FROM tenantry.{table}")
            assert {row["tenant_id"] for row in rows} == {A.id, B.id}
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await control.fetch(f"{_WITHHELD.get(table, 'SELECT model FROM')} tenantry.{table}")
        for connection in (owner, app, control):
            await connection.close()

    asyncio.run(run())


def test_no_word_of_a_document_is_in_the_database(database: Database, tmp_path: Path) -> None:
    async def run() -> None:
        await support.add_tenants(database, A.id)
        async with process(database, tmp_path) as deps:
            body = {"title": "Canary title", "text": "canary text", "metadata": {"canary": "value"}}
            await ingestion.ingest(deps, ALICE, upload_from_text({**body, "access": ["canaries"]}))
        connection = await asyncpg.connect(database.dsn("superuser"))
        for table in TABLES:
            rows = await connection.fetch(f"SELECT t::text AS line FROM tenantry.{table} t")
            assert rows and not any("canar" in row["line"].lower() for row in rows)
        await connection.close()

    asyncio.run(run())


def test_an_upload_is_four_fsyncs_of_two_objects(database: Database, tmp_path: Path) -> None:
    """Object and folder, for the original and for the segment: each before the commit it serves."""

    async def run() -> None:
        await support.add_tenants(database, A.id)
        async with process(database, tmp_path) as deps:
            await upload(deps, ALICE, "A", "first, which also makes folders and keys")
            counted = deps.objects._part._files.fsyncs
            files, folders = counted.files, counted.folders
            await upload(deps, ALICE, "A", "second")
            assert (counted.files - files, counted.folders - folders) == (2, 2)

    asyncio.run(run())


class TwoTenants:
    """As much of the control plane as tending asks for."""

    async def get_tenant(self, tenant: str) -> object:
        return {A.id: A, B.id: B}[tenant]

    async def list_tenants(self, *, after: str | None = None, limit: int = 100) -> list[object]:
        return [tenant for tenant in (A, B) if after is None or tenant.id > after][:1]


def test_tending_finishes_and_sweeps_for_every_tenant_and_sees_ids_alone(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    large = "\n\n".join(f"Paragraph {n} of word{n}. " + "x" * 900 for n in range(1_200))

    async def run() -> None:
        await support.add_tenants(database, A.id, B.id)
        monkeypatch.setattr(patience, "LEASE_S", 0.0)
        async with process(database, tmp_path) as deps:
            for who in (ALICE, BOB):
                assert await upload(deps, who, "Large", large)
            await deps.tasks.close()  # what a kill leaves: two documents, `indexing`
        monkeypatch.setattr(patience, "LEASE_S", 60.0)
        control = await asyncpg.create_pool(database.dsn("control"), min_size=1, max_size=2)
        async with control, process(database, tmp_path) as deps:
            await deps.objects.put(home_of(B), ObjectKind.ORIGINAL, "orphan", b"x")
            unfinished = PostgresUnfinished(control)
            assert set(await unfinished.tenants(9)) == {A.id, B.id}
            assert await tending.resume(deps, unfinished, TwoTenants()) == 2
            await deps.tasks.settle()
            assert await unfinished.tenants(9) == []
            for who in (ALICE, BOB):
                (shown,) = (await documents.list_documents(deps, who)).documents
                assert shown.status is DocumentState.READY
            young = await tending.sweep(deps, TwoTenants(), support.Ours())
            assert young == 0, "too young by an hour"
            swept = tending.sweep_orphans(
                home_of(B), deps.objects, deps.manifest, support.ours, age_s=0.0
            )
            assert await swept == 1
            for columns in ("*", "document_id", "content_hmac"):
                with pytest.raises(asyncpg.InsufficientPrivilegeError):
                    await control.fetch(f"SELECT {columns} FROM tenantry.document")
            assert await control.fetch("SELECT tenant_id FROM tenantry.document") == []

    asyncio.run(run())
