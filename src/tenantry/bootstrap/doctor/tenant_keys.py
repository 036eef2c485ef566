"""What `doctor` finds of tenants' keys: lost, destroyed, or wrapped by a KMS key that refuses.

No tenant key is opened: who holds one must be known to a shred.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from tenantry.adapters.keys.key_folder import KeyFolder, destroyed_in
from tenantry.adapters.keys.wrapped_key import unpack
from tenantry.adapters.postgres.connections import Databases
from tenantry.adapters.postgres.noted_keys import PostgresKeyNotes
from tenantry.bootstrap.deployment import accounts_of
from tenantry.bootstrap.keys import key_files_of, kms_of
from tenantry.config import Settings, variable_of
from tenantry.domain.document import home_of
from tenantry.domain.errors import Corrupt, NotFound, TenantryError, Unavailable
from tenantry.domain.ids import TenantId
from tenantry.domain.tenant import Tenant
from tenantry.ports.key_files import KeyFiles
from tenantry.ports.keys import WrappedKey

LOOKED_MAX: Final = 1_000  # tenants whose keys are looked for
ARNS_MAX: Final = 100  # KMS keys in AWS that are tried
_AT_ONCE: Final = 16
_NAMED_MAX: Final = 5


@dataclass(slots=True)
class _Found:
    """Names of tenants. `unread`: by what is wrong with a wrapped key; `wrapped`: by ARN, one key
    that it wraps and whose keys it wraps."""

    lost: list[str] = field(default_factory=list)
    destroyed: list[str] = field(default_factory=list)
    unread: dict[str, set[str]] = field(default_factory=dict)
    wrapped: dict[str, tuple[WrappedKey, list[str]]] = field(default_factory=dict)


async def tenant_key_problems(
    config: Settings, databases: Databases, tenants: Sequence[Tenant]
) -> list[str]:
    """A line for each thing that is wrong, of living tenants."""
    looked = tenants[:LOOKED_MAX]
    notes = await PostgresKeyNotes(databases.control).of([tenant.id for tenant in looked])
    found = _Found()
    if config.key_store_url is None:
        gone = destroyed_in(accounts_of(config)[0])
        found.destroyed += [tenant.name for tenant in tenants if tenant.id in gone]
    problems = []
    try:
        await _look(key_files_of(config), looked, notes, found)
    except Unavailable as outage:
        problems.append(f"not all tenants' keys could be looked at: {outage.message}")
    if found.destroyed:
        problems.append(
            f"the keys of {_some(found.destroyed)} are destroyed and the database knows of no"
            " shred, as one of before it does: repeat every shred, revocation and suspension since"
            " that backup"
        )
    if found.lost:
        where = config.key_store_url or "the accounts' folders"
        problems.append(
            f"the key store ({where}) does not have keys that {_some(found.lost)} had, so what they"
            " sealed is refused with 503 and no other key is made: bring them back from the backup"
            f" of keys, or look whether {variable_of('key_store_url')} names the right place"
        )
    for what, names in sorted(found.unread.items()):
        problems.append(
            f"the keys of {_some(names)}: {what} What they sealed is refused with 503: bring their"
            " files back from the backup of keys"
        )
    return problems + await _refusals(config, found)


async def _look(
    files: KeyFiles,
    tenants: Sequence[Tenant],
    notes: Mapping[TenantId, frozenset[int]],
    found: _Found,
) -> None:
    gate = asyncio.Semaphore(_AT_ONCE)

    async def one(tenant: Tenant) -> None:
        async with gate:
            try:
                await _look_at(files, tenant, notes.get(tenant.id, frozenset()), found)
            except Unavailable as problem:
                # A folder is of one tenant. A bucket that is out of reach is so for all of them.
                if not isinstance(files, KeyFolder):
                    raise
                found.unread.setdefault(problem.message, set()).add(tenant.name)

    outage: list[Unavailable] = []
    try:
        async with asyncio.TaskGroup() as looking:
            for tenant in tenants:
                looking.create_task(one(tenant))
    except* Unavailable as outages:  # some Pythons give what is raised in here a group
        outage = [each for each in outages.exceptions if isinstance(each, Unavailable)]
    if outage:
        raise outage[0]


async def _look_at(files: KeyFiles, tenant: Tenant, used: Collection[int], found: _Found) -> None:
    home = home_of(tenant)
    versions = await files.versions(home)
    if not set(used) <= set(versions):
        if not await files.barred(home):
            found.lost.append(tenant.name)
        elif tenant.name not in found.destroyed:
            found.destroyed.append(tenant.name)
    for version in versions:
        try:
            wrapped = unpack(home, version, await files.read(home, version))
        except NotFound:  # destroyed meanwhile
            continue
        except Corrupt as problem:
            found.unread.setdefault(problem.message, set()).add(tenant.name)
            continue
        if wrapped.arn is not None:
            found.wrapped.setdefault(wrapped.arn, (wrapped, []))[1].append(tenant.name)


async def _refusals(config: Settings, found: _Found) -> list[str]:
    """A line for each KMS key in AWS that opens nothing now."""
    if not found.wrapped:
        return []
    problems, kms = [], kms_of(config)
    try:
        for arn, (wrapped, names) in sorted(found.wrapped.items())[:ARNS_MAX]:
            try:
                await kms.try_out(wrapped)
            except TenantryError as problem:
                whose = _some(sorted(set(names)))
                problems.append(f"KMS: {arn}, of the keys of {whose}: {problem.message}")
    finally:
        kms.close()
    return problems


def _some(names: Collection[str]) -> str:
    return ", ".join(sorted(names)[:_NAMED_MAX]) + (", …" if len(names) > _NAMED_MAX else "")
