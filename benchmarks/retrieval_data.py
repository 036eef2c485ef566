"""Vectors to search: clustered ones by seed, and real embeddings of the shipped documents."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

from tenantry.domain.chunk import Chunk
from tenantry.domain.document import Card
from tenantry.domain.ids import DocumentId
from tenantry.ports.vectors import Embedded

F32 = npt.NDArray[np.float32]

MODEL = "amazon.titan-embed-text-v2:0"
CLUSTERS = 200  # of 10,000 rows: 50 in each, as passages on one matter are
SPREAD = 0.6  # of a row around its cluster's centre: cosines of .73 within a cluster
CHUNKS = 10  # in a document
TEXT_BYTES = 96
_SENTENCE_CHARS_MIN, _SENTENCE_CHARS = 24, 400
CORPUS = Path(__file__).resolve().parent.parent / "src" / "tenantry" / "data" / "corpus"


class Clustered:
    """Rows around centres; the same seed gives the same. Queries are new points, not rows."""

    def __init__(self, seed: int, dimensions: int, clusters: int = CLUSTERS) -> None:
        self._seed = seed
        centres = np.random.default_rng(seed)
        self._centres = centres.standard_normal((clusters, dimensions), dtype=np.float32)

    def rows(self, count: int, part: int = 0) -> F32:
        return self._points(count, np.random.default_rng([self._seed, 1, part]))

    def queries(self, count: int) -> F32:
        return self._points(count, np.random.default_rng([self._seed, 2]))

    def _points(self, count: int, draw: np.random.Generator) -> F32:
        points = draw.standard_normal((count, self._centres.shape[1]), dtype=np.float32)
        points *= np.float32(SPREAD)
        points += self._centres[draw.integers(0, len(self._centres), count)]
        return points


def documents(vectors: F32, name: str = "doc", chunks: int = CHUNKS) -> Iterator[Embedded]:
    """The rows as documents of so many passages each."""
    for number, start in enumerate(range(0, len(vectors), chunks)):
        rows = vectors[start : start + chunks]
        yield Embedded(
            DocumentId(f"doc_{name}_{number:08}"),
            Card(f"Document {number} of {name}", "text/plain", metadata={"number": number}),
            MODEL,
            [chunk_of(start + place, number) for place in range(len(rows))],
            rows,  # type: ignore[arg-type]  # a matrix is a sequence of sequences
        )


def chunk_of(row: int, document: int) -> Chunk:
    text = f"Passage {row} of document {document}. "
    text += "x" * (TEXT_BYTES - len(text))
    return Chunk(row * TEXT_BYTES, row * TEXT_BYTES + len(text), text)


def real_embeddings(rows: int, queries: int) -> tuple[F32, F32]:
    """Sentences of the shipped documents by the emulator's MiniLM, lifted to 1,024 numbers, which
    keeps their cosines.
    """
    from bedrock_emulator.engine.models.minilm import MiniLm

    model = MiniLm()
    sentences = _sentences()[: rows + queries]
    vectors = [model.embed(text, 1_024, normalize=True) for text in sentences]
    model.close()
    mixed = np.array(vectors, dtype=np.float32)[np.random.default_rng(1).permutation(len(vectors))]
    return mixed[queries:], mixed[:queries]


def _sentences() -> list[str]:
    """Single sentences of the documents, then pairs and triples of neighbours."""
    texts = [path.read_text(encoding="utf-8") for path in sorted(CORPUS.rglob("*.md"))]
    parts = [_plain(text) for text in texts]
    found: dict[str, None] = {}
    for together in (1, 2, 3):
        for sentences in parts:
            for start in range(len(sentences) - together + 1):
                found[" ".join(sentences[start : start + together])[:_SENTENCE_CHARS]] = None
    return list(found)


def _plain(text: str) -> list[str]:
    split = (" ".join(part.split()) for part in re.split(r"(?<=[.!?:])\s+|\n\s*\n", text))
    return [part for part in split if len(part) >= _SENTENCE_CHARS_MIN]
