"""Engines of others that are down, lie, lose or are misrouted: refused, and never shown."""

from __future__ import annotations

import asyncio

import pytest
from tests.support import engine_faults as faults
from tests.support import knowledge as support
from tests.support.engines import OUTSIDE, Scene, anyone, ids

from tenantry.adapters.vectors.engine import SEGMENTS_PER_CALL
from tenantry.domain.errors import Conflict, Corrupt, NotFound, Unavailable
from tenantry.ports.vectors import Query, Vectors

pytestmark = pytest.mark.parametrize("engine", OUTSIDE)


async def searched(vectors: Vectors, home: object, text: str, top_k: int = 5) -> list[str]:
    query = Query(support.vector_of(text), text)
    hits = await vectors.search(home, support.MODEL, query, top_k, anyone)
    return [hit.text for hit in hits]


def test_another_tenant_s_rows_do_not_open_whoever_returns_them(played) -> None:
    async def scene(world: Scene) -> None:
        await world.add(world.anna, "doc_1", "apples of anna")
        await world.add(world.bert, "doc_1", "the secret of bert")
        misrouted = world.over(faults.Misrouted(await world.open_engine(), world.bert))
        with pytest.raises(Corrupt):
            await searched(misrouted, world.anna, "the secret of bert")
        await misrouted.close()
        assert await world.found(world.anna, "secret") == ["apples of anna"]

    played(scene)


def test_a_passage_under_another_row_s_id_does_not_open(played) -> None:
    async def scene(world: Scene) -> None:
        await world.add(world.anna, "doc_1", "apples", "pears")
        swapping = world.over(faults.Swapping(await world.open_engine()))
        with pytest.raises(Corrupt):
            await searched(swapping, world.anna, "apples")
        await swapping.close()

    played(scene)


def test_an_engine_that_has_lost_rows_gives_no_shorter_answer(played) -> None:
    async def scene(world: Scene) -> None:
        await world.add(world.anna, "doc_1", "apples")
        await world.add(world.anna, "doc_2", "pears")
        (segment,) = (await world.manifest.live(world.anna.tenant_id, (), ["doc_1"])).documents
        engine = await world.open_engine()
        room = engine.room(world.anna)
        await room.delete([segment])
        if engine.exact:
            with pytest.raises(Unavailable):
                await world.found(world.anna, "apples")
        with pytest.raises(Unavailable):
            await world.vectors.cards(world.anna, ids("doc_1", "doc_2"))
        await room.drop()
        with pytest.raises(Unavailable):
            await world.found(world.anna, "apples")
        await engine.close()

    played(scene)


def test_killed_between_rows_and_commit_leaves_orphans_that_nobody_finds(played) -> None:
    async def scene(world: Scene) -> None:
        await world.add(world.anna, "doc_1", "apples are red")
        await world.insert(world.anna, "doc_2")
        document = support.embedded("doc_2", ["apples are ripe", "apples are sour"])
        dying = world.over(await world.open_engine(), faults.DyingManifest(world.manifest))
        with pytest.raises(faults.Killed):
            await dying.publish(world.anna, document)
        await dying.close()
        for top_k in (1, 50):
            assert await world.found(world.anna, "apples are ripe", top_k) == ["apples are red"]
        assert await world.vectors.cards(world.anna, ids("doc_2")) == {}
        # Whoever takes the document over writes rows of its own.
        assert await world.vectors.publish(world.anna, document)
        assert len(await world.found(world.anna, "apples")) == 3
        assert await world.vectors.sweep(world.anna, 3_600.0) == 0, "too young to be an orphan"
        assert await world.vectors.sweep(world.anna, 0.0) == 1
        assert await world.vectors.sweep(world.anna, 0.0) == 0
        assert len(await world.found(world.anna, "apples")) == 3

    played(scene)


