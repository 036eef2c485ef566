"""A tenant's documents: list, get, content, delete. What the groups may not see is not there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tenantry.application.knowledge import Knowledge, document_of, no_such_document
from tenantry.domain.access import may_see
from tenantry.domain.document import Card, Document, DocumentRow, DocumentState, Home, home_of
from tenantry.domain.errors import BadRequest, NotFound
from tenantry.domain.ids import DocumentId, is_id
from tenantry.domain.tenant import Principal
from tenantry.ports.objects import ObjectKind

PAGE_MAX = 100
PAGE_DEFAULT = 20
SCANNED_MAX = 2_000  # rows a call looks at; a page may come back short, with a cursor
_BATCH = 200


@dataclass(frozen=True, slots=True)
class Page:
    documents: Sequence[Document]
    next_cursor: str | None  # None: there are no more


@dataclass(frozen=True, slots=True)
class Content:
    """The bytes as uploaded. `card.content_type` is what the uploader declared."""

    card: Card
    data: bytes


async def list_documents(
    deps: Knowledge,
    principal: Principal,
    *,
    groups: frozenset[str] = frozenset(),
    cursor: str | None = None,
    limit: int = PAGE_DEFAULT,
) -> Page:
    """Newest first. BadRequest for a limit or cursor that is none."""
    if isinstance(limit, bool) or not 1 <= limit <= PAGE_MAX:
        raise BadRequest(f"`limit` must be a whole number from 1 to {PAGE_MAX}.")
    after = None
    if cursor is not None:
        if not is_id("doc", cursor):
            raise BadRequest("`cursor` is not one that this list returned.")
        after = DocumentId(cursor)
    home = home_of(principal.tenant)
    seen: list[Document] = []
    for _ in range(0, SCANNED_MAX, _BATCH):
        rows = await deps.manifest.documents(home.tenant_id, after, _BATCH)
        cards = await _cards(deps, home, rows)
        versions = await _versions(deps, home, rows)
        for row in rows:
            after = row.id
            card = cards.get(row.id)
            if card is not None and may_see(card.access, groups):
                seen.append(document_of(row, card, versions.get(row.id)))
                if len(seen) == limit:
                    more = row is not rows[-1] or len(rows) == _BATCH
                    return Page(seen, row.id if more else None)
        if len(rows) < _BATCH:
            return Page(seen, None)
    return Page(seen, after)


async def get_document(
    deps: Knowledge,
    principal: Principal,
    document_id: str,
    *,
    groups: frozenset[str] = frozenset(),
) -> Document:
    """One document. NotFound also for another tenant's, and for what the groups may not see."""
    home = home_of(principal.tenant)
    row, card = await visible(deps, home, document_id, groups)
    versions = await _versions(deps, home, [row])
    return document_of(row, card, versions.get(row.id))


async def document_content(
    deps: Knowledge,
    principal: Principal,
    document_id: str,
    *,
    groups: frozenset[str] = frozenset(),
) -> Content:
    """The original as it was uploaded. NotFound as for `get_document`."""
    home = home_of(principal.tenant)
    row, _ = await visible(deps, home, document_id, groups)
    try:
        card, data = await deps.original(home, row)
    except NotFound:
        raise no_such_document() from None
    return Content(card, data)


async def delete_document(
    deps: Knowledge,
    principal: Principal,
    document_id: str,
    *,
    groups: frozenset[str] = frozenset(),
) -> None:
    """Gone from the next search on, on every worker. NotFound as for `get_document`, Conflict as
    for `Vectors.check_reach`."""
    home = home_of(principal.tenant)
    row, _ = await visible(deps, home, document_id, groups)
    await deps.vectors.check_reach(home.tenant_id)
    versions = await _versions(deps, home, [row])
    removed = await deps.vectors.remove(home, row.id)
    if removed is None:
        raise no_such_document()
    # Vectors that were kept for it are named no more, and swept.
    for gone in (removed, *versions.values()):
        await deps.objects.delete(home, ObjectKind.ORIGINAL, gone.original_id)


async def visible(
    deps: Knowledge, home: Home, document_id: str, groups: frozenset[str]
) -> tuple[DocumentRow, Card]:
    """A document that the groups may see. Else NotFound, also for one that is not there."""
    if not is_id("doc", document_id):
        raise no_such_document()
    row = await deps.manifest.document(home.tenant_id, DocumentId(document_id))
    if row is None:
        raise no_such_document()
    card = (await _cards(deps, home, [row])).get(row.id)
    if card is None or not may_see(card.access, groups):
        raise no_such_document()
    return row, card


async def _versions(
    deps: Knowledge, home: Home, rows: Sequence[DocumentRow]
) -> dict[DocumentId, DocumentRow]:
    """What is on its way to take their places."""
    wanted = [row.id for row in rows]
    found = await deps.manifest.replacements(home.tenant_id, wanted) if wanted else []
    return {version.document_id: version for version in found}


async def _cards(
    deps: Knowledge, home: Home, rows: Sequence[DocumentRow]
) -> dict[DocumentId, Card]:
    """Cards of ready documents out of the partition, of others out of their originals."""
    ready = frozenset(row.id for row in rows if row.state is DocumentState.READY)
    cards = dict(await deps.vectors.cards(home, ready)) if ready else {}
    for row in rows:
        if row.id in cards:
            continue
        try:
            cards[row.id], _ = await deps.original(home, row)
        except NotFound:
            continue  # deleted between the two reads
    return cards
