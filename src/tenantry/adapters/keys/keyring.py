"""Tenant keys: made, opened into a bounded cache, rotated, wrapped anew, forgotten, destroyed.

A key that was opened may be used for the cache's time and number of uses; then the KMS is asked
again, so that a disabled KMS key stops its tenants within that time. What was opened with a key
elsewhere must not outlive that: `check` renews the permission or refuses, and `keep` tells those
who hold open content (`on_loss`) when it is lost, even where nobody asks.
"""

from __future__ import annotations

import asyncio
import hmac
import logging
import secrets
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from tenantry.adapters.keys.key_cache import (
    CACHED_KEY_TTL_S,
    CACHED_KEY_USES_MAX,
    CACHED_KEYS_MAX,
    KeyCache,
)
from tenantry.adapters.keys.key_folder import NO_KEY
from tenantry.adapters.keys.resting import resting_keys
from tenantry.adapters.keys.used_keys import DESTROYED, UsedKeys, lost
from tenantry.adapters.keys.wrapped_key import after, kms_key_of, pack, unpack
from tenantry.domain.document import Home
from tenantry.domain.envelope import associated_data
from tenantry.domain.errors import Conflict, Corrupt, NotFound, TenantryError, Unavailable
from tenantry.domain.ids import TenantId
from tenantry.domain.placement import NO_ACCOUNT
from tenantry.ports.key_files import KeyFiles
from tenantry.ports.keys import KeyName, KmsKeys, Purpose, RestingKeys, WrappedKey
from tenantry.ports.noted_keys import NotedKeys

KEY_BYTES = 32
VERSIONS_MAX = 1_000  # of a tenant key: a rotation a day for almost three years
KEEP_EVERY_S = 15.0
IDLE_MAX_S = 3_600.0  # unasked for so long, open content is closed rather than permitted again
RENEWED_AT_ONCE = 8
_REWRAP_ATTEMPTS = 3
_FIRST_VERSION = 1
_NO_ACCOUNT = (
    "The tenant's placement has no account yet, so nothing of the tenant can be kept: an operator"
    " has to say which account answers."
)
_log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Held:
    """A tenant whose content may be open somewhere in this process."""

    home: Home
    asked_at: float


