"""Objects that a tenant's rows name and that are not there: one of the two was restored."""

from __future__ import annotations

from collections.abc import Mapping

from tenantry.domain.document import Home
from tenantry.ports.object_mark import NamedObjects
from tenantry.ports.objects import ObjectKind, Objects, name_in_trash


async def missing_objects(
    home: Home, objects: Objects, named: NamedObjects
) -> Mapping[ObjectKind, frozenset[str]]:
    """By kind; a kind of which all are there is not in it. Reads names alone."""
    missing = await _absent(home, objects, await named.needed(home.tenant_id))
    if missing:  # what was deleted in between is named no more
        still = await named.needed(home.tenant_id)
        both = {kind: names & still.get(kind, frozenset()) for kind, names in missing.items()}
        missing = {kind: names for kind, names in both.items() if names}
    return missing


async def in_trash(
    home: Home, objects: Objects, missing: Mapping[ObjectKind, frozenset[str]]
) -> int:
    """How many of them could be put back."""
    thrown = {entry.object_id for entry in await objects.list(home, ObjectKind.TRASH)}
    return sum(name_in_trash(kind, n) in thrown for kind, names in missing.items() for n in names)


async def recover_objects(
    home: Home, objects: Objects, named: NamedObjects
) -> tuple[int, Mapping[ObjectKind, frozenset[str]]]:
    """Puts back what is missing and lies in the trash: how many, and what is missing still.
    Idempotent."""
    recovered = 0
    for kind, names in (await missing_objects(home, objects, named)).items():
        for name in sorted(names):
            recovered += await objects.put_back(home, kind, name)
    return recovered, await missing_objects(home, objects, named)


async def _absent(
    home: Home, objects: Objects, wanted: Mapping[ObjectKind, frozenset[str]]
) -> dict[ObjectKind, frozenset[str]]:
    found: dict[ObjectKind, frozenset[str]] = {}
    for kind, names in wanted.items():
        there = {entry.object_id for entry in await objects.list(home, kind)}
        if absent := names - there:
            found[kind] = absent
    return found
