"""What `doctor` finds of the sealed objects: whose they are, and what is missing."""

from __future__ import annotations

from collections.abc import Sequence

from tenantry.adapters.postgres.connections import Databases
from tenantry.adapters.postgres.named_objects import PostgresNamedObjects
from tenantry.adapters.postgres.unit_of_work import TenantWork
from tenantry.application.belonging import WORD
from tenantry.application.missing_objects import in_trash, missing_objects
from tenantry.bootstrap.belonging import belonging_of
from tenantry.bootstrap.deployment import objects_of
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