class Keyring:
    """`ports.keys.KeyStore` and `ports.keys.KeyRotation` over key files and a KMS."""

    def __init__(
        self,
        files: KeyFiles,
        kms: KmsKeys,
        noted: NotedKeys,
        monotonic: Callable[[], float],
        *,
        cached_keys_max: int = CACHED_KEYS_MAX,
        cached_key_ttl_s: float = CACHED_KEY_TTL_S,
        cached_key_uses_max: int = CACHED_KEY_USES_MAX,
    ) -> None:
        self._files = files
        self._kms = kms
        self._used = UsedKeys(noted)
        self._monotonic = monotonic
        self._count_max = cached_keys_max
        self._ttl_s = cached_key_ttl_s
        self._cache = KeyCache(
            monotonic,
            count_max=cached_keys_max,
            ttl_s=cached_key_ttl_s,
            uses_max=cached_key_uses_max,
        )
        self._opening: dict[tuple[TenantId, int], asyncio.Task[bytes]] = {}
        self._known: OrderedDict[TenantId, tuple[float, Sequence[int]]] = OrderedDict()
        self._held: OrderedDict[TenantId, _Held] = OrderedDict()
        self._on_loss: list[Callable[[TenantId], None]] = []

    def on_loss(self, told: Callable[[TenantId], None]) -> None:
        """`told` is called with each tenant whose open content must be dropped and zeroed now."""
        self._on_loss.append(told)

    async def create(self, home: Home) -> None:
        if not await self._versions(home):
            await self._make(home, _FIRST_VERSION)

    async def version(self, home: Home) -> int:
        return (await self._some_versions(home))[-1]

    async def subkey(self, home: Home, version: int, purpose: Purpose, context: bytes) -> bytes:
        key: bytes | bytearray | None = self._cache.get(home.tenant_id, version)
        if key is None:
            key = await self._open(home, version)
        info = associated_data("tenantry/subkey/v1", purpose.value, context)
        return HKDF(SHA256(), KEY_BYTES, salt=None, info=info).derive(key)

    async def check(self, home: Home) -> None:
        self._held[home.tenant_id] = _Held(home, self._monotonic())
        self._held.move_to_end(home.tenant_id)
        while len(self._held) > self._count_max:
            self._lose(next(iter(self._held)))
        try:
            await self._permit(home)
        except TenantryError:
            self._lose(home.tenant_id)
            raise

    async def forget(self, home: Home) -> None:
        self._lose(home.tenant_id)

    async def destroy(self, home: Home) -> None:
        self._lose(home.tenant_id)
        await self._files.bar(home)  # first: whoever makes a key from now on takes it away again
        await self._files.remove(home)
        self._lose(home.tenant_id)  # what was being opened meanwhile

    async def rotate(self, home: Home) -> int:
        versions = await self._files.versions(home)
        version = versions[-1] + 1 if versions else _FIRST_VERSION
        if version > VERSIONS_MAX:
            raise Conflict(f"A tenant key has at most {VERSIONS_MAX:,} versions.")
        await self._make(home, version)
        return version

    async def rewrap(self, home: Home) -> int:
        self._known.pop(home.tenant_id, None)
        versions = await self._some_versions(home)
        await self._kms.create(home.account, kms_key_of(home))
        moved = sum([await self._rewrap(home, version) for version in versions])
        missing = await self.missing(home)
        if missing:
            raise lost(home, missing[0])
        return moved

    async def versions(self, home: Home) -> Sequence[WrappedKey]:
        versions = await self._files.versions(home)
        return [unpack(home, each, await self._files.read(home, each)) for each in versions]

    async def resting(self, home: Home) -> RestingKeys:
        return await resting_keys(self._files, await self._used.wrapped_by(home), home)

    async def missing(self, home: Home) -> Sequence[int]:
        # In this order: what rests is noted later, and what is destroyed is barred before.
        noted = await self._used.versions(home)
        gone = sorted(noted.difference(await self._files.versions(home)))
        return () if not gone or await self._files.barred(home) else gone

    async def is_whole(self, home: Home) -> bool:
        versions = await self._files.versions(home)
        right = [
            await self._used.is_right(home, version, *await self._unwrapped(home, version))
            for version in versions
        ]
        begins = not versions or _FIRST_VERSION in versions
        return begins and all(right) and not await self.missing(home)

    async def begin_anew(self, home: Home) -> None:
        versions = await self._files.versions(home)
        if versions and _FIRST_VERSION not in versions:
            await self._place(home, _FIRST_VERSION)

    async def keep(self) -> None:
        """Runs until it is cancelled: see `renew`."""
        while True:
            await asyncio.sleep(KEEP_EVERY_S)
            try:
                await self.renew(ahead_s=min(2 * KEEP_EVERY_S, self._ttl_s / 2))
            except Exception:
                _log.exception("a round over opened tenant keys failed; the next one goes on")

    async def renew(self, *, ahead_s: float = 0.0) -> None:
        """Zero keys whose time is over, and ask anew for tenants whose content may be open.

        Those that are refused, or that nobody asked for in `IDLE_MAX_S`, are lost. What ends within
        `ahead_s` is asked for early, so that a short outage of the KMS goes unnoticed.
        """
        self._cache.expire()
        now, gate = self._monotonic(), asyncio.Semaphore(RENEWED_AT_ONCE)

        async def one(held: _Held) -> None:
            async with gate:
                try:
                    await self._permit(held.home, for_s=ahead_s)
                except TenantryError as problem:
                    if not self._permitted(held.home):
                        _log.warning("a tenant's open content is dropped: %s", problem.message)
                        self._lose(held.home.tenant_id)

        for held in [held for held in self._held.values() if now - held.asked_at > IDLE_MAX_S]:
            self._lose(held.home.tenant_id)
        await asyncio.gather(*(one(held) for held in list(self._held.values())))

    def close(self) -> None:
        """Zero every cached key."""
        for task in self._opening.values():
            task.cancel()
        self._cache.clear()

    async def _permit(self, home: Home, *, for_s: float = 0.0) -> None:
        """Every version, because each may be wrapped by a KMS key of its own."""
        for version in await self._some_versions(home):
            if not self._cache.holds(home.tenant_id, version, for_s=for_s):
                await self._open(home, version)

    def _permitted(self, home: Home) -> bool:
        known = self._known.get(home.tenant_id)
        versions = known[1] if known else (_FIRST_VERSION,)
        return all(self._cache.holds(home.tenant_id, version) for version in versions)

    def _lose(self, tenant_id: TenantId) -> None:
        self._held.pop(tenant_id, None)
        self._known.pop(tenant_id, None)
        for name in [name for name in self._opening if name[0] == tenant_id]:
            del self._opening[name]  # who waits for it has it once; the cache does not
        self._cache.forget(tenant_id)
        for told in self._on_loss:
            told(tenant_id)

    async def _some_versions(self, home: Home) -> Sequence[int]:
        versions = await self._versions(home)
        if not versions and await self._there(home, _FIRST_VERSION):
            versions = await self._versions(home)
        if not versions:
            raise NotFound(NO_KEY)
        return versions

    async def _there(self, home: Home, version: int, *, is_used: bool = False) -> bool:
        """Whether a version that was not found is in the key store by now. NotFound where a shred
        destroyed the tenant's keys, Unavailable where it was used (`is_used`: something that it
        sealed says so) and is lost. Asked in this order, it rests before it is noted."""
        if await self._files.barred(home):
            raise NotFound(DESTROYED)
        is_used = is_used or await self._used.since(home, version)
        versions = await self._files.versions(home)
        if version in versions:
            return True
        if is_used or any(each > version for each in versions):
            raise lost(home, version)
        return False

    async def _versions(self, home: Home) -> Sequence[int]:
        """As of at most the cache's time ago: so soon every worker seals with a new version."""
        known = self._known.get(home.tenant_id)
        if known is not None and self._monotonic() < known[0]:
            self._known.move_to_end(home.tenant_id)
            return known[1]
        asked_at = self._monotonic()
        versions = await self._files.versions(home)
        self._known.pop(home.tenant_id, None)
        if versions:
            self._known[home.tenant_id] = (asked_at + self._ttl_s, versions)
            while len(self._known) > self._count_max:
                self._known.popitem(last=False)
        return versions

    async def _make(self, home: Home, version: int) -> None:
        """A version that opens; of two that make it at once the first wins. NotFound where the
        tenant's keys are destroyed, also meanwhile; Unavailable where it was used and is lost, for
        another would open nothing. None in the account that does not exist: all that is kept is
        sealed, so that nothing lies there when the placement is told its account.
        """
        if home.account == NO_ACCOUNT:
            raise Unavailable(_NO_ACCOUNT)
        if await self._there(home, version):
            self._known.pop(home.tenant_id, None)
            return
        await self._place(home, version)

    async def _place(self, home: Home, version: int) -> None:
        await self._kms.create(home.account, kms_key_of(home))
        key = secrets.token_bytes(KEY_BYTES)
        wrapped = await self._wrapped(home, version, key)
        await self._files.create(home, version, pack(wrapped))
        if await self._files.barred(home):
            await self._files.remove(home)
            raise NotFound(DESTROYED)
        self._known.pop(home.tenant_id, None)

    async def _wrapped(self, home: Home, version: int, key: bytes) -> WrappedKey:
        """Opened once before anything depends on it: a KMS key may wrap for us and not unwrap."""
        name = KeyName(home.tenant_id, version, kms_key_of(home))
        wrapped = await self._kms.wrap(home.account, name, key)
        if not hmac.compare_digest(await self._kms.unwrap(home.account, wrapped), key):
            raise Corrupt("A tenant key does not open under the KMS key that wrapped it.")
        return wrapped

    async def _rewrap(self, home: Home, version: int) -> bool:
        for _ in range(_REWRAP_ATTEMPTS):
            old = await self._files.read(home, version)
            held = unpack(home, version, old)
            key = await self._kms.unwrap(home.account, held)
            moved = await self._wrapped(home, version, key)
            # First: what wraps it is noted before it rests so, whatever ends this process.
            await self._used.begin(home, version, key, held.arns | moved.arns)
            if (moved.name, moved.arn) == (held.name, held.arn):
                return False
            if await self._files.replace(home, version, old, pack(after(held, moved))):
                return True
        raise Unavailable("The tenant's key changes while it is wrapped anew; run it again.")

    async def _open(self, home: Home, version: int) -> bytes:
        """The key out of the KMS, once however many ask at once; into the cache too."""
        name = (home.tenant_id, version)
        task = self._opening.get(name)
        if task is None:
            task = self._opening[name] = asyncio.create_task(self._opened(home, version))
            task.add_done_callback(lambda done: self._ended(name, done))
        # Shielded: one caller that goes away must not fail the others that wait.
        return await asyncio.shield(task)

    def _ended(self, name: tuple[TenantId, int], task: asyncio.Task[bytes]) -> None:
        if self._opening.get(name) is task:
            del self._opening[name]
        if not task.cancelled():
            task.exception()  # whoever waits raises it; it may be nobody by now

    async def _opened(self, home: Home, version: int) -> bytes:
        opened_at = self._monotonic()
        key, arns = await self._unwrapped(home, version)
        await self._used.begin(home, version, key, arns)
        if self._opening.get((home.tenant_id, version)) is asyncio.current_task():
            self._cache.put(home.tenant_id, version, key, opened_at=opened_at)
        return key

    async def _unwrapped(self, home: Home, version: int) -> tuple[bytes, frozenset[str]]:
        """The key, and ARNs of what wraps it."""
        wrapped = unpack(home, version, await self._read(home, version))
        key = await self._kms.unwrap(home.account, wrapped)
        if len(key) != KEY_BYTES:
            raise Corrupt("A tenant key has the wrong length.")
        return key, wrapped.arns

    async def _read(self, home: Home, version: int) -> bytes:
        try:
            return await self._files.read(home, version)
        except NotFound:
            # A later version than the first is asked for by what it sealed alone.
            if not await self._there(home, version, is_used=version > _FIRST_VERSION):
                raise
            return await self._files.read(home, version)
