"""What is noted of used tenant keys, in memory: one may stand for the database of many workers."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from tenantry.domain.ids import TenantId


class MemoryNotedKeys:
    """`ports.noted_keys.NotedKeys`; `shredded` names tenants of whom nothing is noted any more."""

    def __init__(self) -> None:
        self.noted: dict[tuple[TenantId, int], bytes | None] = {}
        self.kms_arns: dict[tuple[TenantId, int], frozenset[str]] = {}
        self.shredded: set[TenantId] = set()
        self.asked = 0

    async def versions(self, tenant_id: TenantId) -> Collection[int]:
        self.asked += 1
        return {version for tenant, version in self.noted if tenant == tenant_id}

    async def wrapped_by(self, tenant_id: TenantId) -> Mapping[int, frozenset[str] | None]:
        return {
            version: self.kms_arns.get((tenant_id, version))
            for version in await self.versions(tenant_id)
        }

    async def note(
        self, tenant_id: TenantId, version: int, fingerprint: bytes, kms_arns: Collection[str]
    ) -> bytes | None:
        self.asked += 1
        if tenant_id in self.shredded:
            return None
        name = (tenant_id, version)
        if self.noted.get(name) is None:
            self.noted[name] = fingerprint
        if self.noted[name] == fingerprint:
            self.kms_arns[name] = self.kms_arns.get(name, frozenset()).union(kms_arns)
        return self.noted[name]
