"""After the vector engine of the settings was changed: vectors are deleted where they lie, or it is
said that they are not."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import json
import socket
from collections.abc import Awaitable, Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from tests.support import engines
from tests.support.knowledge import DIMENSIONS, MODEL, Ours
from tests.support.postgres import Database
from tests.support.reindexes import AnyModel
from tests.support.shredding import BY, Ground, ground

from tenantry.adapters.postgres.reindexes import PostgresReindexes
from tenantry.adapters.postgres.vector_rooms import PostgresEngineBook, PostgresVectorRooms
from tenantry.adapters.vectors import opensearch
from tenantry.adapters.vectors.engine import CALL_TIMEOUT_S
from tenantry.adapters.vectors.partitions import EnginePartitions
from tenantry.adapters.vectors.tracked import OpenEngine, TrackedVectors
from tenantry.application import documents, retrieval, tending
from tenantry.application.context import RequestContext
from tenantry.application.knowledge import Knowledge
from tenantry.application.reindexing import Reindexing
from tenantry.application.shredding import advance_shred, begin_shred
from tenantry.bootstrap.vectors import VectorParts, vectors_of
from tenantry.config import Settings
from tenantry.domain.errors import Conflict
from tenantry.domain.ids import RequestId, uuid7
from tenantry.domain.tenant import Principal
from tenantry.domain.vector_room import VectorRoom


@dataclasses.dataclass
class Deployment:
    """Two tenants whose documents rest in pgvector, and the settings since then."""

    at: Ground
    database: Database
    first: Knowledge  # with pgvector in the settings
    made: list[TrackedVectors] = dataclasses.field(default_factory=list)

    def knowledge(self, **others: OpenEngine) -> Knowledge:
        """Sealed partitions in the settings; the engines of `others` are configured beside it."""
        return self.over(self.at.knowledge.vectors, None, others)

    def over(self, present: Any, engine: str | None, others: Mapping[str, OpenEngine]) -> Knowledge:
        deps, rooms = self.at.knowledge, PostgresVectorRooms(self.at.world.work)
        vectors = TrackedVectors(present, engine, others, rooms, deps.manifest, self.partitions)
        self.made.append(vectors)
        return dataclasses.replace(deps, vectors=vectors)

    def partitions(self, engine: Any) -> EnginePartitions:
        deps = self.at.knowledge
        return EnginePartitions(engine, deps.manifest, deps.keys, deps.sealer, deps.clock)

    def reindexing(self, deps: Knowledge) -> Reindexing:
        return Reindexing(deps, PostgresReindexes(self.at.world.work), AnyModel())  # type: ignore[arg-type]

    async def pgvector(self) -> Any:
        return await engines.pgvector_at(self.database)

    async def rows(self, who: Principal) -> int:
        connection = await asyncpg.connect(self.database.dsn("superuser"))
        try:
            query = "SELECT count(*) FROM tenantry_vectors.passage WHERE tenant_id = $1"
            return int(await connection.fetchval(query, who.tenant_id))
        finally:
            await connection.close()

    async def rooms(self, who: Principal) -> list[VectorRoom]:
        return list(await PostgresVectorRooms(self.at.world.work).of(who.tenant_id))


Scene = Callable[[Deployment], Awaitable[None]]


@pytest.fixture
def played(database: Database, tmp_path: Path) -> Callable[[Scene], None]:
    async def run(scene: Scene) -> None:
        await engines.prepare(database)
        async with ground(database, tmp_path, texts=()) as at:
            deployment = Deployment(at, database, at.knowledge)
            present = deployment.partitions(await deployment.pgvector())
            deployment.first = deployment.over(present, "pgvector", {})
            for who in (at.anna, at.bert):
                for text in ("apples", "pears"):
                    await at.upload(who, f"{text} of {who.tenant_id}", deployment.first)
            await scene(deployment)
            for vectors in deployment.made:
                await vectors.close()
            await present.close()

    return lambda scene: asyncio.run(run(scene))


def test_a_shred_deletes_in_the_engine_of_before_and_names_it(played) -> None:
    async def scene(deployment: Deployment) -> None:
        at, who = deployment.at, deployment.at.anna
        assert await deployment.rows(who) == 2
        deps = deployment.knowledge(pgvector=deployment.pgvector)
        shredder = dataclasses.replace(at.shredder(), vectors=deps.vectors)
        await begin_shred(shredder, who.tenant_id, who.tenant.name, BY)
        done = await advance_shred(shredder, who.tenant_id)
        told = json.loads(str(done.shred.certificate))
        assert any("vector engine (pgvector)" in each for each in told["remains"])
        assert (await deployment.rows(who), await deployment.rows(at.bert)) == (0, 2)
        assert await deployment.rooms(who) == [VectorRoom("pgvector", "emptied")]
        assert await deployment.rooms(at.bert) == [VectorRoom("pgvector")]

    played(scene)


def test_a_shred_does_not_begin_where_the_engine_of_before_is_not_configured(played) -> None:
    async def scene(deployment: Deployment) -> None:
        at, who = deployment.at, deployment.at.anna
        shredder = dataclasses.replace(at.shredder(), vectors=deployment.knowledge().vectors)
        with pytest.raises(Conflict, match="pgvector, which is not configured here"):
            await begin_shred(shredder, who.tenant_id, who.tenant.name, BY)
        assert (await at.world.control.get_tenant(who.tenant_id)).status == "active"
        # One that had begun, before the settings were changed, is not certified.
        await begin_shred(
            dataclasses.replace(shredder, vectors=deployment.first.vectors),
            who.tenant_id,
            who.tenant.name,
            BY,
        )
        with pytest.raises(Conflict, match="not configured here"):
            await advance_shred(shredder, who.tenant_id)
        assert await deployment.rows(who) == 2
        # Nobody can reach the engine ever again, and the operator says so.
        book = PostgresEngineBook(at.world.databases.control)
        assert await book.open_engines() == {"pgvector": 2}
        assert (await book.declare_gone("weaviate"), await book.declare_gone("pgvector")) == (0, 2)
        done = await advance_shred(shredder, who.tenant_id)
        told = json.loads(str(done.shred.certificate))
        assert any("nobody has seen vectors of passages deleted" in e for e in told["remains"])

    played(scene)


def test_a_document_is_deleted_in_the_engine_of_before_or_not_at_all(played) -> None:
    async def scene(deployment: Deployment) -> None:
        at, who = deployment.at, deployment.at.anna
        page = await documents.list_documents(deployment.knowledge(), who)
        first, second = (item.id for item in page.documents)
        with pytest.raises(Conflict, match="pgvector, which is not configured here"):
            await documents.delete_document(deployment.knowledge(), who, first)
        assert await deployment.rows(who) == 2
        deps = deployment.knowledge(pgvector=deployment.pgvector)
        await documents.delete_document(deps, who, first)
        assert await deployment.rows(who) == 1
        await documents.delete_document(deps, who, second)
        assert (await deployment.rows(who), await deployment.rows(at.bert)) == (0, 2)

    played(scene)


def test_what_a_reindex_leaves_in_the_engine_of_before_is_swept_there(played) -> None:
    async def scene(deployment: Deployment) -> None:
        at, who = deployment.at, deployment.at.anna
        ctx = RequestContext(RequestId(uuid7(1, b"0123456789")), who)
        with pytest.raises(Conflict, match="pgvector, which is not configured here"):
            await deployment.reindexing(deployment.knowledge()).start(ctx, MODEL, DIMENSIONS)
        deps = deployment.knowledge(pgvector=deployment.pgvector)
        await deployment.reindexing(deps).start(ctx, MODEL, DIMENSIONS)
        await deps.tasks.settle()
        assert len(await retrieval.search(deps, who, "apples", top_k=9)) == 2
        assert await deployment.rows(who) == 2
        swept = await tending.sweep_vectors(deps, at.world.control, Ours())
        assert swept == 0, "too young to be orphans"
        assert await deps.vectors.sweep(at.home(who), 0.0) == 2
        await deps.vectors.sweep(at.home(at.bert), 0.0)
        assert (await deployment.rows(who), await deployment.rows(at.bert)) == (0, 2)
        assert await deployment.rooms(who) == [VectorRoom("pgvector", "emptied")]
        assert await deployment.rooms(at.bert) == [VectorRoom("pgvector")]
        await deployment.knowledge().vectors.check_reach(who.tenant_id)

    played(scene)


@pytest.fixture
def silent() -> Iterator[socket.socket]:
    """A server that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server