def test_orphans_in_front_of_everything_hide_nothing(played) -> None:
    async def scene(world: Scene) -> None:
        await world.add(world.anna, "doc_1", "apples grow on old trees", "stones")
        await world.insert(world.anna, "doc_2")
        dying = world.over(await world.open_engine(), faults.DyingManifest(world.manifest))
        with pytest.raises(faults.Killed):
            await dying.publish(world.anna, support.embedded("doc_2", ["apples"] * 70))
        await dying.close()
        assert await world.found(world.anna, "apples", 1) == ["apples grow on old trees"]
        assert len(await world.found(world.anna, "apples", 5)) == 2

    played(scene)


def test_what_an_engine_does_not_delete_is_not_found_and_is_swept(played) -> None:
    async def scene(world: Scene) -> None:
        undeleting = faults.Undeleting(await world.open_engine())
        vectors = world.over(undeleting)
        await world.add(world.anna, "doc_1", "apples")
        await world.add(world.anna, "doc_2", "pears")
        assert await vectors.remove(world.anna, "doc_1") is not None
        assert await world.found(world.anna, "apples") == ["pears"]
        undeleting.refuses = False
        assert await vectors.sweep(world.anna, 0.0) == 1
        await vectors.close()

    played(scene)


def test_what_is_published_during_a_search_is_no_loss(played) -> None:
    async def scene(world: Scene) -> None:
        await world.add(world.anna, "doc_1", "apples")

        async def meanwhile() -> None:
            await world.add(world.anna, "doc_2", "apples too")

        vectors = world.over(faults.Publishing(await world.open_engine(), meanwhile))
        assert "apples" in await searched(vectors, world.anna, "apples")
        await vectors.close()

    played(scene)


def test_two_processes_see_each_other_s_changes_at_once(played) -> None:
    async def scene(world: Scene) -> None:
        there = world.over(await world.open_engine())
        await world.add(world.anna, "doc_1", "apples are red")
        assert await searched(there, world.anna, "apples") == ["apples are red"]
        await world.insert(world.anna, "doc_2")
        assert await there.publish(world.anna, support.embedded("doc_2", ["apples are ripe"]))
        assert len(await world.found(world.anna, "apples")) == 2
        await world.vectors.remove(world.anna, "doc_1")
        assert await searched(there, world.anna, "apples") == ["apples are ripe"]
        await world.vectors.drop(world.anna)
        await there.remove(world.anna, "doc_2")
        await world.insert(world.anna, "doc_3")
        assert await there.publish(world.anna, support.embedded("doc_3", ["apples are sour"]))
        assert await world.found(world.anna, "apples") == ["apples are sour"]
        await there.close()

    played(scene)


def test_documents_of_one_engine_are_refused_in_another_not_missed(played) -> None:
    async def scene(world: Scene) -> None:
        sealed = support.partitions(world.own, world.manifest)
        await world.add(world.anna, "doc_1", "apples")
        with pytest.raises(Conflict):
            await searched(sealed, world.anna, "apples")
        assert await sealed.cards(world.anna, ids("doc_1")) == {}
        await world.insert(world.anna, "doc_4")
        with pytest.raises(Conflict):
            await sealed.publish(world.anna, support.embedded("doc_4", ["plums"]))
        await world.insert(world.bert, "doc_2")
        assert await sealed.publish(world.bert, support.embedded("doc_2", ["pears"]))
        with pytest.raises(Conflict):
            await world.found(world.bert, "pears")
        await world.insert(world.bert, "doc_3")
        with pytest.raises(Conflict):
            await world.vectors.publish(world.bert, support.embedded("doc_3", ["plums"]))
        # Lists read the cards out of the originals then, and deletion works.
        assert await world.vectors.cards(world.bert, ids("doc_2")) == {}
        assert await world.vectors.remove(world.bert, "doc_2") is not None
        assert await world.vectors.publish(world.bert, support.embedded("doc_3", ["plums"]))
        assert await world.found(world.bert, "pears") == ["plums"]
        sealed.close()

    played(scene)


