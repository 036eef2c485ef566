"""Steps 5 and 6 of taking a document in: its chunks are embedded, and published with its row.

Owns: that a document in work is held by one process, how far it is, and what becomes of a refusal.
A version that replaces a document goes the same way; the document stays what it was until then.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

from tenantry.application import patience as waiting
from tenantry.application.kept_batches import Payer, embed_chunks, forget_batches
from tenantry.application.knowledge import Knowledge, no_such_document
from tenantry.application.patience import AT_ONCE, Patience, claimed, in_background
from tenantry.domain.chunk import Chunk, ChunkLimit
from tenantry.domain.document import Card, DocumentRow, Home, PageCount, Progress, home_of
from tenantry.domain.errors import (
    Conflict,
    Corrupt,
    Limited,
    NotFound,
    TenantryError,
    Unavailable,
    UpstreamRubbish,
)
from tenantry.domain.space import Space
from tenantry.domain.tenant import Principal, Tenant
from tenantry.ports.vectors import Embedded

RESUME_DOCUMENTS_MAX = 16  # taken over a tenant and call
SPACES_MAX = 3  # a reindex may end while a document is embedded, and then another one


@dataclass(frozen=True, slots=True)
class Work:
    """One upload on its way to be searched."""

    principal: Principal
    home: Home
    row: DocumentRow
    card: Card
    chunks: Sequence[Chunk]
    limit: ChunkLimit  # that the chunks were made for
    request: object | None = None
    restarted: bool = False  # it is a document that had failed, and fails again
    pages: PageCount | None = None  # of a PDF


async def index_or_withdraw(deps: Knowledge, work: Work) -> DocumentRow:
    """Index what somebody waits for. Not acknowledged yet, so it may go: the client hears why."""
    try:
        return await _index(deps, work, AT_ONCE)
    except Exception as error:
        await withdraw(deps, work, error)
        raise


async def withdraw(deps: Knowledge, work: Work, error: Exception) -> None:
    """Take back what was not acknowledged; what had failed before has failed again."""
    if work.restarted:
        await deps.manifest.fail(work.home.tenant_id, work.row.id, _code(error))
        return
    # None: nobody is sure whether it was published, but the manifest is, and names its original.
    if await deps.vectors.remove(work.home, work.row.id) is not None:
        await deps.delete_original(work.home, work.row)


async def index_patiently(deps: Knowledge, work: Work) -> DocumentRow:
    """Index what is acknowledged: what passes is waited out, what does not is its state."""
    tenant_id = work.home.tenant_id
    try:
        return await _index(deps, work, in_background())
    except NotFound:
        raise  # deleted meanwhile
    except Exception as error:
        await deps.manifest.fail(tenant_id, work.row.id, _code(error))
        raise


async def resume_indexing(deps: Knowledge, tenants: Iterable[Tenant]) -> int:
    """Take over documents whose indexer died, metered to the API key that uploaded them.

    Returns how many were started. `application/tending.py` calls it again and again.
    """
    started = 0
    for tenant in tenants:
        home = home_of(tenant)
        if deps.tasks.full():
            break
        if deps.tasks.full(home.tenant_id):
            continue
        rows = await deps.manifest.claim(home.tenant_id, RESUME_DOCUMENTS_MAX, waiting.LEASE_S)
        for row in rows:
            if deps.tasks.full(home.tenant_id):
                break  # the claim runs out, and another call takes it up
            principal = Principal(tenant, row.api_key_id)
            deps.tasks.start(
                _resume(deps, principal, home, row), f"resume {row.id}", home.tenant_id
            )
            started += 1
    return started


async def _index(deps: Knowledge, work: Work, patience: Patience) -> DocumentRow:
    """The document's row once it is searched. NotFound where it was deleted meanwhile."""
    tenant_id, row = work.home.tenant_id, work.row
    before = None
    if row.replaces is not None:
        before = await deps.manifest.document(tenant_id, row.replaces)
    async with claimed(partial(deps.manifest.keep, tenant_id, row.id)):
        names = await _embed_and_publish(deps, work, patience)
    await forget_batches(deps, work.home, names)
    if before is not None:
        with suppress(TenantryError):  # else it is swept
            await deps.delete_original(work.home, before)
    found = await deps.manifest.document(tenant_id, row.document_id)
    if found is None:
        raise no_such_document()
    return found


async def _embed_and_publish(deps: Knowledge, work: Work, patience: Patience) -> list[str]:
    """Names of batches that are published now. A reindex that ends meanwhile takes all to another
    space, where the document is embedded again.
    """
    tenant_id, row = work.home.tenant_id, work.row
    payer = Payer(work.principal, work.request, patience)
    chunks = work.chunks

    async def told(done: int) -> None:
        progress = Progress(done, len(chunks))
        if not await deps.manifest.keep(tenant_id, row.id, waiting.LEASE_S, progress):
            raise no_such_document()

    for attempt in range(1, SPACES_MAX + 1):
        space = await patience(partial(deps.space, work.principal))
        chunks = await patience(partial(_chunks, deps, work, space))
        vectors, names = await embed_chunks(
            deps,
            work.home,
            row.content_hmac,
            chunks,
            payer,
            space,
            told,
            await _carried(deps, work, chunks, space),
        )
        document = Embedded(
            document_id=row.document_id,
            card=work.card,
            model=space.model,
            chunks=chunks,
            vectors=vectors,
            original_id=row.original_id,
            pages=work.pages,
        )
        try:
            if not await patience(partial(deps.vectors.publish, work.home, document)):
                raise no_such_document()
        except ValueError as error:
            raise UpstreamRubbish("The embedding model returned unusable vectors.") from error
        except Conflict:
            if attempt == SPACES_MAX or await deps.space(work.principal) == space:
                raise
            continue
        return names
    raise AssertionError("the last attempt returns or raises")


async def _carried(
    deps: Knowledge, work: Work, chunks: Sequence[Chunk], space: Space
) -> Mapping[str, array[float]]:
    """What the document that is replaced has of the same texts. None of it where that cannot be
    read: then all is embedded, as for a new one.
    """
    if work.row.replaces is None:
        return {}
    texts = frozenset(chunk.text for chunk in chunks)
    try:
        return await deps.vectors.vectors_of(work.home, space, work.row.replaces, texts)
    except TenantryError:
        return {}


async def _chunks(deps: Knowledge, work: Work, space: Space) -> Sequence[Chunk]:
    """As the space's model takes them: it may be another one than when the text was split."""
    limit = await deps.embedder.chunk_limit(work.principal, space)
    if limit == work.limit:
        return work.chunks
    return (await deps.read(work.home, work.row, limit)).chunks


def _code(error: Exception) -> str:
    return error.code if isinstance(error, TenantryError) else TenantryError.code


async def _resume(deps: Knowledge, principal: Principal, home: Home, row: DocumentRow) -> None:
    request = None if row.request_id is None else deps.embedder.background(row.request_id)
    async with claimed(partial(deps.manifest.keep, home.tenant_id, row.id)):
        try:
            limit = await deps.chunk_limit(principal)
            card, chunks, pages = await deps.read(home, row, limit)
        except NotFound:
            return  # deleted meanwhile
        except TenantryError as error:
            if isinstance(error, (Unavailable, Limited)) and not isinstance(error, Corrupt):
                raise  # the claim runs out, and another call takes it up
            await deps.manifest.fail(home.tenant_id, row.id, error.code)
            raise
    work = Work(principal, home, row, card, chunks, limit, request, pages=pages)
    await index_patiently(deps, work)
