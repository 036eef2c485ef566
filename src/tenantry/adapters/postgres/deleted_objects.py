"""What a deletion leaves to be deleted: noted in its commit, known until the objects are gone."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tenantry.adapters.postgres.statements import statements
from tenantry.adapters.postgres.unit_of_work import TenantReader, TenantWriter
from tenantry.ports.manifest import Deleted
from tenantry.ports.objects import ObjectKind

FILE = "sql/deleted_objects.sql"


async def note(
    unit: TenantWriter, *, originals: Iterable[str] = (), segments: Iterable[str] = ()
) -> None:
    await unit.execute(statements(FILE)["note"], unit.tenant_id, list(originals), list(segments))


async def due(unit: TenantReader, age_s: float, limit: int) -> list[Deleted]:
    rows = await unit.fetch(statements(FILE)["due"], unit.tenant_id, age_s, limit)
    return [Deleted(ObjectKind(row["kind"]), row["name"]) for row in rows]


async def of_names(unit: TenantReader, names: Sequence[str]) -> frozenset[str]:
    rows = await unit.fetch(statements(FILE)["of_names"], unit.tenant_id, list(names))
    return frozenset(row["name"] for row in rows)


async def forget(unit: TenantWriter, names: Sequence[str]) -> None:
    await unit.execute(statements(FILE)["forget"], unit.tenant_id, list(names))