def test_many_documents_are_named_in_bounded_parts(played, monkeypatch) -> None:
    async def scene(world: Scene) -> None:
        asked: list[int] = []
        engine = await world.open_engine()
        vectors = world.over(engine)
        real = type(engine.room(world.anna)).search

        async def counted(self, vector, limit, segments=None):
            asked.append(len(segments or ()))
            return await real(self, vector, limit, segments)

        monkeypatch.setattr(type(engine.room(world.anna)), "search", counted)
        monkeypatch.setattr("tenantry.adapters.vectors.partitions.SEGMENTS_PER_CALL", 4)
        monkeypatch.setattr("tenantry.adapters.vectors.partitions.FIRST_HITS_MIN", 8)
        for number in range(16):
            await world.add(world.anna, f"doc_{number}", "apples", access=frozenset({"hr"}))
        for number in range(16, 26):
            await world.add(world.anna, f"doc_{number}", f"stones {number}")
        query = Query(support.vector_of("apples"))
        hits = await vectors.search(
            world.anna, support.MODEL, query, 4, lambda card: not card.access
        )
        assert len(hits) == 4
        assert all(hit.text.startswith("stones") for hit in hits)
        assert asked == [0, 4, 4, 2]
        assert SEGMENTS_PER_CALL >= 100
        await vectors.close()

    played(scene)


def test_an_engine_that_is_down_is_unavailable_and_never_empty(played, down) -> None:
    async def scene(world: Scene) -> None:
        await world.add(world.anna, "doc_1", "apples")
        await world.insert(world.anna, "doc_2")
        vectors = world.over(await down())
        with pytest.raises(Unavailable):
            await searched(vectors, world.anna, "apples")
        with pytest.raises(Unavailable):
            await vectors.cards(world.anna, ids("doc_1"))
        with pytest.raises(Unavailable):
            await vectors.publish(world.anna, support.embedded("doc_2", ["pears"]))
        for work in (vectors.drop(world.anna), vectors.sweep(world.anna, 0.0)):
            with pytest.raises(Unavailable):
                await work
        assert await vectors.remove(world.anna, "doc_1") is not None  # the manifest is what counts
        assert (
            await vectors.search(
                world.bert, support.MODEL, Query(support.vector_of("x")), 1, anyone
            )
            == []
        )  # without a document there is nothing to ask the engine
        await vectors.close()
        assert await world.found(world.anna, "apples") == []

    played(scene)


def test_open_cards_do_not_outlive_the_tenant_s_key(played, monkeypatch) -> None:
    async def scene(world: Scene) -> None:
        await world.add(world.anna, "doc_1", "apples")
        assert set(await world.vectors.cards(world.anna, ids("doc_1"))) == {"doc_1"}

        async def disabled(home: object) -> None:
            raise Unavailable("The KMS key is disabled.")

        monkeypatch.setattr(world.own.keys, "check", disabled)
        with pytest.raises(Unavailable):
            await world.vectors.cards(world.anna, ids("doc_1"))
        monkeypatch.undo()
        world.vectors.forget(world.anna.tenant_id)
        await world.own.keys.destroy(world.anna)
        with pytest.raises((NotFound, Unavailable)):
            await world.vectors.cards(world.anna, ids("doc_1"))
        with pytest.raises((NotFound, Unavailable)):
            await world.found(world.anna, "apples")

    played(scene)


def test_a_large_document_stays_claimed_while_it_is_written(played, monkeypatch) -> None:
    monkeypatch.setattr("tenantry.adapters.vectors.partitions.CLAIM_EVERY_S", 0.0)

    async def scene(world: Scene) -> None:
        kept: list[str] = []
        keep = world.manifest.keep

        async def noted(tenant_id: str, document_id: str, lease_s: float) -> bool:
            kept.append(document_id)
            return await keep(tenant_id, document_id, lease_s)

        monkeypatch.setattr(world.manifest, "keep", noted)
        await world.add(world.anna, "doc_1", *[f"apples {n}" for n in range(130)])
        assert kept == ["doc_1"] * 3
        assert len(await world.hits(world.anna, "apples 7", 50)) == 50

    played(scene)


def test_a_search_that_is_given_up_leaves_the_engine_usable(played) -> None:
    async def scene(world: Scene) -> None:
        await world.add(world.anna, "doc_1", "apples")
        for _ in range(5):
            task = asyncio.ensure_future(world.found(world.anna, "apples"))
            await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        assert await world.found(world.anna, "apples") == ["apples"]

    played(scene)
