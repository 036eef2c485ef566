"""Where a canary's passages rest, as the manifest names it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from tenantry.domain.ids import prefix_of
from tenantry.entrypoints.audit.canary import Canary
from tenantry.entrypoints.audit.ground import Ground

if TYPE_CHECKING:
    from tenantry.bootstrap.audit import LocalStores

SEALED: Final = "seg"  # of a segment in sealed partitions; in another engine it is that one's name
_LOOKS_MAX: Final = 20
_LOOK_EVERY_S: Final = 0.2  # a merge is soon after the upload, or not at all
_PLACES: Final = (
    "SELECT segment_id, original_id FROM tenantry.document"
    " WHERE tenant_id = $1 AND document_id = $2"
)
_NAMED: Final = "SELECT 1 FROM tenantry.document WHERE tenant_id = $1 AND segment_id = $2 LIMIT 1"
_ANY: Final = (
    "SELECT segment_id FROM tenantry.document"
    " WHERE tenant_id = $1 AND segment_id IS NOT NULL LIMIT 1"
)

_ROOM: Final = (
    "SELECT engine FROM tenantry.vector_room"
    " WHERE tenant_id = $1 AND ending IS NULL ORDER BY engine LIMIT 1"
)


def room_of(local: LocalStores, tenant_id: str) -> str | None:
    """An engine in which vectors of a tenant may be, also where no document names it any more."""
    rows = local.rows("control", _ROOM, tenant_id)
    return str(rows[0][0]) if rows else None


def engine_of(ground: Ground) -> str | None:
    """Where the canaries' passages rest; None where that cannot be seen."""
    if ground.local is None:
        return None
    rows = ground.local.rows("app", _ANY, ground.a.id, tenant=ground.a.id)
    return prefix_of(rows[0][0]) if rows else None


def places(ground: Ground, who: Canary, document: str) -> tuple[str, str]:
    """A document's segment and its original."""
    assert ground.local is not None, "asked where it is local"
    rows = ground.local.rows("app", _PLACES, who.id, document, tenant=who.id)
    ((segment, original),) = rows
    return str(segment), str(original)


def settled_places(ground: Ground, who: Canary, document: str) -> tuple[str, str]:
    """The same, once no merge takes the document elsewhere."""
    found = places(ground, who, document)
    for _ in range(_LOOKS_MAX):
        time.sleep(_LOOK_EVERY_S)
        before, found = found, places(ground, who, document)
        if before == found:
            break
    return found


def is_named(ground: Ground, who: Canary, segment: str) -> bool:
    """Whether a search would still read this segment."""
    assert ground.local is not None, "asked where it is local"
    return bool(ground.local.rows("app", _NAMED, who.id, segment, tenant=who.id))
