"""Taking a document in.

| # | step | durable after it | fails with |
|---|---|---|---|
| 1 | extract the text, split it into chunks that the model takes | nothing | 400, 413, 415 |
| 2 | look for the same upload by its keyed digest | nothing | 503 |
| 3 | seal card and original, put them as one object | an orphan, swept if nobody names it | 503 |
| 4 | insert the row within the plan's limits | the document, as `indexing` | 409, 429, 503 |
| 5 | embed the chunks in batches, each metered and kept | each batch | 402, 429, 503 |
| 6 | seal a segment, put it, publish it with the row | the document, `ready` | 409, 503 |

The card of a large original rests beside it as well, so that lists need not open the whole.

Up to `READY_AT_ONCE_BYTES` the caller waits for step 6, and a refusal in 5 or 6 takes the document
back: nothing is half done. The same upload sent again meanwhile waits a little for the first, so
that it is seldom told of a document that is taken back: after a crash nobody ends what was begun
before its claim has run out. Larger uploads return after step 4. Steps 5 and 6
(`indexing.py`) run in an owned task that the caller's going away does not stop; a claim in the
manifest keeps other processes from doing them twice, and `resume_indexing` takes over the claims of
dead ones.

An upload is known again among documents that its caller sees. One that it will not see itself, by
the upload's own tags, is known again to callers of the same user and groups, who sent it, and tells
nobody else that it is there: they have a document of their own.

A replacement goes the same way: its row is a version beside the document, which is searched as it
was until step 6, and the version alone from that commit on.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Final
from uuid import UUID

from tenantry.application import patience
from tenantry.application.documents import visible
from tenantry.application.indexing import Work, index_or_withdraw, index_patiently, withdraw
from tenantry.application.knowledge import Knowledge, document_of, pages_of
from tenantry.domain.access import may_see
from tenantry.domain.document import (
    Card,
    Document,
    DocumentLimits,
    DocumentRow,
    DocumentState,
    Home,
    home_of,
    limits_of,
)
from tenantry.domain.errors import Conflict, Limited, NotFound, TenantryError, TooLarge
from tenantry.domain.ids import DocumentId, prefixed, uuid7
from tenantry.domain.original import card_bytes, pack_original
from tenantry.domain.tenant import Principal
from tenantry.domain.upload import READY_AT_ONCE_BYTES, Upload
from tenantry.ports.keys import Purpose
from tenantry.ports.manifest import Inserted

_UNSEEN: Final = b"unseen/v1/"  # no upload begins so: `pack_original`
SAME_UPLOAD_WAIT_S: Final = 5.0  # for a request that takes the same in; a dead one never ends
WAITING_MAX: Final = 64  # requests that wait so in one process; others are told at once
WAITING_OF_ONE_MAX: Final = 16  # of one tenant


@dataclass(frozen=True, slots=True)
class Ingested:
    document: Document
    created: bool  # False: the same upload was there already (200 instead of 201)


@dataclass(frozen=True, slots=True)
class Caller:
    """Who sends an upload, as its request says: what tells callers of one tenant apart."""

    user: str | None = None
    groups: frozenset[str] = frozenset()


NOBODY: Final = Caller()  # a program of the tenant's, which sees documents without tags alone


@dataclass(frozen=True, slots=True)
class _Target:
    """The document that an upload replaces, as it is seen now."""

    row: DocumentRow
    card: Card


async def ingest(
    deps: Knowledge,
    principal: Principal,
    upload: Upload,
    request: object | None = None,
    *,
    request_id: UUID | None = None,
    caller: Caller = NOBODY,
) -> Ingested:
    """Take an upload in. Idempotent: the same card and bytes give the same document, to all who see
    it, and to the caller.

    `request` is handed to the embedder; `request_id` is the one that counts for the day, whichever
    process has it admitted.
    """
    return await _take_in(deps, principal, upload, request, request_id, caller, None)


async def replace_document(
    deps: Knowledge,
    principal: Principal,
    document_id: str,
    upload: Upload,
    request: object | None = None,
    *,
    request_id: UUID | None = None,
    caller: Caller = NOBODY,
) -> Ingested:
    """Put an upload in a document's place; the id stays. Idempotent as `ingest` is.

    NotFound for another tenant's document, and for what the caller may not see. Conflict while it
    is being indexed or replaced, and where another document is the same upload. A refusal leaves
    the document as it was.
    """
    row, card = await visible(deps, home_of(principal.tenant), document_id, caller.groups)
    target = _Target(row, card)
    return await _take_in(deps, principal, upload, request, request_id, caller, target)


async def _take_in(
    deps: Knowledge,
    principal: Principal,
    upload: Upload,
    request: object | None,
    request_id: UUID | None,
    caller: Caller,
    target: _Target | None,
) -> Ingested:
    home = home_of(principal.tenant)
    limits = limits_of(principal.tenant)
    _check_size(len(upload.data), limits)
    extracted = await deps.extractor.extract(
        upload.data, upload.card.content_type, upload.card.file_name, home.tenant_id
    )
    card = replace(upload.card, content_type=extracted.content_type)
    limit = await deps.chunk_limit(principal)
    chunks = await deps.splitter.split(extracted.text, extracted.content_type, limit)
    await deps.keys.create(home)
    # The declared type belongs to the upload: it decides how the bytes are read.
    plain = pack_original(upload.card, upload.data)
    digest = await _digest(deps, home, plain, upload.card, caller)
    at_once = len(upload.data) <= READY_AT_ONCE_BYTES
    until = deps.clock.monotonic() + SAME_UPLOAD_WAIT_S
    while True:
        held = await deps.manifest.by_content(home.tenant_id, digest) if target is None else None
        if held is None or held.state is DocumentState.FAILED:
            deps.tasks.check(home.tenant_id)
            row = _row(deps, principal, digest, upload, len(chunks), request_id, target)
            inserted = await _register(deps, home, row, upload.card, plain, limits)
            if inserted.created:
                break
            held = inserted.row
        # Who takes the same in just now may have to take it back: then it is for us to do.
        wait = at_once and held.state is DocumentState.INDEXING
        if not (wait and await _ended(deps, home, digest, until)):
            return _there_already(held, card, target)
    pages = pages_of(extracted)
    work = Work(
        principal, home, inserted.row, card, chunks, limit, request, inserted.restarted, pages
    )
    indexing = await _started(deps, work, at_once)
    if at_once:
        # Shielded: a caller that hangs up does not leave its document half indexed.
        return Ingested(document_of(await asyncio.shield(indexing), card), created=True)
    if target is None or inserted.restarted:
        return Ingested(document_of(inserted.row, card), created=True)
    return Ingested(document_of(target.row, target.card, inserted.row), created=True)


async def _digest(deps: Knowledge, home: Home, plain: bytes, card: Card, caller: Caller) -> bytes:
    """What the upload is known by, so that its caller is told of no document that it cannot see."""
    content = await asyncio.to_thread(lambda: hashlib.sha256(plain).digest())
    if may_see(card.access, caller.groups):
        digest = await deps.sealer.digest(home, Purpose.CONTENT_HMAC, content)
        held = await deps.manifest.by_content(home.tenant_id, digest)
        if held is None or held.replaces is None:
            return digest
        # It is on its way into the place of a document that may have other tags until then.
        with suppress(NotFound):
            await visible(deps, home, held.replaces, caller.groups)
            return digest
    told = json.dumps([caller.user, sorted(caller.groups)]).encode()
    own = hashlib.sha256(_UNSEEN + content + told).digest()
    return await deps.sealer.digest(home, Purpose.CONTENT_HMAC, own)


async def _ended(deps: Knowledge, home: Home, digest: bytes, until: float) -> bool:
    """Waits until nobody takes this content in any more. False where that takes too long, or where
    as many wait as may.
    """
    if deps.waiting.total() >= WAITING_MAX or deps.waiting[home.tenant_id] >= WAITING_OF_ONE_MAX:
        return False
    deps.waiting[home.tenant_id] += 1
    try:
        pause_s = 0.05
        while deps.clock.monotonic() < until:
            held = await deps.manifest.by_content(home.tenant_id, digest)
            if held is None or held.state is not DocumentState.INDEXING:
                return True
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, 0.5)
        return False
    finally:
        deps.waiting[home.tenant_id] -= 1
        if not deps.waiting[home.tenant_id]:
            del deps.waiting[home.tenant_id]


async def _started(deps: Knowledge, work: Work, at_once: bool) -> asyncio.Task[DocumentRow]:
    """Steps 5 and 6 under way. Others may have taken the places that were free before step 3."""
    index = index_or_withdraw if at_once else index_patiently
    try:
        return deps.tasks.start(index(deps, work), f"index {work.row.id}", work.home.tenant_id)
    except TenantryError as error:
        await withdraw(deps, work, error)
        raise


def _there_already(row: DocumentRow, card: Card, target: _Target | None) -> Ingested:
    """The same upload is the document, or is on its way to be."""
    if target is not None and row.replaces is not None:
        return Ingested(document_of(target.row, target.card, row), created=False)
    return Ingested(document_of(row, card), created=False)


def _check_size(size_bytes: int, limits: DocumentLimits) -> None:
    most = limits.document_bytes_max
    if most is not None and size_bytes > most:
        raise TooLarge(
            f"The plan allows documents of {most // 1_000_000:,} MB (document_max_mb).",
            limit="document_max_mb",
        )


def _row(
    deps: Knowledge,
    principal: Principal,
    digest: bytes,
    upload: Upload,
    passages: int,
    request_id: UUID | None,
    target: _Target | None,
) -> DocumentRow:
    now = deps.clock.now()
    row_id = prefixed("doc", uuid7(int(now.timestamp() * 1000), deps.clock.random(10)))
    return DocumentRow(
        id=DocumentId(row_id),
        state=DocumentState.INDEXING,
        content_hmac=digest,
        original_id=deps.object_id(),
        original_bytes=len(upload.data),
        api_key_id=principal.api_key_id,
        passages=0,
        created_at=now,
        updated_at=now,
        replaces=None if target is None else target.row.id,
        passages_total=passages,
        request_id=request_id,
        card_bytes=card_bytes(upload.card),
    )


async def _register(
    deps: Knowledge,
    home: Home,
    row: DocumentRow,
    card: Card,
    plain: bytes,
    limits: DocumentLimits,
) -> Inserted:
    """Steps 3 and 4. An original that lost a race or broke a limit is deleted again."""
    await deps.put_original(home, row, card, plain)
    try:
        inserted = await deps.manifest.insert(home.tenant_id, row, limits, patience.LEASE_S)
    except (Limited, Conflict, NotFound):
        await deps.delete_original(home, row)
        raise
    # Any other error leaves the commit unknown: the object stays until the sweep knows.
    if not inserted.created:
        await deps.delete_original(home, row)
    return inserted
