"""The sealed objects of this home and their database: an operator's word, and what is put back."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

from tenantry.adapters.postgres.connections import Databases
from tenantry.adapters.postgres.named_objects import PostgresNamedObjects
from tenantry.adapters.postgres.unit_of_work import TenantWork
from tenantry.application.belonging import Belonging
from tenantry.application.missing_objects import recover_objects
from tenantry.application.pages import living_tenants
from tenantry.bootstrap.belonging import belonging_of
from tenantry.bootstrap.commands.run import run
from tenantry.bootstrap.deployment import control_of, objects_of
from tenantry.config import Settings
from tenantry.domain.document import home_of
from tenantry.ports.objects import ObjectKind

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
