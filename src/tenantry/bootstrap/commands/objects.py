"""The sealed objects of this home and their database: an operator's word, and what is missing."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from tenantry.adapters.postgres.connections import Databases
from tenantry.adapters.postgres.named_objects import PostgresNamedObjects
from tenantry.adapters.postgres.unit_of_work import TenantWork
from tenantry.application.belonging import WORD, Belonging
from tenantry.application.missing_objects import in_trash, missing_objects, recover_objects
from tenantry.application.pages import living_tenants
from tenantry.bootstrap.belonging import belonging_of
from tenantry.bootstrap.commands.run import run
from tenantry.bootstrap.deployment import control_of, objects_of
from tenantry.config import Settings
from tenantry.domain.document import home_of
from tenantry.domain.errors import Unavailable
from tenantry.domain.tenant import Tenant
from tenantry.ports.objects import ObjectKind

LOOKED_MAX = 1_000  # tenants whose objects `doctor` looks for
RECOVER = "tenantry objects recover"
_NAMED_MAX = 5
_REPAIRS = {
    ObjectKind.TRASH: f"`{RECOVER}` puts them back",
    ObjectKind.SEGMENT: (
        "where they are not in the trash, `tenantry documents reindex --again` makes them from the"
        " originals"
    ),
    ObjectKind.ORIGINAL: "where they are not in the trash, only a backup of the objects has them",
}
T = TypeVar("T")


def run_with_belonging(work: Callable[[Belonging], Awaitable[T]]) -> T:
    """Runs one piece of work on whose the objects are."""
    return run(lambda config, databases: work(belonging_of(config, databases)))


@dataclass(frozen=True, slots=True)
class Recovered:
    """Of one tenant: objects that were put back, and that are missing still."""

    tenant: str
    objects: int
    originals_missing: int
    segments_missing: int


def recover_all() -> list[Recovered]:
    """Puts back, for every tenant that is not shredded, what its rows name and the trash has."""

    async def work(config: Settings, databases: Databases) -> list[Recovered]:
        objects, named = objects_of(config), PostgresNamedObjects(TenantWork(databases.app))
        found: list[Recovered] = []
        async for tenant in living_tenants(control_of(config, databases)):
            count, missing = await recover_objects(home_of(tenant), objects, named)
            originals, segments = (
                len(missing.get(kind, ())) for kind in (ObjectKind.ORIGINAL, ObjectKind.SEGMENT)
            )
            if count or missing:
                found.append(Recovered(tenant.name, count, originals, segments))
        return found

    return run(work)


async def object_facts(
    config: Settings, databases: Databases, tenants: Sequence[Tenant]
) -> tuple[str, list[str]]:
    """Whose the objects are and whether they are there, and a line for each thing that is wrong."""
    try:
        reason = await belonging_of(config, databases).strange()
    except Unavailable as gone:
        return "not looked at", [gone.message]
    problems = []
    if reason is not None:
        problems.append(
            f"the sealed objects are not this database's: {reason}. Nothing that no row names is"
            f" deleted until `{WORD}`"
        )
    incomplete = await _incomplete(config, databases, tenants)
    for what, repair in _REPAIRS.items():
        if names := incomplete.get(what):
            told = ", ".join(names[:_NAMED_MAX]) + (", …" if len(names) > _NAMED_MAX else "")
            lack = "lie in the trash" if what is ObjectKind.TRASH else "are not there"
            kept = "objects" if what is ObjectKind.TRASH else what.value
            problems.append(f"{kept} of {told} {lack}: {repair}")
    whose = "all tenants" if len(tenants) <= LOOKED_MAX else f"the first {LOOKED_MAX:,} tenants"
    return f"of {whose} looked for", problems


async def _incomplete(
    config: Settings, databases: Databases, tenants: Sequence[Tenant]
) -> dict[ObjectKind, list[str]]:
    """Names of tenants whose rows name objects that are not there."""
    objects, named = objects_of(config), PostgresNamedObjects(TenantWork(databases.app))
    found: dict[ObjectKind, list[str]] = {}
    for tenant in tenants[:LOOKED_MAX]:
        home = home_of(tenant)
        missing = await missing_objects(home, objects, named)
        kinds = [*missing]
        if missing and await in_trash(home, objects, missing):
            kinds.append(ObjectKind.TRASH)
        for kind in kinds:
            found.setdefault(kind, []).append(tenant.name)
    return found
