"""Search by vector and words: exact over segments, deletions, tags and small caches."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from tests.support import knowledge as support

from tenantry.adapters.sealed.keyword_words import query_words, words_of
from tenantry.adapters.sealed.segment import from_document, merged
from tenantry.domain.access import Permission
from tenantry.domain.chunk import Passage
from tenantry.domain.document import Card
from tenantry.domain.envelope import Plane
from tenantry.domain.filter import filter_from
from tenantry.domain.fusion import bonus, damping, rarity, word_score
from tenantry.ports.vectors import Embedded, Query

A, B = support.tenant("tnt_a"), support.tenant("tnt_b")
HOME_A, HOME_B = support.home(A), support.home(B)
EVERYONE = Permission(frozenset())
VOCABULARY = [f"word{number}" for number in range(30)] + ["ORA-00942", "work_mem", "備份", "é"]


class World:
    """Two tenants' partitions on one disk, and what was published in clear."""

    def __init__(self, root: Path, **options: int) -> None:
        self.own = support.parts(root)
        self.manifest = support.MemoryManifest()
        self.partitions = support.partitions(self.own, self.manifest, **options)
        self.published: dict[str, Embedded] = {}

    async def __aenter__(self) -> World:
        await self.own.keys.create(HOME_A)
        await self.own.keys.create(HOME_B)
        return self

    async def __aexit__(self, *_: object) -> None:
        self.partitions.close()

    async def publish(self, home: object, document: Embedded) -> None:
        row = support.row(document.document_id)
        await self.manifest.insert(home.tenant_id, row, support.UNLIMITED, support.LEASE_S)
        assert await self.partitions.publish(home, document)
        self.published[document.document_id] = document

    async def remove(self, home: object, name: str) -> None:
        assert await self.partitions.remove(home, name) is not None
        del self.published[name]

    async def found(
        self,
        home: object,
        text: str,
        top_k: int = 5,
        permission: Permission = EVERYONE,
        vector: Sequence[float] | None = None,
    ) -> list[Passage]:
        near = support.vector_of(text) if vector is None else vector
        asked = Query(near, text)
        return list(await self.partitions.search(home, support.MODEL, asked, top_k, permission))


def brute_force(
    documents: Sequence[Embedded], text: str, vector: Sequence[float], permission: Permission
) -> list[tuple[float, str, int]]:
    """Every permitted passage with its rank, best first, by the words of the domain alone."""
    rows = [
        (document, chunk, np.array(near) / np.linalg.norm(near))
        for document in documents
        if permission(document.card)
        for chunk, near in zip(document.chunks, document.vectors, strict=True)
    ]
    held = [words_of(chunk.text) for _, chunk, _ in rows]
    mean = sum(map(len, held)) / max(len(rows), 1)
    scores = [0.0] * len(rows)
    for word in query_words(text):
        worth = rarity(len(rows), sum(word in words for words in held))
        for place, words in enumerate(held):
            if count := words.count(word):
                scores[place] += word_score(worth, count, damping(len(words) / mean))
    best = max(scores, default=0.0)
    unit = np.array(vector) / np.linalg.norm(vector)
    ranked = [
        (float(unit @ near) + bonus(score, best), document.document_id, chunk.start)
        for (document, chunk, near), score in zip(rows, scores, strict=True)
    ]
    return sorted(ranked, key=lambda item: (-item[0], item[1], item[2]))


def drawn(draw: random.Random, name: str) -> Embedded:
    texts = [
        " ".join(draw.choices(VOCABULARY, k=draw.randint(1, 25))) for _ in range(draw.randint(1, 9))
    ]
    access = {"hr"} if draw.random() < 0.3 else set()
    metadata = {"year": draw.choice([2024, 2025, 2026])}
    return support.embedded(name, texts, access=frozenset(access), metadata=metadata)


@pytest.mark.parametrize("cache_bytes", [64 * 1024 * 1024, 40_000])
def test_both_scores_together_are_as_exact_as_brute_force(tmp_path: Path, cache_bytes: int) -> None:
    async def run() -> None:
        draw = random.Random(20261129)
        async with World(tmp_path, open_bytes_max=cache_bytes, segments_max=6) as world:
            for number in range(30):
                await world.publish(HOME_A, drawn(draw, f"doc_{number:02}"))
                await world.publish(HOME_B, drawn(draw, f"doc_b{number:02}"))
                if number % 7 == 6:
                    await world.remove(HOME_A, f"doc_{number - 3:02}")
            for ask in range(40):
                if ask == 20:
                    await world.partitions.settle()
                text = " ".join(draw.choices(VOCABULARY, k=draw.randint(1, 6)))
                vector = np.random.default_rng(ask).standard_normal(support.DIMENSIONS).tolist()
                groups = draw.choice([frozenset(), frozenset({"hr"})])
                where = filter_from(draw.choice([None, {"year": 2026}]))
                permission = Permission(groups, where)
                mine = [item for name, item in world.published.items() if "_b" not in name]
                expected = brute_force(mine, text, vector, permission)
                hits = await world.found(HOME_A, text, 7, permission, vector)
                assert len(hits) == min(7, len(expected))
                places = {(name, start): rank for rank, name, start in expected}
                ranks = [places[hit.document_id, hit.start] for hit in hits]
                # Stored vectors have 16 bits: ranks are the best ones, to that precision.
                best = [rank for rank, _, _ in expected[: len(hits)]]
                assert ranks == pytest.approx(best, abs=2e-4)

    asyncio.run(run())


