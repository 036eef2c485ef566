"""What the knowledge use cases stand on."""

from __future__ import annotations

import base64
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from tenantry.application.indexing_tasks import IndexingTasks
from tenantry.domain.chunk import Chunk, ChunkLimit
from tenantry.domain.document import (
    Card,
    Document,
    DocumentRow,
    Home,
    PageCount,
    Replacement,
    progress_of,
)
from tenantry.domain.errors import Conflict, NotFound, TenantryError
from tenantry.domain.original import pack_original, unpack_original
from tenantry.domain.space import Space
from tenantry.domain.tenant import Principal
from tenantry.ports.clock import Clock
from tenantry.ports.embedding import Embedder
from tenantry.ports.extraction import Extracted, Extractor, Splitter
from tenantry.ports.keys import KeyStore, Sealer
from tenantry.ports.manifest import Manifest, Spaces
from tenantry.ports.objects import ObjectKind, Objects
from tenantry.ports.vectors import Vectors

_OBJECT_ID_BYTES = 20


@dataclass(frozen=True, slots=True)
class QuerySpaces:
    """Where a query may have to be embedded, read once for a request."""

    generation: int  # of the manifest; 0: the tenant never had a document
    live: Space  # where the documents are
    next: Space | None  # where a reindex may have taken them before the query is there


class Read(NamedTuple):
    """An upload as it is embedded."""

    card: Card
    chunks: Sequence[Chunk]
    pages: PageCount | None


@dataclass(frozen=True, slots=True)
class Knowledge:
    """The ports that ingestion, retrieval and documents use."""

    manifest: Manifest
    objects: Objects
    keys: KeyStore
    sealer: Sealer
    vectors: Vectors
    extractor: Extractor
    splitter: Splitter
    embedder: Embedder
    clock: Clock
    tasks: IndexingTasks
    waiting: Counter[str] = field(default_factory=Counter)  # requests for another's, by tenant

    def object_id(self) -> str:
        """A random name that says nothing."""
        return base64.b32encode(self.clock.random(_OBJECT_ID_BYTES)).decode().lower()

    async def original(self, home: Home, row: DocumentRow) -> tuple[Card, bytes]:
        """Card and bytes as they were uploaded. NotFound where they are gone meanwhile."""
        return unpack_original(await self._opened(home, ObjectKind.ORIGINAL, row))

    async def card(self, home: Home, row: DocumentRow) -> tuple[Card, int]:
        """The card as it was uploaded, and how many bytes were opened for it: the original's only
        where that is small, or of before there were cards beside. NotFound as for `original`.
        """
        plain = None
        if row.has_card_beside:
            with suppress(NotFound):
                plain = await self._opened(home, ObjectKind.CARD, row)
        if plain is None:
            plain = await self._opened(home, ObjectKind.ORIGINAL, row)
        return unpack_original(plain)[0], len(plain)

    async def put_original(self, home: Home, row: DocumentRow, card: Card, plain: bytes) -> None:
        """Seal and store what was uploaded, under the name in its row. `plain`: of `original`."""
        if row.has_card_beside:
            await self._put(home, ObjectKind.CARD, row, pack_original(card, b""))
        await self._put(home, ObjectKind.ORIGINAL, row, plain)

    async def delete_original(self, home: Home, row: DocumentRow) -> None:
        await self.objects.delete(home, ObjectKind.ORIGINAL, row.original_id)
        if row.has_card_beside:
            await self.objects.delete(home, ObjectKind.CARD, row.original_id)

    async def _opened(self, home: Home, kind: ObjectKind, row: DocumentRow) -> bytes:
        sealed = await self.objects.get(home, kind, row.original_id)
        return await self.sealer.open(home, kind.value, row.original_id, sealed)

    async def _put(self, home: Home, kind: ObjectKind, row: DocumentRow, plain: bytes) -> None:
        sealed = await self.sealer.seal(home, kind.value, row.original_id, plain)
        await self.objects.put(home, kind, row.original_id, sealed)

    async def read(self, home: Home, row: DocumentRow, limit: ChunkLimit) -> Read:
        """The card of what was uploaded, as it was when it came, its text in chunks, and its pages.
        Errors: those of `original`, of extraction and of splitting.
        """
        declared, data = await self.original(home, row)
        extracted = await self.extractor.extract(
            data, declared.content_type, declared.file_name, home.tenant_id
        )
        chunks = await self.splitter.split(extracted.text, extracted.content_type, limit)
        card = replace(declared, content_type=extracted.content_type)
        return Read(card, chunks, pages_of(extracted))

    async def space(self, principal: Principal) -> Space:
        """Where the tenant's documents are put: with those that are searched; where none is, where
        the last one was or a reindex has said, else as planned.

        Conflict where they rest in another vector engine, before anything is embedded for them.
        """
        return await self._space_of(principal, await self._spaces(principal))

    async def chunk_limit(self, principal: Principal) -> ChunkLimit:
        """What chunks may be where the tenant's documents are put now. Where nobody knows, what
        most models take: the reason is told when they are to be embedded.
        """
        try:
            space = await self.space(principal)
        except TenantryError:
            return ChunkLimit()
        return await self.embedder.chunk_limit(principal, space)

    async def query_spaces(self, principal: Principal) -> QuerySpaces:
        """Where a query may have to be embedded. Conflict as for `space`."""
        spaces = await self._spaces(principal)
        live = await self._space_of(principal, spaces)
        following = None if spaces.next == live else spaces.next
        return QuerySpaces(spaces.generation, live, following)

    async def _space_of(self, principal: Principal, spaces: Spaces) -> Space:
        if spaces.live is not None:
            return spaces.live
        # One whose model is retired, or not the tenant's any more, must not keep out the next
        # document. An API key that may not call it moves nothing: it is refused.
        anyone = replace(principal, models_allowed=None)
        if spaces.kept is not None and await self.embedder.can_embed(anyone, spaces.kept):
            return spaces.kept
        return await self.embedder.plan_space(principal)

    async def _spaces(self, principal: Principal) -> Spaces:
        spaces = await self.manifest.spaces(principal.tenant_id)
        if spaces.live is not None and spaces.pin != self.vectors.pinned(spaces.live.model):
            raise Conflict("The documents rest in another vector engine: reindex them.")
        return spaces


def pages_of(extracted: Extracted) -> PageCount | None:
    """None for what is no PDF."""
    if extracted.pages is None or extracted.pages_without_text is None:
        return None
    return PageCount(extracted.pages, extracted.pages_without_text)


def document_of(row: DocumentRow, card: Card, version: DocumentRow | None = None) -> Document:
    """`version`: the one on its way to take this one's place."""
    return Document(
        id=row.document_id,
        status=row.state,
        card=card,
        size_bytes=row.original_bytes,
        passages=row.passages,
        created_at=row.created_at,
        updated_at=row.updated_at,
        failure=row.failure,
        progress=progress_of(row),
        replacement=None if version is None else _replacement_of(version),
        pages=row.pages,
    )


def _replacement_of(version: DocumentRow) -> Replacement:
    return Replacement(
        status=version.state,
        size_bytes=version.original_bytes,
        progress=progress_of(version),
        created_at=version.created_at,
        failure=version.failure,
    )


def no_such_document() -> NotFound:
    return NotFound("There is no such document.")
