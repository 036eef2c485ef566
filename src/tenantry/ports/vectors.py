"""A tenant's searchable passages. No call can be made without the tenant's home."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from tenantry.domain.chunk import Chunk, Passage
from tenantry.domain.document import Card, DocumentRow, Home, IndexEdition, PageCount
from tenantry.domain.ids import DocumentId, TenantId
from tenantry.domain.space import Space

Permitted = Callable[[Card], bool]  # `domain.access.Permission`, or any other rule


@dataclass(frozen=True, slots=True)
class Embedded:
    """A document that is ready to be searched: one vector a chunk, all of the same length.

    `original_id`, `edition` and `pages` are for the manifest, which decides what is live: an engine
    hands them to `Manifest.publish` with the name under which it stored the vectors.
    """

    document_id: DocumentId
    card: Card
    model: str  # whose vectors these are; an edition holds one model's only
    chunks: Sequence[Chunk]
    vectors: Sequence[Sequence[float]]
    original_id: str = ""  # which version of the document; "": the one that is `indexing`
    edition: IndexEdition = IndexEdition.LIVE
    pages: PageCount | None = None  # of a PDF


@dataclass(frozen=True, slots=True)
class Query:
    """What is looked for: its vector, and its words for an engine that also reads those.

    `generation`: of the tenant's manifest, as read since the question came; an engine need not
    read it again. None: as it is now.
    """

    vector: Sequence[float]
    text: str = ""
    generation: int | None = None


class Vectors(Protocol):
    @property
    def reads_words(self) -> bool:
        """Whether a query's words count beside its vector."""
        ...

    def pinned(self, model: str) -> str:
        """What the manifest pins for a model's vectors in this engine: its id, or that behind the
        engine's own name in small letters and a slash.
        """
        ...

    async def publish(self, home: Home, document: Embedded) -> bool:
        """Durable on return, and searched from then on, or from its edition's switch on.

        An earlier version of the document is searched until then, and never after. False, and
        nothing changed: this version is not waited for any more. Conflict as for `search`.
        """
        ...

    async def search(
        self,
        home: Home,
        model: str,
        query: Query,
        top_k: int,
        permitted: Permitted,
    ) -> Sequence[Passage]:
        """The exact top k among the passages of permitted documents, best first.

        Where the query has words and the engine reads them, by both (`domain/fusion.py`); what is
        not permitted moves nothing. `Passage.score` is the cosine either way.
        Conflict where the documents were indexed with another model or another length.
        """
        ...

    async def cards(self, home: Home, wanted: frozenset[DocumentId]) -> Mapping[DocumentId, Card]:
        """The cards of wanted documents that are `ready`, but for those that cannot be read from
        here, as of another engine: their originals have them too."""
        ...

    async def vectors_of(
        self, home: Home, space: Space, document_id: DocumentId, texts: frozenset[str]
    ) -> Mapping[str, array[float]]:
        """Vectors of passages of a document that is `ready`, by those of these texts that it has.

        Their lengths say nothing: to publish them again gives what is there, to the bit. Some or
        all may be missing, as where an engine does not tell them. Conflict as for `search`.
        """
        ...

    async def check_reach(self, tenant_id: TenantId) -> None:
        """Conflict where vectors of the tenant rest in an engine that is not configured here, and
        could not be deleted there."""
        ...

    async def remove(self, home: Home, document_id: DocumentId) -> DocumentRow | None:
        """Gone from the next search on, anywhere; the row it had, or None for an unknown one.

        Vectors are deleted where they can be reached: see `check_reach`.
        """
        ...

    async def sweep(self, home: Home, age_s: float) -> int:
        """Delete what was written so long ago and no document names; returns how much.

        What rests as an object is swept with the objects, and not here.
        """
        ...

    async def drop(self, home: Home) -> None:
        """Delete all passages and vectors of the tenant, and forget what is open. Idempotent.

        The manifest stays: what it still names is missing from then on, and a search says so.
        Conflict as for `check_reach`.
        """
        ...