def test_a_name_is_found_that_vectors_do_not_know(tmp_path: Path) -> None:
    async def run() -> None:
        async with World(tmp_path) as world:
            texts = ["the limit is max_wal_size", "a table or view does not exist: ORA-00942", "x"]
            for number, text in enumerate(texts):
                await world.publish(HOME_A, support.embedded(f"doc_{number}", [text]))
            elsewhere = support.vector_of("nothing of the kind")
            for text, name in (("ora-00942", "doc_1"), ("MAX_WAL_SIZE", "doc_0")):
                hits = await world.found(HOME_A, text, 1, vector=elsewhere)
                assert hits[0].document_id == name
            assert (await world.found(HOME_B, "ora-00942", 5)) == []

    asyncio.run(run())


def test_without_words_the_order_is_that_of_the_vectors(tmp_path: Path) -> None:
    async def run() -> None:
        draw = random.Random(7)
        async with World(tmp_path) as world:
            for number in range(12):
                await world.publish(HOME_A, drawn(draw, f"doc_{number:02}"))
            vector = support.vector_of("word1 word2 word3")
            dense = await world.found(HOME_A, "", 20, vector=vector)
            assert [hit.score for hit in dense] == sorted((h.score for h in dense), reverse=True)
            assert await world.found(HOME_A, "🙂 — !", 20, vector=vector) == dense
            assert await world.found(HOME_A, "unheard-of", 20, vector=vector) == dense
            cosines = {(hit.document_id, hit.start): hit.score for hit in dense}
            both = await world.found(HOME_A, "word1", 20, vector=vector)
            shared = [hit for hit in both if (hit.document_id, hit.start) in cosines]
            assert shared and both != dense
            for hit in shared:  # the score stays the cosine, whatever the words add
                assert hit.score == cosines[hit.document_id, hit.start]

    asyncio.run(run())


def test_hidden_documents_move_nothing(tmp_path: Path) -> None:
    """Neither words nor vectors tell a request without the tag that something tagged is there."""

    async def run() -> None:
        draw = random.Random(3)
        async with World(tmp_path, segments_max=100) as world:
            for number in range(8):
                document = drawn(draw, f"doc_{number:02}")
                open_card = Card(document.card.title, "text/plain", metadata={"year": 2026})
                plain = Embedded(
                    document.document_id,
                    open_card,
                    document.model,
                    document.chunks,
                    document.vectors,
                )
                await world.publish(HOME_A, plain)
            asks = [" ".join(draw.choices(VOCABULARY, k=4)) for _ in range(10)]
            before = [await world.found(HOME_A, text, 9) for text in asks]
            secret = [f"{text} {text} word1 lay-offs" for text in asks]
            for number, text in enumerate(secret):
                card = {"access": frozenset({"board"}), "metadata": {"year": 2026}}
                await world.publish(HOME_A, support.embedded(f"doc_s{number}", [text], **card))
            after = [await world.found(HOME_A, text, 9) for text in asks]
            assert after == before
            where = filter_from({"year": 2026})
            assert [
                await world.found(HOME_A, text, 9, Permission(frozenset(), where)) for text in asks
            ] == before
            board = Permission(frozenset({"board"}))
            (told,) = await world.found(HOME_A, "lay-offs", 1, board)
            assert told.document_id.startswith("doc_s")
            for text in ["lay-offs", *asks]:
                hits = await world.found(HOME_A, text, 50)
                assert not any(hit.document_id.startswith("doc_s") for hit in hits)

    asyncio.run(run())


def test_an_order_does_not_depend_on_how_rows_lie_in_segments(tmp_path: Path) -> None:
    async def run() -> None:
        draw = random.Random(11)
        documents = [drawn(draw, f"doc_{number:02}") for number in range(20)]
        asks = [" ".join(draw.choices(VOCABULARY, k=3)) for _ in range(8)]
        found = []
        for folder, most in (("many", 100), ("few", 2)):
            async with World(tmp_path / folder, segments_max=most) as world:
                for document in documents:
                    await world.publish(HOME_A, document)
                await world.partitions.settle()
                found.append([await world.found(HOME_A, text, 10) for text in asks])
                segments = len((await world.manifest.partition(A.id)).segments)
                assert segments == 20 if most == 100 else segments <= 2
        assert found[0] == found[1]

    asyncio.run(run())


def test_keywords_count_as_memory_and_are_zeroed(tmp_path: Path) -> None:
    async def run() -> None:
        async with World(tmp_path) as world:
            await world.publish(HOME_A, support.embedded("doc_1", ["one two three " * 40]))
            assert await world.found(HOME_A, "one")
            (entry,) = world.partitions._cache._entries.values()
            segment = entry.segment
            held = segment.keywords.size_bytes
            assert segment.size_bytes > held > 0 and any(segment.keywords.plane())
            world.partitions.close()
            assert segment.keywords.plane() == bytes(held)

    asyncio.run(run())


def test_a_segment_without_keywords_gets_them_when_it_is_merged() -> None:
    first = from_document(support.embedded("doc_1", ["apples are red", "pears"]))
    second = from_document(support.embedded("doc_2", ["plums"]))
    live = frozenset({"doc_1", "doc_2"})
    whole = merged([(first, live), (second, live)], 1)
    first.more.clear()
    again = merged([(first, live), (second, live)], 1)
    assert whole.more[Plane.KEYWORDS] == again.more[Plane.KEYWORDS]
