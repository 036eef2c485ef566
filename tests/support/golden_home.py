"""A small data folder of one tenant as a writer of some day left it, and what a reader finds in it.

`golden_home.json` holds it: keys, an original, a kept batch and a segment. It stays as it is for as
long as the formats have their names. Where one gets a new name, the reader's version of that day
makes another: `python -m tests.support.golden_home`.
"""

from __future__ import annotations

import asyncio
import base64
import dataclasses
import json
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.support import knowledge as support
from tests.support.knowledge import Parts, parts

from tenantry.adapters.sealed.partitions import SealedPartitions
from tenantry.adapters.sealed.segment import from_document, merged
from tenantry.adapters.sealed.segment_store import SegmentStore
from tenantry.domain.chunk import Chunk, Passage
from tenantry.domain.document import Card, Home
from tenantry.domain.embedded_batch import compact, pack_batch
from tenantry.domain.ids import DocumentId, SegmentId, TenantId
from tenantry.domain.original import pack_original
from tenantry.ports.keys import SHARED_KMS_KEY
from tenantry.ports.manifest import NewSegment, Partition, SegmentRow
from tenantry.ports.objects import ObjectKind
from tenantry.ports.vectors import Embedded, Query

FILE = Path(__file__).with_name("golden_home.json")
HOME = Home(TenantId("tnt_" + "g" * 26), support.POOL, False)
GENERATION, MODEL, DIMENSIONS, ROWS = 7, "test.golden-v1", 24, 6
TOP_K = ROWS
CARD = Card(
    "Über uns",
    "text/plain",
    "über.txt",
    {"lang": "de", "year": 2026, "of": ("a", "b")},
)
ORIGINAL, BATCH = "golden-original", "golden-batch"
DATA = "Äpfel sind rot.\n".encode()
TEXTS = [f"passage {row} tells of matter{row % 4} – {'äöü' * (row + 1)}" for row in range(ROWS)]
# Small whole numbers, positive and negative, so that every row has both signs in its upper bits.
VECTORS = [
    [float((row * 7 + at * at * 3) % 17 - 8) for at in range(DIMENSIONS)] for row in range(ROWS)
]
QUERIES = [(VECTORS[2], ""), ([float(at % 5 - 2) for at in range(DIMENSIONS)], "matter3")]


class OneView:
    """As much of a manifest as a search asks for."""

    def __init__(self, row: SegmentRow) -> None:
        self._view = Partition(GENERATION, MODEL, (row,))

    async def generation(self, _: TenantId) -> int:
        return self._view.generation

    async def partition(self, *_: object) -> Partition:
        return self._view


def told(passages: Sequence[Passage]) -> list[dict[str, Any]]:
    return [
        {
            "document_id": found.document_id,
            "title": found.title,
            "text": found.text,
            "start": found.start,
            "end": found.end,
            "score": found.score,
        }
        for found in passages
    ]


def row_of(home: Mapping[str, Any]) -> SegmentRow:
    return SegmentRow(
        SegmentId(home["segment"]["id"]),
        home["segment"]["generation"],
        home["segment"]["dimensions"],
        home["segment"]["rows"],
        home["segment"]["rows"],
        home["segment"]["size_bytes"],
        frozenset(DocumentId(name) for name in home["documents"]),
    )


def laid_down(home: Mapping[str, Any], root: Path) -> Parts:
    """The folder as it was, for today's readers."""
    for name, content in home["files"].items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(mode=0o600)
        path.write_bytes(base64.b64decode(content))
    return parts(root)


async def found_in(own: Parts, row: SegmentRow) -> list[list[dict[str, Any]]]:
    """What each query finds."""
    view: Any = OneView(row)
    partitions = SealedPartitions(view, own.objects, own.keys, own.clock)
    try:
        return [
            told(
                await partitions.search(HOME, MODEL, Query(vector, text), TOP_K, lambda card: True)
            )
            for vector, text in QUERIES
        ]
    finally:
        partitions.close()


async def _segment(own: Parts) -> NewSegment:
    sources = []
    for number, rows in enumerate((range(2), range(2, ROWS))):
        chunks = [Chunk(10 * row, 10 * row + 9, TEXTS[row]) for row in rows]
        card = dataclasses.replace(CARD, title=f"{CARD.title} {number}")
        vectors = [VECTORS[row] for row in rows]
        document = Embedded(DocumentId(f"doc_{number}"), card, MODEL, chunks, vectors)
        sources.append(from_document(document))
    store = SegmentStore(own.objects, own.keys, own.clock)
    try:
        both = merged([(segment, frozenset(segment.ids)) for segment in sources], seed=1)
        return await store.write(HOME, both, MODEL, GENERATION)
    finally:
        store.close()


async def _written(root: Path) -> dict[str, Any]:
    own = parts(root)
    await own.kms.create(HOME.account, SHARED_KMS_KEY)
    await own.keys.create(HOME)
    batch = pack_batch([compact(vector) for vector in VECTORS], TEXTS)
    for kind, name, plain in (
        (ObjectKind.ORIGINAL, ORIGINAL, pack_original(CARD, DATA)),
        (ObjectKind.BATCH, BATCH, batch),
    ):
        sealed = await own.sealer.seal(HOME, kind.value, name, plain)
        await own.objects.put(HOME, kind, name, sealed)
    segment = await _segment(own)
    home = {
        "segment": dataclasses.asdict(segment),
        "documents": ["doc_0", "doc_1"],
        "files": _files(root),
    }
    return {**home, "found": await found_in(own, row_of(home))}


def _files(root: Path) -> dict[str, str]:
    return {
        str(path.relative_to(root)): base64.b64encode(path.read_bytes()).decode()
        for path in sorted(root.rglob("*"))
        if path.is_file()
    }


def _main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        home = asyncio.run(_written(Path(folder)))
    FILE.write_text(json.dumps(home, ensure_ascii=False, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    _main()
