"""The product's own search over the ground truth: sealed segments on disk, vectors and words."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tests.support import knowledge as support

from benchmarks.ground_truth.data import Passage, Question, Vectors
from benchmarks.ground_truth.scoring import DEPTH
from tenantry.domain.access import Permission
from tenantry.domain.chunk import Chunk
from tenantry.domain.document import Card
from tenantry.domain.ids import DocumentId
from tenantry.ports.vectors import Embedded, Query

# A little under what was measured on the questions that no choice saw: (MRR@10, hit@5).
FLOORS = {"question": (0.59, 0.75), "name": (0.77, 0.96)}
_DOCUMENT_PASSAGES = 512
_OWNER = support.tenant("tnt_ground")
_MODEL = "minilm"


async def orders(
    root: Path,
    passages: Sequence[Passage],
    questions: Sequence[Question],
    vectors: Vectors,
    *,
    split: str | None = None,
) -> list[list[int]]:
    """For each question the numbers of the best passages, best first; none for another split."""
    own, manifest, home = support.parts(root), support.MemoryManifest(), support.home(_OWNER)
    await own.keys.create(home)
    partitions = support.partitions(own, manifest)
    for first in range(0, len(passages), _DOCUMENT_PASSAGES):
        document = _document(first, passages[first : first + _DOCUMENT_PASSAGES], vectors)
        row = support.row(document.document_id)
        await manifest.insert(home.tenant_id, row, support.UNLIMITED, support.LEASE_S)
        assert await partitions.publish(home, document), "the document is live"
    found = []
    for question, vector in zip(questions, vectors.questions, strict=True):
        if split is not None and question.split != split:
            found.append([])
            continue
        query = Query(vector.tolist(), question.words)
        hits = await partitions.search(home, _MODEL, query, DEPTH, Permission(frozenset()))
        found.append([hit.start for hit in hits])
    partitions.close()
    return found


def _document(first: int, passages: Sequence[Passage], vectors: Vectors) -> Embedded:
    """Some passages as one document; a passage's number is where it is said to stand."""
    numbered = list(enumerate(passages, start=first))
    return Embedded(
        DocumentId(f"doc_{first}"),
        Card(f"From {first}", "text/markdown"),
        _MODEL,
        [Chunk(number, number + 1, passage.text) for number, passage in numbered],
        vectors.passages[first : first + len(passages)].tolist(),
    )
