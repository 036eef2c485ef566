"""Taking a document in.

| # | step | durable after it | fails with |
|---|---|---|---|
| 1 | extract the text, split it into chunks | nothing | 400, 413, 415 |
| 2 | look for the same upload by its keyed digest | nothing | 503 |
| 3 | seal card and original, put them as one object | an orphan, swept if nobody names it | 503 |
| 4 | insert the row within the plan's limits | the document, as `indexing` | 429, 503 |
| 5 | embed the chunks in batches, each metered | – | 402, 429, 503 |
| 6 | seal a segment, put it, publish it with the row | the document, `ready` | 409, 503 |

Up to `READY_AT_ONCE_BYTES` the caller waits for step 6, and a refusal in 5 or 6 takes the document
back: nothing is half done. Larger uploads return after step 4. Steps 5 and 6 run in an owned task
that the caller's going away does not stop; a claim in the manifest keeps other processes from doing
them twice, and `resume_indexing` takes over the claims of dead ones.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from tenantry.application.knowledge import Knowledge, document_of, no_such_document
from tenantry.domain.chunk import Chunk
from tenantry.domain.document import (
    Card,
    Document,
    DocumentRow,
    DocumentState,
    Home,
    home_of,
    limits_of,
)
from tenantry.domain.errors import (
    Limited,
    NotFound,
    TenantryError,
    Unavailable,
    UpstreamRubbish,
    UpstreamThrottled,
    UpstreamTimeout,
    UpstreamUnavailable,
)
from tenantry.domain.ids import DocumentId, prefixed, uuid7
from tenantry.domain.original import pack_original
from tenantry.domain.tenant import Principal, Tenant
from tenantry.domain.upload import READY_AT_ONCE_BYTES, Upload
from tenantry.ports.embedding import EMBED_BATCH
from tenantry.ports.keys import Purpose
from tenantry.ports.objects import ObjectKind
from tenantry.ports.vectors import Embedded

LEASE_S = 60.0  # a claim lasts this long; a batch of 64 is embedded in far less
RESUME_DOCUMENTS_MAX = 16  # taken over a tenant and call
BACKGROUND_ATTEMPTS = 5
BACKGROUND_PAUSE_S = 2.0  # before the second attempt; doubled each time
_PASSING = (Unavailable, Limited, UpstreamThrottled, UpstreamTimeout, UpstreamUnavailable)


@dataclass(frozen=True, slots=True)
class Ingested:
    document: Document
    created: bool  # False: the same upload was there already (200 instead of 201)


@dataclass(frozen=True, slots=True)
class _Work:
    principal: Principal
    home: Home
    row: DocumentRow
    card: Card
    chunks: Sequence[Chunk]
    request: object | None = None


async def ingest(
    deps: Knowledge, principal: Principal, upload: Upload, request: object | None = None
) -> Ingested:
    """Take an upload in. Idempotent: the same card and bytes give the same document.

    `request` is handed to the embedder for what is embedded while the caller waits.
    """
    home = home_of(principal.tenant)
    extracted = await deps.extractor.extract(
        upload.data, upload.card.content_type, upload.card.file_name
    )
    card = replace(upload.card, content_type=extracted.content_type)
    chunks = await deps.splitter.split(extracted.text, extracted.content_type)
    await deps.keys.create(home)
    # The declared type belongs to the upload: it decides how the bytes are read.
    plain = pack_original(upload.card, upload.data)
    content = await asyncio.to_thread(lambda: hashlib.sha256(plain).digest())
    digest = await deps.sealer.digest(home, Purpose.CONTENT_HMAC, content)
    held = await deps.manifest.by_content(home.tenant_id, digest)
    if held is not None and held.state is not DocumentState.FAILED:
        return Ingested(document_of(held, card), created=False)
    if deps.tasks.full():
        raise Unavailable("Too many documents are being indexed; try again in a moment.")
    row, created = await _register(deps, principal, home, plain, digest, len(upload.data))
    if not created:
        return Ingested(document_of(row, card), created=False)
    at_once = len(upload.data) <= READY_AT_ONCE_BYTES
    work = _Work(principal, home, row, card, chunks, request if at_once else None)
    if not at_once:
        deps.tasks.start(_index_patiently(deps, work), name=f"index {row.id}")
        return Ingested(document_of(row, card), created=True)
    # Shielded: a caller that hangs up does not leave its document half indexed.
    ready = await asyncio.shield(
        deps.tasks.start(_index_or_withdraw(deps, work), f"index {row.id}")
    )
    return Ingested(document_of(ready, card), created=True)


async def resume_indexing(deps: Knowledge, tenants: Iterable[Tenant]) -> int:
    """Take over documents whose indexer died, metered to the API key that uploaded them.

    Returns how many were started. `application/tending.py` calls it again and again.
    """
    started = 0
    for tenant in tenants:
        home = home_of(tenant)
        if deps.tasks.full():
            break
        rows = await deps.manifest.claim(home.tenant_id, RESUME_DOCUMENTS_MAX, LEASE_S)
        for row in rows:
            if deps.tasks.full():
                break  # the claim runs out, and another call takes it up
            principal = Principal(tenant, row.api_key_id)
            deps.tasks.start(_resume(deps, principal, home, row), name=f"resume {row.id}")
            started += 1
    return started


async def _register(
    deps: Knowledge,
    principal: Principal,
    home: Home,
    plain: bytes,
    digest: bytes,
    size_bytes: int,
) -> tuple[DocumentRow, bool]:
    """Steps 3 and 4. An original that lost a race or broke a limit is deleted again."""
    now = deps.clock.now()
    document_id = prefixed("doc", uuid7(int(now.timestamp() * 1000), deps.clock.random(10)))
    original_id = deps.object_id()
    sealed = await deps.sealer.seal(home, ObjectKind.ORIGINAL.value, original_id, plain)
    await deps.objects.put(home, ObjectKind.ORIGINAL, original_id, sealed)
    row = DocumentRow(
        id=DocumentId(document_id),
        state=DocumentState.INDEXING,
        content_hmac=digest,
        original_id=original_id,
        original_bytes=size_bytes,
        api_key_id=principal.api_key_id,
        passages=0,
        created_at=now,
        updated_at=now,
    )
    try:
        inserted = await deps.manifest.insert(
            home.tenant_id, row, limits_of(principal.tenant), LEASE_S
        )
    except Limited:
        await deps.objects.delete(home, ObjectKind.ORIGINAL, original_id)
        raise
    # Any other error leaves the commit unknown: the object stays until the sweep knows.
    if not inserted.created:
        await deps.objects.delete(home, ObjectKind.ORIGINAL, original_id)
    return inserted.row, inserted.created


async def _index(deps: Knowledge, work: _Work) -> DocumentRow:
    """Steps 5 and 6. NotFound where the document was deleted meanwhile."""
    vectors: list[Sequence[float]] = []
    for first in range(0, len(work.chunks), EMBED_BATCH):
        if first and not await deps.manifest.keep(work.home.tenant_id, work.row.id, LEASE_S):
            raise no_such_document()
        texts = [chunk.text for chunk in work.chunks[first : first + EMBED_BATCH]]
        vectors += await deps.embedder.embed(work.principal, texts, "document", work.request)
    document = Embedded(
        work.row.id, work.card, work.principal.tenant.plan.embedding_model, work.chunks, vectors
    )
    try:
        published = await deps.vectors.publish(work.home, document)
    except ValueError as error:
        raise UpstreamRubbish("The embedding model returned unusable vectors.") from error
    row = await deps.manifest.document(work.home.tenant_id, work.row.id) if published else None
    if row is None:
        raise no_such_document()
    return row


async def _index_or_withdraw(deps: Knowledge, work: _Work) -> DocumentRow:
    try:
        return await _index(deps, work)
    except Exception:
        # Not acknowledged yet, so it may go: the client hears why and can send it again.
        await deps.vectors.remove(work.home, work.row.id)
        await deps.objects.delete(work.home, ObjectKind.ORIGINAL, work.row.original_id)
        raise


async def _index_patiently(deps: Knowledge, work: _Work) -> None:
    """Index an acknowledged document: what passes is waited out, what does not is its state."""
    pause_s = BACKGROUND_PAUSE_S
    for attempt in range(1, BACKGROUND_ATTEMPTS + 1):
        try:
            await _index(deps, work)
            return
        except NotFound:
            return
        except TenantryError as error:
            if not isinstance(error, _PASSING) or attempt == BACKGROUND_ATTEMPTS:
                await deps.manifest.fail(work.home.tenant_id, work.row.id, error.code)
                raise
        except Exception:
            await deps.manifest.fail(work.home.tenant_id, work.row.id, TenantryError.code)
            raise
        await asyncio.sleep(pause_s)
        pause_s *= 2
        if not await deps.manifest.keep(work.home.tenant_id, work.row.id, LEASE_S):
            return


async def _resume(deps: Knowledge, principal: Principal, home: Home, row: DocumentRow) -> None:
    try:
        declared, data = await deps.original(home, row)
        extracted = await deps.extractor.extract(data, declared.content_type, declared.file_name)
        chunks = await deps.splitter.split(extracted.text, extracted.content_type)
    except Unavailable:
        raise  # the claim runs out, and another call takes it up
    except TenantryError as error:
        await deps.manifest.fail(home.tenant_id, row.id, error.code)
        raise
    card = replace(declared, content_type=extracted.content_type)
    await _index_patiently(deps, _Work(principal, home, row, card, chunks))
