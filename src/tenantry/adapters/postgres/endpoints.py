"""`ports.endpoints.Endpoints` in PostgreSQL, over a `control` pool; secrets rest sealed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tenantry.adapters.postgres.pooled import Pooled
from tenantry.domain.errors import BadRequest, NotFound
from tenantry.domain.ids import TenantId, prefixed, uuid7
from tenantry.domain.webhook import SECRET_BYTES, BadEndpoint, secret_from, tenant_url
from tenantry.ports.clock import Clock
from tenantry.ports.endpoints import ENDPOINTS_MAX, Endpoint

Seal = Callable[[bytes, bytes], bytes]


class PostgresEndpoints(Pooled):
    """`seal` and `open_sealed` bind the secret to its tenant and endpoint."""

    def __init__(self, control_pool: Any, *, seal: Seal, open_sealed: Seal, clock: Clock) -> None:
        super().__init__(control_pool, "sql/outbox.sql")
        self._seal = seal
        self._open = open_sealed
        self._clock = clock

    async def add(self, tenant_id: TenantId, url: str) -> Endpoint:
        try:
            tenant_url(url)
        except BadEndpoint as wrong:
            raise BadRequest(str(wrong)) from None
        unix_ms = int(self._clock.now().timestamp() * 1000)
        endpoint_id = prefixed("whk", uuid7(unix_ms, self._clock.random(10)))
        sealed = self._sealed_secret(tenant_id, endpoint_id)
        values = (tenant_id, endpoint_id, url, sealed, ENDPOINTS_MAX)
        if not await self._execute("add_endpoint", *values):
            raise BadRequest(f"A tenant has at most {ENDPOINTS_MAX} endpoints.")
        return await self._found(tenant_id, endpoint_id)

    async def get(self, tenant_id: TenantId, endpoint_id: str) -> Endpoint | None:
        rows = await self._fetch("endpoint", tenant_id, endpoint_id)
        return self._to_endpoint(rows[0]) if rows else None

    async def all_of(self, tenant_id: TenantId) -> list[Endpoint]:
        return [self._to_endpoint(row) for row in await self._fetch("endpoints", tenant_id)]

    async def rotate(self, tenant_id: TenantId, endpoint_id: str) -> Endpoint:
        sealed = self._sealed_secret(tenant_id, endpoint_id)
        await self._change("rotate_endpoint", tenant_id, endpoint_id, sealed)
        return await self._found(tenant_id, endpoint_id)

    async def forget_previous(self, tenant_id: TenantId, endpoint_id: str) -> None:
        await self._change("forget_previous", tenant_id, endpoint_id)

    async def disable(self, tenant_id: TenantId, endpoint_id: str, reason: str) -> None:
        await self._execute("disable_endpoint", tenant_id, endpoint_id, self._clock.now(), reason)

    async def enable(self, tenant_id: TenantId, endpoint_id: str) -> None:
        await self._change("enable_endpoint", tenant_id, endpoint_id)

    async def remove(self, tenant_id: TenantId, endpoint_id: str) -> None:
        await self._change("remove_endpoint", tenant_id, endpoint_id)

    def _sealed_secret(self, tenant_id: str, endpoint_id: str) -> bytes:
        secret = secret_from(self._clock.random(SECRET_BYTES))
        return self._seal(secret.encode("ascii"), _aad(tenant_id, endpoint_id))

    def _to_endpoint(self, row: Any) -> Endpoint:
        aad = _aad(row["tenant_id"], row["endpoint_id"])
        sealed = [row["secret_sealed"], row["previous_sealed"]]
        return Endpoint(
            tenant_id=TenantId(row["tenant_id"]),
            id=row["endpoint_id"],
            url=row["url"],
            secrets=tuple(self._open(each, aad).decode("ascii") for each in sealed if each),
            created_at=row["created_at"],
            disabled_at=row["disabled_at"],
            disabled_reason=row["disabled_reason"],
        )

    async def _found(self, tenant_id: TenantId, endpoint_id: str) -> Endpoint:
        found = await self.get(tenant_id, endpoint_id)
        if found is None:
            raise NotFound()
        return found

    async def _change(self, name: str, *values: object) -> None:
        if not await self._execute(name, *values):
            raise NotFound("There is no such endpoint.")


def _aad(tenant_id: str, endpoint_id: str) -> bytes:
    return f"tenantry/webhook-secret/v1/{tenant_id}/{endpoint_id}".encode("ascii")
