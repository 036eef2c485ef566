"""What knowledge needs although nobody asks.

| every | does |
|---|---|
| `RESUME_EVERY_S` | takes over documents and reindexes whose process died |
| `SWEEP_EVERY_S` | deletes objects that a crash left without a commit that names them |
| `SWEEP_EVERY_S` | the same of what rests in a vector engine |

Owns: when, and for which tenants. Several processes may tend at once: claims and ages keep them
from harm.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from tenantry.application.indexing import resume_indexing
from tenantry.application.knowledge import Knowledge
from tenantry.application.reindexing import Reindexing
from tenantry.domain.document import Home, home_of
from tenantry.domain.errors import NotFound, TenantryError
from tenantry.domain.tenant import TenantStatus
from tenantry.ports.control import ControlPlane
from tenantry.ports.manifest import Manifest, Unfinished
from tenantry.ports.objects import ObjectKind, Objects

RESUME_EVERY_S = 15.0
RESUME_TENANTS_MAX = 64  # a round; the next one takes the others
SWEEP_EVERY_S = 3_600.0
ORPHAN_AGE_S = 3_600.0  # far longer than an upload takes between object and commit
_TENANTS_PAGE = 100
_log = logging.getLogger(__name__)


async def tend(
    knowledge: Knowledge, reindexing: Reindexing, unfinished: Unfinished, control: ControlPlane
) -> None:
    """Runs until it is cancelled; a refusal or an outage waits for the next round."""

    async def resume_all() -> object:
        return await resume(knowledge, unfinished, control, reindexing)

    async def sweep_all() -> object:
        return await sweep(knowledge, control)

    async def sweep_engine() -> object:
        return await sweep_vectors(knowledge, control)

    async with asyncio.TaskGroup() as rounds:
        rounds.create_task(_every(RESUME_EVERY_S, resume_all))
        rounds.create_task(_every(SWEEP_EVERY_S, sweep_engine))
        rounds.create_task(_every(SWEEP_EVERY_S, sweep_all))


async def resume(
    knowledge: Knowledge,
    unfinished: Unfinished,
    control: ControlPlane,
    reindexing: Reindexing | None = None,
) -> int:
    """One round over the tenants that have something unfinished. Returns how much was begun."""
    tenants = []
    for tenant_id in await unfinished.tenants(RESUME_TENANTS_MAX):
        try:
            tenant = await control.get_tenant(tenant_id)
        except NotFound:
            continue  # gone since
        if tenant.status is not TenantStatus.SHREDDED:
            tenants.append(tenant)
    begun = await resume_indexing(knowledge, tenants)
    return begun if reindexing is None else begun + await reindexing.resume(tenants)


async def sweep(knowledge: Knowledge, control: ControlPlane) -> int:
    """One round over all tenants. Returns how many objects were deleted."""
    deleted, after = 0, None
    while page := await control.list_tenants(after=after, limit=_TENANTS_PAGE):
        for tenant in page:
            try:
                deleted += await sweep_orphans(
                    home_of(tenant), knowledge.objects, knowledge.manifest
                )
            except TenantryError as refusal:  # one tenant's, which the others do not wait for
                _log.warning("objects of %s are swept later: %s", tenant.id, refusal.message)
        after = page[-1].id
    return deleted


async def sweep_vectors(knowledge: Knowledge, control: ControlPlane) -> int:
    """One round over all tenants, apart from that of objects: an engine may be down."""
    deleted, after = 0, None
    while page := await control.list_tenants(after=after, limit=_TENANTS_PAGE):
        for tenant in page:
            try:
                deleted += await knowledge.vectors.sweep(home_of(tenant), ORPHAN_AGE_S)
            except TenantryError as refusal:
                _log.warning("vectors of %s are swept later: %s", tenant.id, refusal.message)
        after = page[-1].id
    return deleted


async def sweep_orphans(
    home: Home, objects: Objects, manifest: Manifest, *, age_s: float = ORPHAN_AGE_S
) -> int:
    """Delete the tenant's objects of knowledge that no row names. Returns how many."""
    deleted = 0
    for kind in (ObjectKind.ORIGINAL, ObjectKind.SEGMENT, ObjectKind.BATCH):
        entries = await objects.list(home, kind)
        # Read after the listing: what was named in between is then known.
        named = await manifest.objects(home.tenant_id) if entries else frozenset()
        for entry in entries:
            if entry.object_id not in named and entry.age_s >= age_s:
                await objects.delete(home, kind, entry.object_id)
                deleted += 1
    return deleted


async def _every(seconds: float, step: Callable[[], Awaitable[object]]) -> None:
    while True:
        try:
            await step()
        except TenantryError as refusal:
            _log.warning("knowledge is tended later: %s", refusal.message)
        except Exception:
            # A fault of ours in one round must not end all later ones.
            _log.exception("a round of tending knowledge failed")
        await asyncio.sleep(seconds)
