"""What every vector engine does: sealed partitions of our own, and each engine of others."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from tests.support import knowledge as support
from tests.support.engines import ENGINES, EXACT, Scene, anyone, ids

from tenantry.domain.chunk import Passage
from tenantry.domain.document import Card, PageCount
from tenantry.domain.errors import Conflict, Unavailable
from tenantry.domain.ids import DocumentId
from tenantry.domain.space import Space
from tenantry.ports.vectors import Query

pytestmark = pytest.mark.parametrize("engine", ENGINES)


def test_nothing_of_one_tenant_is_found_by_the_other(played) -> None:
    async def scene(world: Scene) -> None:
        await world.add(world.anna, "doc_1", "apples are red", "pears are green")
        await world.add(world.bert, "doc_2", "the secret of bert", metadata={"kind": "secret"})
        for top_k in (1, 2, 50):
            assert "the secret of bert" not in await world.found(
                world.anna, "the secret of bert", top_k
            )
        asked: list[Card] = []
        hits = await world.hits(
            world.anna, "the secret of bert", 50, lambda card: bool(asked.append(card)) or True
        )
        assert {hit.document_id for hit in hits} == {"doc_1"}
        assert {card.title for card in asked} == {"Title of doc_1"}  # no card is even looked at
        assert await world.hits(world.anna, "x", 5, lambda card: bool(card.metadata)) == []
        assert set(await world.vectors.cards(world.anna, ids("doc_1", "doc_2"))) == {"doc_1"}
        assert await world.vectors.remove(world.anna, "doc_2") is None
        assert await world.found(world.bert, "secret") == ["the secret of bert"]

    played(scene)


def test_a_tenant_without_documents_finds_nothing(played) -> None:
    async def scene(world: Scene) -> None:
        await world.add(world.bert, "doc_1", "apples")
        assert await world.found(world.anna, "apples") == []
        assert await world.vectors.cards(world.anna, ids("doc_1")) == {}
        await world.insert(world.anna, "doc_1")
        assert await world.found(world.anna, "apples") == []
        assert await world.vectors.sweep(world.anna, 0.0) == 0
        await world.vectors.drop(world.anna)
        assert await world.found(world.bert, "apples") == ["apples"]

    played(scene)


def test_both_tenants_may_have_documents_of_the_same_id(played) -> None:
    async def scene(world: Scene) -> None:
        await world.add(world.anna, "doc_1", "apples of anna")
        await world.add(world.bert, "doc_1", "apples of bert")
        assert await world.found(world.anna, "apples") == ["apples of anna"]
        assert await world.found(world.bert, "apples") == ["apples of bert"]
        assert await world.vectors.remove(world.anna, "doc_1") is not None
        assert await world.found(world.anna, "apples") == []
        assert await world.found(world.bert, "apples") == ["apples of bert"]

    played(scene)


def test_a_hit_says_where_it_stands(played) -> None:
    async def scene(world: Scene) -> None:
        metadata = {"year": 2026, "tags": ("a", "b"), "draft": False, "weight": 0.5}
        await world.add(
            world.anna, "doc_1", "über alles", "pears grow", metadata=metadata, file_name="a.txt"
        )
        (hit,) = await world.hits(world.anna, "pears grow", 1)
        assert hit.score == pytest.approx(1.0, abs=1e-3)
        whole = Passage("doc_1", "Title of doc_1", "pears grow", hit.score, 11, 21, metadata)
        assert hit == whole
        card = (await world.vectors.cards(world.anna, ids("doc_1")))["doc_1"]
        assert (card.metadata, card.file_name) == (metadata, "a.txt")

    played(scene)


def test_removed_is_gone_and_a_replacement_is_found(played) -> None:
    async def scene(world: Scene) -> None:
        await world.add(world.anna, "doc_1", "apples are red")
        await world.add(world.anna, "doc_2", "apples are ripe")
        assert (await world.vectors.remove(world.anna, "doc_1")).id == "doc_1"
        assert await world.vectors.remove(world.anna, "doc_1") is None
        assert await world.found(world.anna, "apples") == ["apples are ripe"]
        assert set(await world.vectors.cards(world.anna, ids("doc_1", "doc_2"))) == {"doc_2"}
        await world.add(world.anna, "doc_1", "apples are sour")
        assert set(await world.found(world.anna, "apples")) == {
            "apples are ripe",
            "apples are sour",
        }

    played(scene)


def test_the_manifest_is_told_a_document_s_pages(played) -> None:
    async def scene(world: Scene) -> None:
        pages = PageCount(6, 5)
        for home, told in ((world.anna, pages), (world.bert, None)):
            await world.insert(home, "doc_1")
            document = dataclasses.replace(support.embedded("doc_1", ["apples"]), pages=told)
            assert await world.vectors.publish(home, document)
        assert (await world.manifest.document(world.anna.tenant_id, "doc_1")).pages == pages
        assert (await world.manifest.document(world.bert.tenant_id, "doc_1")).pages is None

    played(scene)


def test_a_document_that_is_gone_meanwhile_is_not_published(played) -> None:
    async def scene(world: Scene) -> None:
        await world.add(world.anna, "doc_1", "apples")
        assert not await world.vectors.publish(world.anna, support.embedded("doc_2", ["pears"]))
        assert await world.found(world.anna, "pears", 9) == ["apples"]
        assert await world.vectors.sweep(world.anna, 0.0) == 0, "its rows are gone already"

    played(scene)


def test_what_is_removed_in_the_manifest_alone_is_not_found(played) -> None:
    async def scene(world: Scene) -> None:
        for number in range(3):
            await world.add(world.anna, f"doc_{number}", f"apples {number}", f"pears {number}")
        await world.manifest.remove(world.anna.tenant_id, "doc_1")
        for top_k in (1, 4, 50):
            hits = await world.hits(world.anna, "apples 1", top_k)
            assert len(hits) == min(top_k, 4)
            assert all(hit.document_id != "doc_1" for hit in hits)
        assert "doc_1" not in await world.vectors.cards(world.anna, ids("doc_0", "doc_1"))

    played(scene)


def test_few_that_may_be_seen_are_found_among_many_that_may_not(played) -> None:
    async def scene(world: Scene) -> None:
        closed = [f"apples {number}" for number in range(70)]
        await world.add(world.anna, "doc_hr", *closed[:40], access=frozenset({"hr"}))
        await world.add(world.anna, "doc_law", *closed[40:], access=frozenset({"law"}))
        await world.add(world.anna, "doc_open", "stones")
        await world.add(world.anna, "doc_far", "wholly other")
        hits = await world.hits(world.anna, "apples 7", 2, lambda card: not card.access)
        assert {hit.document_id for hit in hits} == {"doc_open", "doc_far"}
        hits = await world.hits(world.anna, "apples 7", 3, lambda card: "law" in card.access)
        assert [hit.document_id for hit in hits] == ["doc_law"] * 3
        assert await world.hits(world.anna, "apples 7", 3, lambda card: False) == []

    played(scene)


def test_another_model_or_length_is_refused_not_compared(played) -> None:
    async def scene(world: Scene) -> None:
        await world.add(world.anna, "doc_1", "apples")
        vector = support.vector_of("apples")
        for model, query in (("another", vector), (support.MODEL, [1.0, 2.0])):
            with pytest.raises(Conflict):
                await world.vectors.search(world.anna, model, Query(query), 1, anyone)
        await world.insert(world.anna, "doc_2")
        fresh = support.embedded("doc_2", ["pears"])
        for other in (
            dataclasses.replace(fresh, model="another"),
            dataclasses.replace(fresh, vectors=[[1.0, 2.0]]),
        ):
            with pytest.raises(Conflict):
                await world.vectors.publish(world.anna, other)
        assert await world.found(world.anna, "apples") == ["apples"]
        assert await world.vectors.sweep(world.anna, 0.0) == 0

    played(scene)


def test_vectors_that_are_read_back_are_those_that_were_published(played, engine: str) -> None:
    async def scene(world: Scene) -> None:
        texts = [f"passage {n} of apples" for n in range(300)]
        document = support.embedded("doc_1", texts)
        scaled = [[3.7 * x for x in vector] for vector in document.vectors]
        await world.add(world.anna, "doc_1", document=dataclasses.replace(document, vectors=scaled))
        await world.add(world.bert, "doc_1", "passage 7 of apples", "of bert")
        read, space = world.vectors.vectors_of, Space(support.MODEL, support.DIMENSIONS)
        wanted = frozenset([*texts[:290], "of bert", "of nobody"])
        found = await read(world.anna, space, DocumentId("doc_1"), wanted)
        if engine != "sealed":
            assert found == {}, "they are embedded anew"
            return
        assert found.keys() == frozenset(texts[:290])
        assert await read(world.anna, space, DocumentId("doc_2"), wanted) == {}
        assert set(await read(world.bert, space, DocumentId("doc_1"), wanted)) == {
            "passage 7 of apples",
            "of bert",
        }
        for other in (Space("another", space.dimensions), Space(space.model, 2)):
            with pytest.raises(Conflict):
                await read(world.anna, other, DocumentId("doc_1"), wanted)
        before = await world.hits(world.anna, "passage 9", 300)
        again = support.embedded("doc_2", texts[:290])
        vectors = [found[text] for text in texts[:290]]
        await world.add(world.anna, "doc_2", document=dataclasses.replace(again, vectors=vectors))
        await world.vectors.remove(world.anna, DocumentId("doc_1"))
        after = {hit.text: hit.score for hit in await world.hits(world.anna, "passage 9", 300)}
        assert after == {hit.text: hit.score for hit in before if hit.text in after}
        assert len(after) == 290
        assert await read(world.anna, space, DocumentId("doc_1"), wanted) == {}

    played(scene)


def test_vectors_of_no_use_are_refused_and_leave_nothing(played) -> None:
    async def scene(world: Scene) -> None:
        await world.insert(world.anna, "doc_1")
        fresh = support.embedded("doc_1", ["apples", "pears"])
        whole = fresh.vectors[0]
        for vectors in (
            [],
            [whole],
            [whole, [0.0] * len(whole)],
            [whole, [float("nan")] * len(whole)],
            [whole, whole[:-1]],
        ):
            with pytest.raises(ValueError):
                await world.vectors.publish(world.anna, dataclasses.replace(fresh, vectors=vectors))
        assert await world.found(world.anna, "apples") == []
        assert await world.vectors.publish(world.anna, fresh)
        for query in ([0.0] * len(whole), [float("inf")] * len(whole), []):
            with pytest.raises(ValueError):
                await world.vectors.search(world.anna, support.MODEL, Query(query), 1, anyone)

    played(scene)


def test_the_best_are_the_best(played, engine: str) -> None:
    async def scene(world: Scene) -> None:
        rng = np.random.default_rng(7)
        centre = rng.standard_normal(support.DIMENSIONS)
        noise = rng.standard_normal((300, support.DIMENSIONS))
        vectors = (centre + 0.3 * noise).astype(np.float32)
        document = dataclasses.replace(
            support.embedded("doc_1", [f"passage {n}" for n in range(300)]),
            vectors=vectors.tolist(),
        )
        await world.add(world.anna, "doc_1", document=document)
        unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
        recalled = 0
        for _ in range(8):
            query = centre + 0.3 * rng.standard_normal(support.DIMENSIONS)
            truth = np.argsort(unit @ (query / np.linalg.norm(query)))[::-1][:10]
            hits = await world.vectors.search(
                world.anna, support.MODEL, Query(query.tolist()), 10, anyone
            )
            assert [hit.score for hit in hits] == sorted((h.score for h in hits), reverse=True)
            recalled += len({hit.text for hit in hits} & {f"passage {n}" for n in truth})
        assert recalled >= (79 if engine in EXACT else 70)  # 16 bits may swap two equals

    played(scene)


def test_a_dropped_tenant_is_missed_and_no_other_is_touched(played) -> None:
    async def scene(world: Scene) -> None:
        await world.add(world.anna, "doc_1", "apples of anna")
        await world.add(world.bert, "doc_1", "apples of bert")
        await world.vectors.drop(world.anna)
        await world.vectors.drop(world.anna)
        with pytest.raises(Unavailable):  # the manifest names what is not there: never "nothing"
            await world.found(world.anna, "apples")
        with pytest.raises(Unavailable):
            await world.vectors.cards(world.anna, ids("doc_1"))
        assert await world.found(world.bert, "apples") == ["apples of bert"]
        await world.vectors.remove(world.anna, "doc_1")
        await world.add(world.anna, "doc_2", "apples anew")
        assert await world.found(world.anna, "apples") == ["apples anew"]

    played(scene)


def test_a_version_is_found_once_it_is_published_and_the_one_before_never_after(played) -> None:
    async def scene(world: Scene) -> None:
        await world.add(world.anna, "doc_1", "apples are red", "pears are green")
        await world.add(world.anna, "doc_2", "apples of another")
        await world.add(world.bert, "doc_1", "apples of bert")
        version = dataclasses.replace(support.row("doc_3"), replaces="doc_1")
        await world.manifest.insert(world.anna.tenant_id, version, support.UNLIMITED, 60.0)
        before = {"apples are red", "pears are green", "apples of another"}
        assert set(await world.found(world.anna, "apples")) == before
        document = dataclasses.replace(
            support.embedded("doc_1", ["plums are blue"], title="New"),
            original_id=version.original_id,
        )
        assert await world.vectors.publish(world.anna, document)
        after = {"plums are blue", "apples of another"}
        assert set(await world.found(world.anna, "apples")) == after
        assert (await world.vectors.cards(world.anna, ids("doc_1")))["doc_1"].title == "New"
        assert not await world.vectors.publish(world.anna, document), "it is published"
        assert set(await world.found(world.anna, "apples")) == after
        assert await world.found(world.bert, "apples") == ["apples of bert"]
        assert world.vectors.pinned("m").endswith("m")

    played(scene)
