"""Documents and segments of two tenants, as rows of a manifest."""

from __future__ import annotations

from tests.support import knowledge as support

from tenantry.domain.document import DocumentLimits
from tenantry.domain.ids import SegmentId, TenantId
from tenantry.ports.manifest import Manifest, NewSegment

A, B = TenantId("tnt_" + "a" * 26), TenantId("tnt_" + "b" * 26)


def segment(name: str, rows: int = 3, **other: object) -> NewSegment:
    fields = {"generation": 1, "model": "m", "dimensions": 8, "size_bytes": 99, **other}
    return NewSegment(id=SegmentId(name), rows=rows, **fields)


async def insert(manifest: Manifest, tenant: TenantId, name: str, **limits: object) -> bool:
    bounds = DocumentLimits(limits.get("documents"), limits.get("storage"))
    done = await manifest.insert(tenant, support.row(name), bounds, support.LEASE_S)
    return done.created


async def add(manifest: Manifest, tenant: TenantId, name: str, rows: int = 3) -> None:
    await insert(manifest, tenant, name)
    assert await manifest.publish(tenant, segment(f"seg_{name}", rows), name)
