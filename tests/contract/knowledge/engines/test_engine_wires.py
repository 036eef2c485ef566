"""What goes over the wire to engines of others, and what a broken or misrouted server comes to."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import re
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from tests.support import engines, pinecone_stand_in, weaviate_stand_in
from tests.support import knowledge as support
from tests.support.engines import Scene
from tests.support.opensearch_stand_in import OpenSearchStandIn, opensearch_stand_in
from tests.support.pinecone_stand_in import PineconeStandIn
from tests.support.weaviate_stand_in import WeaviateStandIn
from weaviate.exceptions import WeaviateQueryError

from tenantry.adapters.vectors import opensearch, pinecone, weaviate
from tenantry.adapters.vectors.engine import Blocking, Row, RowId
from tenantry.domain.document import Home
from tenantry.domain.errors import Conflict, Corrupt, TooLarge, Unavailable
from tenantry.domain.ids import SegmentId
from tenantry.ports.vectors import Query

WORDS = ("secret", "Title", "doc_1", "text/plain", "salary")


def on_opensearch(root: Path, scene: Callable[[Scene, OpenSearchStandIn], Awaitable[None]]) -> None:
    with opensearch_stand_in() as server:

        async def main() -> None:
            opener = lambda: engines.opensearch_at(server.url)  # noqa: E731
            async with engines.scene_of(root, opener) as world:
                await world.add(world.anna, "doc_1", "the secret of anna", access={"salary"})
                await world.add(world.bert, "doc_1", "the secret of bert", access={"salary"})
                await scene(world, server)

        asyncio.run(main())


def on_pinecone(root: Path, scene: Callable[[Scene, PineconeStandIn], Awaitable[None]]) -> None:
    with pinecone_stand_in.pinecone_stand_in() as server:

        async def main() -> None:
            opener = lambda: engines.pinecone_at(server.url)  # noqa: E731
            async with engines.scene_of(root, opener) as world:
                await world.add(world.anna, "doc_1", "the secret of anna", access={"salary"})
                await world.add(world.bert, "doc_1", "the secret of bert", access={"salary"})
                await scene(world, server)

        asyncio.run(main())


def on_weaviate(root: Path, scene: Callable[[Scene, WeaviateStandIn], Awaitable[None]]) -> None:
    with weaviate_stand_in.weaviate_stand_in() as server:

        async def main() -> None:
            opener = lambda: engines.weaviate_at(server.url, server.grpc_url)  # noqa: E731
            async with engines.scene_of(root, opener) as world:
                await world.add(world.anna, "doc_1", "the secret of anna", access={"salary"})
                await world.add(world.bert, "doc_1", "the secret of bert", access={"salary"})
                await scene(world, server)

        asyncio.run(main())


def test_opensearch_holds_vectors_and_ids_and_nothing_to_read(tmp_path) -> None:
    async def scene(world: Scene, server: OpenSearchStandIn) -> None:
        assert set(server.indexes) == {
            f"tenantry-passages-{home.tenant_id}" for home in (world.anna, world.bert)
        }
        for index in server.indexes.values():
            (row,) = index.rows.values()
            vector = f"vector_{support.DIMENSIONS}"
            assert set(row) == {"tenant", "segment", "dimensions", "sealed", vector}
            assert not [word for word in WORDS if word in json.dumps(row)]
        addressed = {line.split()[1].split("/")[1] for line in server.requests}
        for home in (world.anna, world.bert):
            addressed -= {f"tenantry-{home.tenant_id}", f"tenantry-passages-{home.tenant_id}"}
        assert addressed == set(), "nothing but one tenant's alias or index is ever named"

    on_opensearch(tmp_path, scene)


def test_pinecone_holds_vectors_and_ids_and_nothing_to_read(tmp_path) -> None:
    async def scene(world: Scene, server: PineconeStandIn) -> None:
        assert set(server.namespaces) == {world.anna.tenant_id, world.bert.tenant_id}
        for records in server.namespaces.values():
            ((row_id, record),) = records.items()
            assert set(record.metadata) == {"segment", "sealed"}
            assert re.fullmatch(r"0_pinecone_[0-9a-z]{26}", row_id)
            assert not [word for word in WORDS if word in row_id + json.dumps(record.metadata)]

    on_pinecone(tmp_path, scene)


def test_weaviate_holds_vectors_and_ids_and_nothing_to_read(tmp_path) -> None:
    async def scene(world: Scene, server: WeaviateStandIn) -> None:
        tenants = {world.anna.tenant_id, world.bert.tenant_id}
        (collection,) = server.collections.values()
        assert set(collection.tenants) == tenants
        assert server.named == tenants
        for rows in collection.tenants.values():
            (row,) = rows.values()
            assert set(row.properties) == {"row", "segment", "sealed"}
        assert not [word for word in WORDS if word in weaviate_stand_in.readable(server)]
        assert collection.schema["multiTenancyConfig"]["enabled"]

    on_weaviate(tmp_path, scene)


def test_a_weaviate_that_answers_from_every_tenant_is_not_believed(tmp_path) -> None:
    async def scene(world: Scene, server: WeaviateStandIn) -> None:
        server.misrouted = True
        with pytest.raises(Corrupt):
            await world.found(world.anna, "the secret of bert")
        server.misrouted = False
        (collection,) = server.collections.values()
        own = collection.tenants[world.anna.tenant_id]
        (theirs,) = collection.tenants[world.bert.tenant_id].values()
        (name,) = own
        own[name].properties["sealed"] = theirs.properties["sealed"]
        with pytest.raises(Corrupt):
            await world.found(world.anna, "secret")
        own[name].properties["row"] = theirs.properties["row"]
        with pytest.raises(Corrupt):
            await world.found(world.anna, "secret")

    on_weaviate(tmp_path, scene)


def test_weaviate_refuses_who_names_no_tenant(tmp_path) -> None:
    async def scene(world: Scene, server: WeaviateStandIn) -> None:
        client = weaviate.connect(server.url, server.grpc_url, weaviate_stand_in.API_KEY)
        client.connect()
        collection = client.collections.get(f"Tenantry_{support.DIMENSIONS}")
        for whole in (collection, collection.with_tenant("tnt_nobody")):
            with pytest.raises(WeaviateQueryError):
                whole.query.near_vector(near_vector=support.vector_of("secret"), limit=9)
        client.close()

    on_weaviate(tmp_path, scene)


def test_weaviate_that_refuses_is_unavailable_and_then_usable_again(tmp_path) -> None:
    async def scene(world: Scene, server: WeaviateStandIn) -> None:
        server.broken = True
        with pytest.raises(Unavailable):
            await world.found(world.anna, "secret")
        server.broken = False
        assert await world.found(world.anna, "secret") == ["the secret of anna"]
        stranger = world.over(
            weaviate.Weaviate(weaviate.connect(server.url, server.grpc_url, "another key"))
        )
        with pytest.raises(Unavailable):
            await stranger.search(
                world.anna, support.MODEL, Query(support.vector_of("x")), 1, engines.anyone
            )
        await stranger.close()

    on_weaviate(tmp_path, scene)


def test_weaviate_deletes_large_documents_in_rounds(tmp_path) -> None:
    async def scene(world: Scene, server: WeaviateStandIn) -> None:
        await world.add(world.anna, "doc_2", *[f"pears {n}" for n in range(8)])
        (collection,) = server.collections.values()
        assert len(collection.tenants[world.anna.tenant_id]) == 9
        await world.vectors.remove(world.anna, "doc_2")
        assert len(collection.tenants[world.anna.tenant_id]) == 1

    on_weaviate(tmp_path, scene)


def test_a_client_that_repeats_itself_is_not_waited_for_without_end(monkeypatch) -> None:
    monkeypatch.setattr("tenantry.adapters.vectors.engine.CALL_DEADLINE_S", 0.05)

    async def main() -> None:
        blocking, ended = Blocking("slow"), threading.Event()
        with pytest.raises(Unavailable):
            await blocking.run(ended.wait)
        ended.set()
        await blocking.close(lambda: None)

    asyncio.run(main())


def test_an_opensearch_that_answers_from_every_index_is_not_believed(tmp_path) -> None:
    async def scene(world: Scene, server: OpenSearchStandIn) -> None:
        server.misrouted = True
        with pytest.raises(Corrupt):
            await world.found(world.anna, "the secret of bert")
        (theirs,) = server.indexes[f"tenantry-passages-{world.bert.tenant_id}"].rows.values()
        own = server.indexes[f"tenantry-passages-{world.anna.tenant_id}"]
        server.misrouted = False
        (name,) = own.rows
        own.rows[name] = {**theirs, "tenant": world.anna.tenant_id}  # copied with a plausible label
        with pytest.raises(Corrupt):
            await world.found(world.anna, "the secret of bert")

    on_opensearch(tmp_path, scene)


def test_a_pinecone_that_answers_from_every_namespace_is_not_believed(tmp_path) -> None:
    async def scene(world: Scene, server: PineconeStandIn) -> None:
        server.misrouted = True
        with pytest.raises(Corrupt):
            await world.found(world.anna, "the secret of bert")

    on_pinecone(tmp_path, scene)


@pytest.mark.parametrize("broken", ["shard", "slow", "500"])
def test_a_part_of_opensearch_s_answer_is_no_answer(tmp_path, broken: str) -> None:
    async def scene(world: Scene, server: OpenSearchStandIn) -> None:
        server.broken = broken
        with pytest.raises(Unavailable):
            await world.found(world.anna, "secret")
        server.broken = ""
        assert await world.found(world.anna, "secret") == ["the secret of anna"]

    on_opensearch(tmp_path, scene)


def test_pinecone_that_refuses_is_unavailable(tmp_path) -> None:
    async def scene(world: Scene, server: PineconeStandIn) -> None:
        for status in (400, 401, 403, 404):
            server.broken = status
            with pytest.raises(Unavailable):
                await world.found(world.anna, "secret")

    on_pinecone(tmp_path, scene)


def test_opensearch_makes_no_index_of_its_own_where_one_was_dropped(tmp_path) -> None:
    async def scene(world: Scene, server: OpenSearchStandIn) -> None:
        engine = await world.open_engine()
        room = engine.room(world.anna)
        segment = SegmentId("opensearch_" + "0" * 26)
        await room.put([Row(RowId(segment, 0), [1.0, 0.0], b"x")])
        server.indexes.clear()
        with pytest.raises(Unavailable):
            await room.put([Row(RowId(segment, 1), [1.0, 0.0], b"x")])
        assert server.indexes == {}
        await engine.close()

    on_opensearch(tmp_path, scene)


def test_segments_are_listed_page_by_page(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("tenantry.adapters.vectors.opensearch._PAGE", 2)

    async def scene(world: Scene, server: object) -> None:
        for number in range(2, 9):
            await world.add(world.anna, f"doc_{number}", f"apples {number}")
        engine = await world.open_engine()
        stored = await engine.room(world.anna).segments()
        named = await world.manifest.partition(world.anna.tenant_id)
        assert sorted(stored) == sorted(row.id for row in named.segments)
        await engine.close()

    on_opensearch(tmp_path / "o", scene)
    on_pinecone(tmp_path / "p", scene)


def test_pinecone_of_another_length_or_metric_is_a_conflict(tmp_path) -> None:
    async def scene(world: Scene, server: PineconeStandIn) -> None:
        await world.insert(world.anna, "doc_2")
        fresh = support.embedded("doc_2", ["pears"])
        for wrong in ({"dimension": 99}, {"metric": "euclidean"}):
            for name, value in wrong.items():
                before = getattr(server, name)
                setattr(server, name, value)
                with pytest.raises(Conflict):
                    await world.vectors.publish(world.anna, fresh)
                setattr(server, name, before)
        assert await world.vectors.publish(world.anna, fresh)

    on_pinecone(tmp_path, scene)


def test_a_pinecone_that_tells_no_positions_is_asked_until_it_shows_all(tmp_path) -> None:
    async def scene(world: Scene, server: PineconeStandIn) -> None:
        server.tells_positions = False
        await world.add(world.anna, "doc_2", *[f"pears {n}" for n in range(70)])
        assert len(await world.hits(world.anna, "pears 9", 50)) == 50

    on_pinecone(tmp_path, scene)


def test_a_pinecone_that_indexes_nothing_is_not_waited_for_without_end(
    tmp_path, monkeypatch
) -> None:
    monkeypatch.setattr("tenantry.adapters.vectors.pinecone.SETTLE_TIMEOUT_S", 0.1)
    monkeypatch.setattr("tests.support.pinecone_stand_in.LAG_QUERIES", 10**9)

    async def scene(world: Scene, server: PineconeStandIn) -> None:
        raise AssertionError("nothing was published before it")

    with pytest.raises(Unavailable):
        on_pinecone(tmp_path, scene)


def test_pinecone_gets_requests_and_metadata_of_bounded_size(tmp_path) -> None:
    async def scene(world: Scene, server: PineconeStandIn) -> None:
        large = {f"key{n}": "x" * 1_000 for n in range(20)}
        await world.add(world.anna, "doc_2", *["y" * 1_000] * 70, metadata=large)
        await world.insert(world.anna, "doc_3")
        larger = support.embedded(
            "doc_3", ["z"], metadata={f"key{n}": "x" * 1_024 for n in range(32)}
        )
        with pytest.raises(TooLarge):
            await world.vectors.publish(world.anna, larger)

    on_pinecone(tmp_path, scene)


@pytest.mark.parametrize(
    "tenant",
    ["", "*", "a,b", "tnt_a*", "_all", "-x", "A", "a/b", "../a", "__default__", "é", "a\n"],
)
def test_an_id_that_could_mean_more_than_one_tenant_makes_no_room(tmp_path, tenant: str) -> None:
    home = dataclasses.replace(support.home(support.tenant("tnt_a")), tenant_id=tenant)
    assert isinstance(home, Home)
    for engine in (
        opensearch.OpenSearch(opensearch.connect("http://127.0.0.1:1")),
        pinecone.Pinecone(pinecone.connect("http://127.0.0.1:1", "key")),
        weaviate.Weaviate(weaviate.connect("http://127.0.0.1:1", "http://127.0.0.1:2", "key")),
    ):
        with pytest.raises(Unavailable):
            engine.room(home)
        asyncio.run(engine.close())
