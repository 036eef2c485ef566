"""What an earlier day's writer left is read as it was meant: a layout that changes without a new
name would be read for something else, and every answer would be wrong in silence."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.support import golden_home
from tests.support.golden_home import BATCH, CARD, DATA, HOME, ORIGINAL, TEXTS, VECTORS

from tenantry.adapters.sealed.segment_store import SegmentStore
from tenantry.domain.embedded_batch import unpack_batch
from tenantry.domain.envelope import BLOB_MAGIC, SEGMENT_MAGIC
from tenantry.domain.original import unpack_original
from tenantry.ports.objects import ObjectKind

GOLDEN: dict[str, Any] = json.loads(golden_home.FILE.read_text("utf-8"))
MATRIX = np.array(VECTORS)
UNIT = MATRIX / np.linalg.norm(MATRIX, axis=1, keepdims=True)
NEAR = 1e-3  # of a number of a unit row: 16 bits over its largest keep more


def test_what_is_kept_is_of_the_formats_that_are_written_today(tmp_path: Path) -> None:
    """Else a new name has come: `golden_home.py` says how its example is made."""
    golden_home.laid_down(GOLDEN, tmp_path)
    names = {path: path.read_bytes()[:4] for path in tmp_path.rglob("objects/*/*/*")}
    assert {path.parent.name: name for path, name in names.items()} == {
        ObjectKind.SEGMENT.value: SEGMENT_MAGIC,
        ObjectKind.ORIGINAL.value: BLOB_MAGIC,
        ObjectKind.BATCH.value: BLOB_MAGIC,
    }


def test_a_segment_answers_as_it_did(tmp_path: Path) -> None:
    own = golden_home.laid_down(GOLDEN, tmp_path)
    found = asyncio.run(golden_home.found_in(own, golden_home.row_of(GOLDEN)))
    assert len(found) == len(GOLDEN["found"]) > 1
    for now, then in zip(found, GOLDEN["found"], strict=True):
        scores = [hit.pop("score") for hit in now]
        assert scores == pytest.approx([hit["score"] for hit in then], abs=1e-9)
        assert now == [{k: v for k, v in hit.items() if k != "score"} for hit in then]


def test_and_it_answered_rightly() -> None:
    for (vector, _), hits in zip(golden_home.QUERIES, GOLDEN["found"], strict=True):
        cosines = UNIT @ np.array(vector) / np.linalg.norm(vector)
        assert {hit["text"] for hit in hits} == set(TEXTS)
        for hit in hits:
            assert hit["score"] == pytest.approx(cosines[TEXTS.index(hit["text"])], abs=NEAR)


def test_a_segment_is_merged_as_what_it_was(tmp_path: Path) -> None:
    own = golden_home.laid_down(GOLDEN, tmp_path)
    store = SegmentStore(own.objects, own.keys, own.clock)
    try:
        segment = asyncio.run(store.load(HOME, golden_home.row_of(GOLDEN)))
    finally:
        store.close()
    order = [TEXTS.index(segment.text(row)) for row in range(segment.rows)]
    whole = segment.vectors.high.astype(int) * 256 + segment.vectors.low
    assert whole * segment.vectors.scale[:, None] == pytest.approx(UNIT[order], abs=NEAR)
    assert {card.title for card in segment.cards} == {f"{CARD.title} {n}" for n in (0, 1)}
    assert segment.cards[0].metadata == CARD.metadata


def test_blobs_are_read_as_they_were_meant(tmp_path: Path) -> None:
    own = golden_home.laid_down(GOLDEN, tmp_path)

    async def plain(kind: ObjectKind, name: str) -> bytes:
        sealed = await own.objects.get(HOME, kind, name)
        return await own.sealer.open(HOME, kind.value, name, sealed)

    assert unpack_original(asyncio.run(plain(ObjectKind.ORIGINAL, ORIGINAL))) == (CARD, DATA)
    batch = asyncio.run(plain(ObjectKind.BATCH, BATCH))
    assert [list(v) for v in unpack_batch(batch, TEXTS, len(VECTORS[0]))] == VECTORS