def test_others_are_served_while_an_engine_of_before_does_not_answer(
    played, silent: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tenantry.adapters.vectors.engine.CALL_DEADLINE_S", 0.2)
    monkeypatch.setattr("tenantry.adapters.vectors.engine.CLOSE_DEADLINE_S", 0.2)
    opened: list[str] = []

    async def unresponsive() -> opensearch.OpenSearch:
        opened.append("opensearch")
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        return opensearch.OpenSearch(await asyncio.to_thread(opensearch.connect, url))

    async def scene(deployment: Deployment) -> None:
        at, who = deployment.at, deployment.at.anna
        await PostgresVectorRooms(at.world.work).opened(who.tenant_id, "opensearch")
        deps = deployment.knowledge(pgvector=deployment.pgvector, opensearch=unresponsive)
        page = await documents.list_documents(deps, who)
        longest_s = 0.0

        async def serve_bert() -> None:
            nonlocal longest_s
            while True:
                before = asyncio.get_running_loop().time()
                assert len((await documents.list_documents(deps, at.bert)).documents) == 2
                await asyncio.sleep(0)
                longest_s = max(longest_s, asyncio.get_running_loop().time() - before)

        serving = asyncio.create_task(serve_bert())
        for document in page.documents:
            await documents.delete_document(deps, who, document.id)
        await deployment.made[-1].close()
        await asyncio.sleep(0.1)
        assert not serving.done()
        serving.cancel()
        silent.close()  # and with it every call that hangs
        assert longest_s < CALL_TIMEOUT_S / 2, "the loop stood still for a call"
        assert opened == ["opensearch"], "one a process"
        assert (await deployment.rows(who), await deployment.rows(at.bert)) == (0, 2)

    played(scene)


def test_settings_that_name_another_engine_reach_the_one_of_before(database, tmp_path) -> None:
    """pgvector, then sealed partitions, as the composition root puts them together."""
    config = Settings(home=tmp_path)
    (tmp_path / "control").mkdir()
    (tmp_path / "control" / "database-secret").write_bytes(engines.SECRET)

    async def run() -> None:
        await engines.prepare(database)
        async with (
            ground(database, tmp_path, texts=()) as at,
            contextlib.AsyncExitStack() as stack,
        ):
            deps, who = at.knowledge, at.anna
            parts = VectorParts(
                at.world.work, deps.manifest, deps.keys, deps.sealer, deps.clock, deps.objects
            )
            before = dataclasses.replace(config, vectors="pgvector")
            first, now = [
                dataclasses.replace(
                    deps, vectors=await vectors_of(each, database.dsn, parts, stack)
                )
                for each in (before, config)
            ]
            gone = await at.upload(who, "apples", first)
            await at.upload(at.bert, "pears", first)
            deployment = Deployment(at, database, first)
            assert (await deployment.rows(who), await deployment.rows(at.bert)) == (1, 1)
            await documents.delete_document(now, who, gone)
            assert (await deployment.rows(who), await deployment.rows(at.bert)) == (0, 1)
            await now.vectors.drop(at.home(at.bert))
            assert await deployment.rows(at.bert) == 0
            assert await deployment.rooms(at.bert) == [VectorRoom("pgvector", "emptied")]

    asyncio.run(run())
