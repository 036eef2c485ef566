"""`ports.directory.Directory`: who asks, out of PostgreSQL, through a small cache.

What is cached may be old for CACHE_TTL_S: status, plan and prices are decided again in the admit
batch, and routes without admission ask with `fresh`. Only keys that are good are cached, also
those that a stale verdict had read anew.
"""

from __future__ import annotations

import asyncio
import hmac
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

from tenantry.adapters.postgres import api_keys, catalogues, principals
from tenantry.adapters.postgres.known_keys import Known, KnownKeys, Lookup
from tenantry.adapters.postgres.pooled import Pooled
from tenantry.domain.catalogue import Catalogue
from tenantry.domain.errors import (
    KeyExpired,
    KeyRevoked,
    KeyWrong,
    NotFound,
    TenantryError,
    TenantSuspended,
    Unavailable,
)
from tenantry.domain.ids import ApiKeyId, TenantId
from tenantry.domain.price import PriceEdition
from tenantry.domain.tenant import Principal
from tenantry.ports.clock import Clock
from tenantry.ports.directory import Signer

CACHE_TTL_S = 30.0
CACHED_KEYS_MAX = 10_000
CACHED_EDITIONS_MAX = 8
ACCESS_KEY_ID_CHARS_MAX = 128
OpenSealed = Callable[[bytes, bytes], bytes]  # (sealed, AAD) → secret


class PostgresDirectory(Pooled):
    """One for each worker. `pepper` keys the hash of bearers; `open_sealed` opens secrets."""

    def __init__(
        self, app_pool: Any, *, pepper: bytes, open_sealed: OpenSealed, clock: Clock
    ) -> None:
        assert len(pepper) >= 32, "the pepper must have at least 32 bytes"
        super().__init__(app_pool, "sql/directory.sql")
        self._pepper = pepper
        self._open_sealed = open_sealed
        self._clock = clock
        self._keys = KnownKeys(CACHED_KEYS_MAX)
        self._presented: OrderedDict[ApiKeyId, Lookup] = OrderedDict()
        self._editions: OrderedDict[int, PriceEdition] = OrderedDict()
        self._in_force: PriceEdition | None = None
        self._catalogue: tuple[float, Catalogue] | None = None
        self._loading = asyncio.Lock()  # of prices and catalogue: many ask, one reads

    async def by_bearer(self, presented: str, *, fresh: bool) -> Principal:
        digest = api_keys.bearer_hmac(self._pepper, presented)
        known = None if fresh else self._cached(digest)
        if known is None:
            row = await self._authenticate(digest)
            if not hmac.compare_digest(row["bearer_hmac"], digest):
                raise KeyWrong()
            known = self._keep(digest, row, secret=None)
        return known.principal

    async def by_access_key_id(self, access_key_id: str, *, fresh: bool) -> Signer:
        if len(access_key_id) > ACCESS_KEY_ID_CHARS_MAX or not access_key_id.isalnum():
            raise KeyWrong()
        known = None if fresh else self._cached(access_key_id)
        if known is None or known.secret is None:
            row = await self._find(access_key_id)
            secret = self._secret(row)
            trouble = _trouble(row)
            if trouble is not None:
                return Signer(secret, trouble)
            known = self._keep(access_key_id, row, secret=secret)
        assert known.secret is not None
        return Signer(known.secret, known.principal)

    async def refresh(self, principal: Principal) -> Principal:
        self.forget(principal.tenant_id)
        presented = self._presented.get(principal.api_key_id)
        if presented is None:
            raise Unavailable("Too many keys were presented since this one.")
        row = await self._authenticate(presented)
        secret = None if isinstance(presented, bytes) else self._secret(row)
        return self._keep(presented, row, secret=secret).principal

    def forget(self, tenant_id: TenantId) -> None:
        self._keys.forget(tenant_id)

    async def prices(self, *, reload: bool = False) -> PriceEdition:
        if self._in_force is None or reload:
            async with self._loading:
                if self._in_force is None or reload:
                    row = await self._fetchrow("edition_in_force")
                    if row is None:
                        raise Unavailable("There is no price book in force.")
                    self._in_force = await self._load(row)
        return self._in_force

    async def edition(self, version: int) -> PriceEdition:
        if version in self._editions:
            return self._editions[version]
        row = await self._fetchrow("edition", version)
        if row is None:
            raise NotFound(f"There is no price edition {version}.")
        return await self._load(row)

    async def catalogue(self) -> Catalogue:
        now = self._clock.monotonic()
        if self._catalogue is None or now - self._catalogue[0] > CACHE_TTL_S:
            rows = await self._fetch("models")
            self._catalogue = (now, catalogues.to_catalogue(rows))
        return self._catalogue[1]

    async def _load(self, row: Any) -> PriceEdition:
        version: int = row["version"]
        if version not in self._editions:
            prices = await self._fetch("prices", version)
            self._editions[version] = catalogues.to_edition(row, prices)
            while len(self._editions) > CACHED_EDITIONS_MAX:
                self._editions.popitem(last=False)
        return self._editions[version]

    async def _authenticate(self, presented: Lookup) -> Any:
        """The row of a key that is good."""
        row = await self._find(presented)
        _judge(row)
        return row

    async def _find(self, presented: Lookup) -> Any:
        by_bearer = isinstance(presented, bytes)
        lookup = (presented, None) if by_bearer else (None, presented)
        row = await self._fetchrow("authenticate", *lookup)
        if row is None:
            raise KeyWrong()
        return row

    def _secret(self, row: Any) -> bytes:
        aad = api_keys.secret_aad(row["tenant_id"], row["api_key_id"])
        return self._open_sealed(row["secret_sealed"], aad)

    def _cached(self, presented: Lookup) -> Known | None:
        return self._keys.get(presented, since=self._clock.monotonic() - CACHE_TTL_S)

    def _keep(self, presented: Lookup, row: Any, *, secret: bytes | None) -> Known:
        known = Known(principals.to_principal(row), secret, self._clock.monotonic())
        self._keys.put(presented, known)
        key_id = known.principal.api_key_id
        self._presented[key_id] = presented
        self._presented.move_to_end(key_id)
        while len(self._presented) > CACHED_KEYS_MAX:
            self._presented.popitem(last=False)
        return known


def _judge(row: Any) -> None:
    trouble = _trouble(row)
    if trouble is not None:
        raise trouble


def _trouble(row: Any) -> TenantryError | None:
    """What is wrong with a key that is known; by the database's clock."""
    if row["revoked_at"] is not None and row["revoked_at"] <= row["at"]:
        return KeyRevoked()
    if row["expires_at"] is not None and row["expires_at"] <= row["at"]:
        return KeyExpired()
    return TenantSuspended() if row["status"] != "active" else None
