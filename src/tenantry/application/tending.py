"""What knowledge needs although nobody asks.

| every | does |
|---|---|
| `RESUME_EVERY_S` | takes over documents and reindexes whose process died |
| `SWEEP_EVERY_S` | deletes what a user's deletion has left, where its process died or was ended |
| `SWEEP_EVERY_S` | discards objects that a crash left without a commit that names them |
| `SWEEP_EVERY_S` | deletes from the trash what has been there for long enough |
| `SWEEP_EVERY_S` | the same of what rests in a vector engine |
| `MARK_EVERY_S` | moves the mark on by which database and objects are known to belong together |

Owns: when, and for which tenants. Several processes may tend at once: claims and ages keep them
from harm. Invariant: nothing is deleted by rows of a database that the objects do not belong to, as
after it was restored (`belonging.py`).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from tenantry.application.belonging import Belonging
from tenantry.application.indexing import resume_indexing
from tenantry.application.knowledge import Knowledge
from tenantry.application.pages import every_tenant
from tenantry.application.reindexing import Reindexing
from tenantry.domain.document import Home, home_of
from tenantry.domain.errors import NotFound, TenantryError
from tenantry.domain.tenant import TenantStatus
from tenantry.ports.control import ControlPlane
from tenantry.ports.manifest import Manifest, Unfinished
from tenantry.ports.objects import ObjectKind, Objects, name_in_trash

RESUME_EVERY_S = 15.0
RESUME_TENANTS_MAX = 64  # a round; the next one takes the others
SWEEP_EVERY_S = 3_600.0
MARK_EVERY_S = 60.0  # what a restore takes back is seen where it is more
ORPHAN_AGE_S = 3_600.0  # far longer than an upload takes between object and commit
DELETED_AGE_S = 60.0  # longer than a search may still read a segment that was emptied
DELETED_PAGE = 500
DELETED_PAGES_MAX = 200  # a round of a tenant; the next one goes on
SWEPT = (ObjectKind.ORIGINAL, ObjectKind.CARD, ObjectKind.SEGMENT, ObjectKind.BATCH)
_log = logging.getLogger(__name__)


async def tend(
    knowledge: Knowledge,
    reindexing: Reindexing,
    unfinished: Unfinished,
    control: ControlPlane,
    belonging: Belonging,
) -> None:
    """Runs until it is cancelled; a refusal or an outage waits for the next round."""

    async def resume_all() -> object:
        return await resume(knowledge, unfinished, control, reindexing)

    async def sweep_all() -> object:
        return await sweep(knowledge, control, belonging)

    async def sweep_engine() -> object:
        return await sweep_vectors(knowledge, control, belonging)

    async with asyncio.TaskGroup() as rounds:
        rounds.create_task(_every(RESUME_EVERY_S, resume_all))
        rounds.create_task(_every(MARK_EVERY_S, belonging.move_on))
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


async def sweep(knowledge: Knowledge, control: ControlPlane, belonging: Belonging) -> int:
    """One round over all tenants. Returns how many objects that no row named were discarded."""
    if not await belonging.move_on():
        return 0
    discarded, deleted = 0, 0
    async for tenant in every_tenant(control):
        try:
            of = (home_of(tenant), knowledge.objects, knowledge.manifest, belonging.holds)
            await delete_noted(*of)
            discarded += await sweep_orphans(*of)
            deleted += await empty_trash(*of)
        except TenantryError as refusal:  # one tenant's, which the others do not wait for
            _log.warning("objects of %s are swept later: %s", tenant.id, refusal.message)
    if discarded or deleted:
        how = "put into the trash" if knowledge.objects.trash_s else "deleted"
        _log.warning(
            "objects that no row names: %d %s; %d of before deleted out of the trash",
            discarded,
            how,
            deleted,
        )
    return discarded


async def sweep_vectors(knowledge: Knowledge, control: ControlPlane, belonging: Belonging) -> int:
    """One round over all tenants, apart from that of objects: an engine may be down."""
    if not await belonging.move_on():
        return 0
    deleted = 0
    async for tenant in every_tenant(control):
        try:
            if await belonging.holds():
                deleted += await knowledge.vectors.sweep(home_of(tenant), ORPHAN_AGE_S)
        except TenantryError as refusal:
            _log.warning("vectors of %s are swept later: %s", tenant.id, refusal.message)
    return deleted


async def sweep_orphans(
    home: Home,
    objects: Objects,
    manifest: Manifest,
    may_delete: Callable[[], Awaitable[bool]],
    *,
    age_s: float = ORPHAN_AGE_S,
) -> int:
    """Discard the tenant's objects of knowledge that no row names. Returns how many.

    `may_delete` is asked once the rows are read: a database that was exchanged before that is seen.
    """
    discarded = 0
    for kind in SWEPT:
        entries = await objects.list(home, kind)
        # Read after the listing: what was named in between is then known.
        named = await manifest.objects(home.tenant_id) if entries else frozenset()
        orphans = [
            entry.object_id
            for entry in entries
            if entry.object_id not in named and entry.age_s >= age_s
        ]
        if not orphans or not await may_delete():
            continue
        deleted = await manifest.deleted_of(home.tenant_id, orphans)
        for object_id in orphans:
            if object_id in deleted:  # by a user, for good
                await objects.delete(home, kind, object_id)
            else:
                discarded += await objects.discard(home, kind, object_id)
    return discarded


async def delete_noted(
    home: Home,
    objects: Objects,
    manifest: Manifest,
    may_delete: Callable[[], Awaitable[bool]],
) -> None:
    """Delete what a user's deletions have left, also out of the trash. Idempotent: a note is
    forgotten once its object is gone."""
    for _ in range(DELETED_PAGES_MAX):
        noted = await manifest.deletions(home.tenant_id, DELETED_AGE_S, DELETED_PAGE)
        if not noted or not await may_delete():
            return
        for kind, name in noted:
            await objects.delete(home, kind, name)
            await objects.delete(home, ObjectKind.TRASH, name_in_trash(kind, name))
            if kind is ObjectKind.ORIGINAL:  # the card rests beside a large one, of the same name
                await objects.delete(home, ObjectKind.CARD, name)
        await manifest.forget_deletions(home.tenant_id, [each.name for each in noted])
        if len(noted) < DELETED_PAGE:
            return


async def empty_trash(
    home: Home, objects: Objects, manifest: Manifest, may_delete: Callable[[], Awaitable[bool]]
) -> int:
    """Delete what was discarded long enough ago, and is not named again. Returns how many."""
    entries = await objects.list(home, ObjectKind.TRASH)
    old = [entry.object_id for entry in entries if entry.age_s >= objects.trash_s]
    if not old:
        return 0
    named = await manifest.objects(home.tenant_id)
    wanted = {name_in_trash(kind, name) for kind in SWEPT for name in named}
    if not await may_delete():
        return 0
    for object_id in (gone := [each for each in old if each not in wanted]):
        await objects.delete(home, ObjectKind.TRASH, object_id)
    return len(gone)


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
