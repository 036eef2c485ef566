"""The end of a tenant, in steps that may be cut off anywhere and are taken up again.

| # | step | done when |
|---|---|---|
| 1 | one commit: status `shredded`, API keys revoked | it is refused everywhere |
| 2 | its own root key retired, every copy of the wrapped key deleted | no new process can open it |
| 3 | supervisors and workers see step 2 and roll | each process from before has been seen to end |
| 4 | both looked at again: a process of before may have made a key | no key opens |
| 5 | what there is counted, then erased: objects, batch files, rows | nothing is listed any more |
| 6 | the certificate signed | it is kept for good |

Owns: the order. Does not own: how workers roll (`entrypoints/`), who may ask for it. Invariants: a
step's instant is written after the step; nothing is certified that was not seen; whoever goes on,
the command line or the background worker, several at once, the outcome is the same.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Final

from tenantry.application.root_keys import RootKeys
from tenantry.application.round import Round
from tenantry.application.shred_turns import ShredTurns
from tenantry.domain.batch import records_uri
from tenantry.domain.document import Home, home_of
from tenantry.domain.errors import (
    BadRequest,
    Conflict,
    Corrupt,
    NotFound,
    TenantryError,
    Unavailable,
)
from tenantry.domain.ids import TenantId
from tenantry.domain.placement import NO_ACCOUNT
from tenantry.domain.shred import Holder, InvocationLog, Shred, certificate_content
from tenantry.domain.tenant import Tenant
from tenantry.ports.archive import Signer
from tenantry.ports.batch import BatchJob, Buckets
from tenantry.ports.control import ControlPlane
from tenantry.ports.keys import Purpose
from tenantry.ports.objects import ObjectKind, Objects
from tenantry.ports.shred import KeyHolders, ShredBook, TenantContent, TenantKeys
from tenantry.ports.vector_rooms import VectorRooms
from tenantry.ports.vectors import Vectors

SHRED_EVERY_S: Final = 2.0
DELETIONS_MAX: Final = 16  # objects at once
LATE_AFTER: Final = timedelta(days=1)  # then operators are told of a shred that is not finished
NAMED_MAX: Final = 5  # jobs and processes in one line
NOT_THERE: Final = (
    "The key store does not have the key that this tenant had, so it cannot be destroyed. The shred"
    " goes on once the key is there, as where another key store was meant, or once it is given up"
    " for lost: tenantry tenants adopt-key."
)
MISPLACED: Final = (
    "The key store has the key of another tenant, or of another version, in the place of one of"
    " this tenant's. The shred goes on once each is back in its own place."
)
FAULT: Final = "a fault of Tenantry's own, which its log shows"
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Shredder:
    """What a shred works with."""

    control: ControlPlane
    book: ShredBook
    holders: KeyHolders
    content: TenantContent
    keys: TenantKeys
    roots: RootKeys
    objects: Objects
    vectors: Vectors
    buckets: Buckets
    signer: Signer
    log_of: Callable[[str, str | None], InvocationLog]  # of an account: as its placement says
    rooms: VectorRooms


@dataclass(frozen=True, slots=True)
class Progress:
    """How far it is, and what it waits for; nothing where it is certified."""

    shred: Shred
    processes: Sequence[Holder] = ()
    jobs: Sequence[BatchJob] = ()

    def waits(self) -> str:
        """What for, in one line, with the first few by name."""
        if self.jobs:
            ids = _some(sorted(str(job.request_id) for job in self.jobs))
            return f"waits for batch jobs to end, of which usage is not told yet: {ids}"
        names = sorted({f"{p.host_name} {p.kind} {p.pid}" for p in self.processes})
        return f"waits for processes to make place for others: {_some(names)}"


@dataclass(frozen=True, slots=True)
class Shreds:
    """What asks for a shred and tells of it; the background worker does the rest."""

    control: ControlPlane
    book: ShredBook
    signer: Signer
    vectors: Vectors
    roots: RootKeys


async def begin_shred(shreds: Shreds | Shredder, name: str, confirmed: str, by: str) -> Shred:
    """Step 1. From its commit on the tenant is refused, and there is no way back.

    BadRequest where `confirmed` is not the tenant's name, letter by letter. Conflict where vectors
    of it rest in an engine that is not configured here, and could not be deleted there, and where
    others need the KMS key that would be retired.
    """
    tenant = await shreds.control.get_tenant(name)
    if await shreds.book.get(tenant.id) is None:
        if confirmed != tenant.name:
            raise BadRequest("The tenant's name must be repeated as it is; nothing was shredded.")
        await shreds.vectors.check_reach(tenant.id)
        with contextlib.suppress(Unavailable):  # looked at again before any is retired
            await shreds.roots.check_alone(home_of(tenant))
    return await shreds.book.begin(tenant.id, by)


async def advance_shred(shredder: Shredder, tenant_id: TenantId) -> Progress:
    """Every step that can be done now. NotFound where no shred was begun."""
    book = shredder.book
    shred = await book.get(tenant_id)
    if shred is None:
        raise NotFound("The tenant is not being shredded.")
    if shred.step == "certified":
        return Progress(shred)
    tenant = await shredder.control.get_tenant(tenant_id)
    home = home_of(tenant)
    if shred.keys_destroyed_at is None:
        shred = await _destroy_keys(shredder, tenant_id, await _key_homes(shredder, home))
    assert shred.keys_destroyed_at is not None
    if shred.processes_at is None:
        waiting = await shredder.holders.before(shred.keys_destroyed_at, shred.keys_destroyed_at)
        waiting = [each for each in waiting if each.ended_at is None]
        if waiting:
            return Progress(shred, processes=waiting)
        shred = await book.processes_ended(tenant_id)
    jobs = [job for job in await shredder.content.jobs(tenant_id) if _runs(job)]
    if jobs:  # what they used is told by their output, which only then may go
        return Progress(shred, jobs=jobs)
    if shred.erased_at is None:
        homes = await _key_homes(shredder, home)
        await _check_in_place(shredder, homes)  # again: keys may have been brought back meanwhile
        for each in homes:
            await _retire(shredder, each)
            await _destroy_again(shredder, each)
        shred = await _erase(shredder, shred, home)
    return Progress(await _certify(shredder, shred, tenant))


def shred_round(shredder: Shredder, monotonic: Callable[[], float]) -> Round:
    """What goes on with shreds that nobody waits for any more. One that is late is told of when
    what it waits for changes, and once a day; one that could not go on has its turn later."""
    turns = ShredTurns(shredder.book, shredder.keys, monotonic)
    told: dict[TenantId, tuple[str, date]] = {}

    async def tell(shred: Shred, what: str) -> None:
        now = await shredder.book.now()
        if now - shred.asked_at <= LATE_AFTER:
            return
        line = (what, now.date())
        if told.get(shred.tenant_id) != line:
            told[shred.tenant_id] = line
            asked = f"the shred of {shred.tenant_id}, asked for on {shred.asked_at:%Y-%m-%d}"
            _log.warning("alert: %s, is not finished: it %s", asked, what)

    async def stuck(tenant_id: TenantId, problem: Exception) -> None:
        """Kept for whoever asks, and told when it changes."""
        await turns.failed(tenant_id, problem)
        is_ours = not isinstance(problem, TenantryError)
        why = FAULT if is_ours else str(problem)
        if await shredder.book.troubled(tenant_id, why):
            trace = problem if is_ours else None
            _log.warning("the shred of %s cannot go on: %s", tenant_id, why, exc_info=trace)
        shred = await shredder.book.get(tenant_id)
        if shred is not None:
            await tell(shred, f"cannot go on: {why}")

    async def work() -> object:
        unfinished = await shredder.book.unfinished()
        turns.keep(unfinished)
        for tenant_id in unfinished:
            if not await turns.is_due(tenant_id):
                continue
            try:
                progress = await advance_shred(shredder, tenant_id)
            except Exception as problem:  # of one tenant, which must not hold back the others
                await stuck(tenant_id, problem)
                continue
            turns.went_on(tenant_id)
            if progress.shred.step == "certified":
                told.pop(tenant_id, None)
                _log.info("%s is shredded and certified", tenant_id)
            else:
                await shredder.book.troubled(tenant_id, None)
                await tell(progress.shred, progress.waits())
        return None

    return Round("shred", SHRED_EVERY_S, work)


async def _accounts(shredder: Shredder, home: Home) -> list[str]:
    """Its own first, and any other where something of it may lie: those that placements, its
    ledger or its rows name, and the one in which a pool begins."""
    placements = await shredder.control.list_placements()
    others = {NO_ACCOUNT} | {placement.account for placement in placements}
    others |= await shredder.book.accounts(home.tenant_id)
    others |= await shredder.content.accounts(home.tenant_id)
    return [home.account, *sorted(others - {home.account})]


async def _key_homes(shredder: Shredder, home: Home) -> list[Home]:
    """Its own first, and any other account where wrapped keys of it lie."""
    found = [home]
    for account in (await _accounts(shredder, home))[1:]:
        other = replace(home, account=account, own_kms_key=False)
        try:
            if await shredder.keys.versions(other):
                found.append(other)
        except NotFound:
            continue
        except Corrupt:
            found.append(other)
    return found


async def _destroy_keys(shredder: Shredder, tenant_id: TenantId, homes: Sequence[Home]) -> Shred:
    """Conflict where a key that the tenant used is nowhere here: it may lie in another store, and
    would open from there what is certified to be unreadable. And as `_check_in_place`."""
    missing = [set(await shredder.keys.missing(home)) for home in homes]
    if set.intersection(*missing):
        raise Conflict(NOT_THERE, awaits=homes)
    await _check_in_place(shredder, homes)
    for home in homes:
        await _retire(shredder, home)  # first: the wrapped keys tell where its own root key was
        await shredder.keys.destroy(home)
    return await shredder.book.keys_destroyed(tenant_id)


async def _check_in_place(shredder: Shredder, homes: Sequence[Home]) -> None:
    """Conflict where the key of another lies in the place of one of the tenant's: it may be all
    that its own tenant has, and the one in whose place it lies may open from elsewhere."""
    for home in homes:
        if (await shredder.keys.resting(home)).misplaced:
            raise Conflict(MISPLACED, awaits=homes)


async def _retire(shredder: Shredder, home: Home) -> None:
    """Its own root key, where there is or was one; whose anybody else made is noted and left."""
    retired = await shredder.roots.retire(home)
    if retired is None:
        return
    if retired.left:
        await shredder.book.kms_left(home.tenant_id, retired.left)
    if retired.disabled:
        key_id = shredder.roots.own_id(home)
        await shredder.book.kms_retired(home.tenant_id, key_id, retired.deletion_at)


async def _destroy_again(shredder: Shredder, home: Home) -> None:
    """A process of before may have been about to make a key; none is left that could."""
    await shredder.keys.destroy(home)
    try:
        version = await shredder.keys.version(home)
        await shredder.keys.subkey(home, version, Purpose.BLOB, b"")
    except NotFound:
        return
    raise Conflict("The tenant's key still opens; nothing is certified.")


async def _erase(shredder: Shredder, shred: Shred, home: Home) -> Shred:
    tenant_id = shred.tenant_id
    accounts = await _accounts(shredder, home)
    homes = [replace(home, account=account) for account in accounts]
    jobs = await shredder.content.jobs(tenant_id)
    if shred.found is None:
        counts = await _count(shredder, homes, tenant_id)
        counts["batch jobs whose files were deleted"] = len(jobs)
        shred = await shredder.book.found(tenant_id, counts)
    for each in homes:
        for kind in ObjectKind:
            await _delete_all(shredder.objects, each, kind)
        await shredder.vectors.drop(each)  # what rests in an engine of its own, and not as objects
    for job in jobs:
        for uri in _files_of(job):
            await shredder.buckets.delete(job.upstream, uri)
    await shredder.content.erase(tenant_id)
    return await shredder.book.erased(tenant_id)


async def _count(shredder: Shredder, homes: Sequence[Home], tenant_id: TenantId) -> dict[str, int]:
    counts: dict[str, int] = {"API keys revoked": await shredder.book.keys_revoked(tenant_id)}
    for each in homes:
        for kind in ObjectKind:
            name = f"sealed objects: {kind.value}"
            entries = await shredder.objects.list(each, kind)
            counts[name] = counts.get(name, 0) + len(entries)
    rows = await shredder.content.count(tenant_id)
    return counts | {f"rows: {name}": count for name, count in rows.items()}


async def _delete_all(objects: Objects, home: Home, kind: ObjectKind) -> None:
    entries = await objects.list(home, kind)
    for first in range(0, len(entries), DELETIONS_MAX):
        async with asyncio.TaskGroup() as deleting:
            for entry in entries[first : first + DELETIONS_MAX]:
                deleting.create_task(objects.delete(home, kind, entry.object_id))


async def _certify(shredder: Shredder, shred: Shred, tenant: Tenant) -> Shred:
    assert shred.keys_destroyed_at is not None
    rooms = await shredder.rooms.of(shred.tenant_id)
    if any(room.is_open for room in rooms):
        raise Conflict("Vectors of the tenant may be in an engine still; nothing is certified.")
    content = certificate_content(
        shred,
        tenant_name=tenant.name,
        processes=await shredder.holders.before(shred.keys_destroyed_at, shred.asked_at),
        logs=await _logs(shredder, tenant),
        rooms=rooms,
        at=await shredder.book.now(),
    )
    signature = shredder.signer.sign(content.encode())
    return await shredder.book.certified(shred.tenant_id, content, signature)


async def _logs(shredder: Shredder, tenant: Tenant) -> list[InvocationLog]:
    """All of every account in which its calls were answered: Bedrock logs each region by itself,
    and an account of before keeps its log."""
    placements = [*await shredder.control.list_placements(), tenant.placement]
    logs = dict[InvocationLog, None]()  # each once: the settings' may be a placement's too
    for account in sorted({tenant.placement.account} | await shredder.book.accounts(tenant.id)):
        told = {each.invocation_log for each in placements if each.account == account} or {None}
        for url in sorted(told, key=lambda url: url or ""):
            logs[shredder.log_of(account, url)] = None
    return list(logs)


def _some(names: Sequence[str]) -> str:
    more = len(names) - NAMED_MAX
    return ", ".join(names[:NAMED_MAX]) + (f" and {more} more" if more > 0 else "")


def _runs(job: BatchJob) -> bool:
    return job.state in ("planned", "submitting", "running")


def _files_of(job: BatchJob) -> list[str]:
    """What was asked and what Bedrock wrote, in the bucket of the account."""
    if job.job_arn is None:
        return [job.input_uri]
    output = records_uri(job.output_uri, job.job_arn, job.input_uri)
    return [job.input_uri, output, f"{output.rpartition('/')[0]}/manifest.json.out"]
