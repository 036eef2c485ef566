"""A tenant's documents: list, get, content, delete. What the groups may not see is not there."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

from tenantry.application.knowledge import Knowledge, document_of, no_such_document
from tenantry.domain.access import may_see
from tenantry.domain.document import (
    READ_WHOLE_BYTES_MAX,
    Card,
    Document,
    DocumentRow,
    DocumentState,
    Home,
    home_of,
)
from tenantry.domain.errors import BadRequest, NotFound
from tenantry.domain.ids import DocumentId, is_id
from tenantry.domain.original import card_bytes
from tenantry.domain.tenant import Principal

PAGE_MAX = 100
PAGE_DEFAULT = 20
PAGE_BYTES_MAX = 1024 * 1024  # of cards on a page, if it has two; a page may come back short
SCANNED_MAX = 2_000  # rows a call looks at; a page may come back short, with a cursor
READ_BYTES_MAX = 16 * 1024 * 1024  # opened for one call, until it stops looking
_FIRST_ROWS = PAGE_DEFAULT + 1  # looked at together, until it is known what cards weigh here
_ROWS_MAX = 200
_LOOKS_MAX = 2  # at a document that is replaced while it is read

Sees = Callable[[Card], bool]
Shown = tuple[DocumentRow, Card]


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
    """Newest first. BadRequest for a limit or cursor that is none.

    `next_cursor` is there where a document follows that the groups may see, or where nobody knows
    yet: a call looks at `SCANNED_MAX` documents and opens about `READ_BYTES_MAX`.
    """
    if isinstance(limit, bool) or not 1 <= limit <= PAGE_MAX:
        raise BadRequest(f"`limit` must be a whole number from 1 to {PAGE_MAX}.")
    after = None
    if cursor is not None:
        if not is_id("doc", cursor):
            raise BadRequest("`cursor` is not one that this list returned.")
        after = DocumentId(cursor)
    home = home_of(principal.tenant)
    shown, following = await paged(
        deps, home, after, limit, lambda card: may_see(card.access, groups)
    )
    versions = await _versions(deps, home, [row for row, _ in shown])
    return Page([document_of(row, card, versions.get(row.id)) for row, card in shown], following)


async def paged(
    deps: Knowledge, home: Home, after: DocumentId | None, limit: int, sees: Sees
) -> tuple[Sequence[Shown], DocumentId | None]:
    """Documents older than `after` with their cards, and where to go on; None: at the end.

    A page ends before the card that makes it heavier than `PAGE_BYTES_MAX`.
    """
    shown: list[Shown] = []
    looked = read = weight = 0
    count = min(limit + 1, _FIRST_ROWS)
    while looked < SCANNED_MAX and read < READ_BYTES_MAX:
        rows = await deps.manifest.documents(home.tenant_id, after, count)
        cards = await _ready_cards(deps, home, rows)
        before = read, len(shown)
        for place, row in enumerate(rows, 1):
            after, looked = row.id, looked + 1
            card, opened = await _card(deps, home, row, cards)
            read += opened
            if card is not None and sees(card):
                weight += row.card_bytes or card_bytes(card)
                if len(shown) == limit or (shown and weight > PAGE_BYTES_MAX):
                    return shown, shown[-1][0].id
                shown.append((row, card))
            if read >= READ_BYTES_MAX and place < len(rows):
                break
        else:
            if len(rows) < count:
                return shown, None
        wanted = limit + 1 - len(shown)
        if 2 * (len(shown) - before[1]) < len(rows):
            wanted = max(wanted, 2 * count)  # most of them are not shown
        of_one = max(1, (read - before[0]) // len(rows))
        count = max(1, min(wanted, _ROWS_MAX, PAGE_BYTES_MAX // of_one))
    # Nobody looked further: where the page is full, what follows may be nothing to see.
    return shown, shown[-1][0].id if len(shown) == limit else after


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
    """The original as it was uploaded. NotFound as for `get_document`, and for an original of
    another card than the one that was decided on: a row names it in clear, and proves nothing.
    """
    home = home_of(principal.tenant)
    for _ in range(_LOOKS_MAX):
        row, seen = await visible(deps, home, document_id, groups)
        with suppress(NotFound):
            card, data = await deps.original(home, row)
            if _is_of(seen, card):
                return Content(card, data)
    raise no_such_document()


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
        await deps.delete_original(home, gone)


async def visible(
    deps: Knowledge, home: Home, document_id: str, groups: frozenset[str]
) -> tuple[DocumentRow, Card]:
    """A document that the groups may see. Else NotFound, also for one that is not there."""
    if not is_id("doc", document_id):
        raise no_such_document()
    row = await deps.manifest.document(home.tenant_id, DocumentId(document_id))
    if row is None:
        raise no_such_document()
    cards = await _ready_cards(deps, home, [row])
    card, _ = await _card(deps, home, row, cards)
    if card is None or not may_see(card.access, groups):
        raise no_such_document()
    return row, card


def _is_of(seen: Card, uploaded: Card) -> bool:
    """Whether both are of one upload. What was found in its bytes may be another type than was
    declared."""
    return replace(uploaded, content_type=seen.content_type) == seen


async def _versions(
    deps: Knowledge, home: Home, rows: Sequence[DocumentRow]
) -> dict[DocumentId, DocumentRow]:
    """What is on its way to take their places."""
    wanted = [row.id for row in rows]
    found = await deps.manifest.replacements(home.tenant_id, wanted) if wanted else []
    return {version.document_id: version for version in found}


async def _ready_cards(
    deps: Knowledge, home: Home, rows: Sequence[DocumentRow]
) -> Mapping[DocumentId, Card]:
    """Of ready documents, out of the partition; fewer where it cannot say."""
    ready = frozenset(row.id for row in rows if row.state is DocumentState.READY)
    return await deps.vectors.cards(home, ready) if ready else {}


async def _card(
    deps: Knowledge, home: Home, row: DocumentRow, cards: Mapping[DocumentId, Card]
) -> tuple[Card | None, int]:
    """One of `cards`, else the card as it was uploaded, and how many bytes that is reckoned as.
    None where the document was deleted between the two reads.
    """
    card = cards.get(row.id)
    if card is not None:
        return card, row.card_bytes or card_bytes(card)
    try:
        card, opened = await deps.card(home, row)
    except NotFound:
        return None, READ_WHOLE_BYTES_MAX
    return card, max(opened, READ_WHOLE_BYTES_MAX)
