"""Orphans: objects that a crash left without a commit that names them."""

from __future__ import annotations

from tenantry.domain.document import Home
from tenantry.ports.manifest import Manifest
from tenantry.ports.objects import ObjectKind, Objects

ORPHAN_AGE_S = 3_600.0  # far longer than an upload takes between object and commit


async def sweep_orphans(
    home: Home, objects: Objects, manifest: Manifest, *, age_s: float = ORPHAN_AGE_S
) -> int:
    """Delete the tenant's originals and segments that no row names. Returns how many."""
    deleted = 0
    for kind in (ObjectKind.ORIGINAL, ObjectKind.SEGMENT):
        entries = await objects.list(home, kind)
        # Read after the listing: what was named in between is then known.
        named = await manifest.objects(home.tenant_id)
        for entry in entries:
            if entry.object_id not in named and entry.age_s >= age_s:
                await objects.delete(home, kind, entry.object_id)
                deleted += 1
    return deleted
