"""Keyed hashes of a tenant: of its end users for the ledger, of itself for its prompts."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

from tenantry.domain.document import home_of
from tenantry.domain.end_user import spellings_of
from tenantry.domain.errors import NotFound
from tenantry.domain.tenant import Principal
from tenantry.ports.export import CappedUsers, ErasedUsers
from tenantry.ports.keys import KeyStore, Purpose, Sealer

LABELS_CACHED = 65_536  # about 10 MB
HASH_CHARS = 32  # 128 bits: no two users of a tenant collide


class TenantLabels:
    """`ports.labels.Labels` over any sealer; a tenant without a key yet gets one.

    A name whose hash was erased leads to the next generation's: to somebody else.
    """

    def __init__(
        self,
        sealer: Sealer,
        keys: KeyStore,
        erased: ErasedUsers | None = None,
        capped: CappedUsers | None = None,
    ) -> None:
        self._sealer = sealer
        self._keys = keys
        self._erased = erased
        self._capped = capped
        self._cache: OrderedDict[tuple[str, Purpose, str], str] = OrderedDict()

    async def user_hash(
        self, principal: Principal, user: str, erased: frozenset[str] | None = None
    ) -> str:
        if erased is None:
            erased = await self.erased(principal)
        present, *others = [
            (await self.user_hashes(principal, spelling, erased))[-1]
            for spelling in spellings_of(user)
        ]
        if others and self._capped is not None:
            capped = await self._capped.of(principal.tenant_id)
            return next((found for found in (present, *others) if found in capped), present)
        return present

    async def user_hashes(
        self, principal: Principal, user: str, erased: frozenset[str]
    ) -> Sequence[str]:
        found = [await self._label(principal, Purpose.USER_HMAC, user)]
        while found[-1] in erased:
            name = f"{user}\x00{len(found)}"  # no name has a NUL
            found.append(await self._label(principal, Purpose.USER_HMAC, name))
        return found

    async def erased(self, principal: Principal) -> frozenset[str]:
        return frozenset() if self._erased is None else await self._erased.of(principal.tenant_id)

    async def salt(self, principal: Principal) -> str:
        return f"[{await self._label(principal, Purpose.PROMPT_SALT, '')}]"

    async def _label(self, principal: Principal, purpose: Purpose, data: str) -> str:
        key = (principal.tenant_id, purpose, data)
        label = self._cache.get(key)
        if label is None:
            home = home_of(principal.tenant)
            try:
                digest = await self._sealer.digest(home, purpose, data.encode())
            except NotFound:
                await self._keys.create(home)
                digest = await self._sealer.digest(home, purpose, data.encode())
            label = self._cache[key] = digest.hex()[:HASH_CHARS]
            if len(self._cache) > LABELS_CACHED:
                self._cache.popitem(last=False)
        return label
