"""The key store of one machine: wrapped tenant keys in `<accounts>/<account>/keys/<tenant>`."""

from __future__ import annotations

import asyncio
import base64
import json
import re
import secrets
from collections.abc import Callable
from pathlib import Path

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from tenantry.adapters.keys.key_cache import CACHED_KEY_TTL_S, CACHED_KEYS_MAX, KeyCache
from tenantry.domain.document import Home
from tenantry.domain.envelope import associated_data
from tenantry.domain.errors import Corrupt, NotFound, Unavailable
from tenantry.ports.keys import SHARED_KMS_KEY, KmsKeys, Purpose
from tenantry.ports.objects import Files

KEY_BYTES = 32
_FORMAT = 1
_FIRST_VERSION = 1
_SAFE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,127}")


class LocalKeyring:
    """`ports.keys.KeyStore` over files and a KMS."""

    def __init__(
        self,
        accounts: Path,
        files: Files,
        kms: KmsKeys,
        monotonic: Callable[[], float],
        *,
        cached_keys_max: int = CACHED_KEYS_MAX,
        cached_key_ttl_s: float = CACHED_KEY_TTL_S,
    ) -> None:
        self._accounts = accounts
        self._files = files
        self._kms = kms
        self._cache = KeyCache(monotonic, count_max=cached_keys_max, ttl_s=cached_key_ttl_s)

    async def create(self, home: Home) -> None:
        path = self._path(home, _FIRST_VERSION)
        if await asyncio.to_thread(path.exists):
            return
        kms_key = kms_key_of(home)
        await self._kms.create(home.account, kms_key)
        wrapped = await self._kms.wrap(
            home.account,
            kms_key,
            secrets.token_bytes(KEY_BYTES),
            _binding(home, kms_key, _FIRST_VERSION),
        )
        body = {
            "format": _FORMAT,
            "tenant": home.tenant_id,
            "version": _FIRST_VERSION,
            "kms_key": kms_key,
            "wrapped": base64.b64encode(wrapped).decode(),
        }
        # Of two that create at once the first wins; the loser's key was never used.
        await asyncio.to_thread(self._files.create, path, json.dumps(body).encode())

    async def version(self, home: Home) -> int:
        return _FIRST_VERSION

    async def subkey(self, home: Home, version: int, purpose: Purpose, context: bytes) -> bytes:
        key = self._cache.get(home.tenant_id, version)
        if key is None:
            key = self._cache.put(home.tenant_id, version, await self._open(home, version))
        info = associated_data("tenantry/subkey/v1", purpose.value, context)
        return HKDF(SHA256(), KEY_BYTES, salt=None, info=info).derive(key)

    async def forget(self, home: Home) -> None:
        self._cache.forget(home.tenant_id)

    async def destroy(self, home: Home) -> None:
        self._cache.forget(home.tenant_id)
        folder = self._folder(home)
        for path in await asyncio.to_thread(lambda: sorted(folder.glob("*"))):
            await asyncio.to_thread(self._files.remove, path)

    def close(self) -> None:
        """Zero every cached key."""
        self._cache.clear()

    async def _open(self, home: Home, version: int) -> bytes:
        path = self._path(home, version)
        try:
            body = json.loads(await asyncio.to_thread(path.read_bytes))
            kms_key = body["kms_key"]
            wrapped = base64.b64decode(body["wrapped"], validate=True)
            known = body["format"] == _FORMAT
        except FileNotFoundError:
            raise NotFound(
                "The tenant has no key: it was never made, or it was shredded."
            ) from None
        except OSError as error:
            raise Unavailable("The key store cannot be read.") from error
        except (ValueError, KeyError, TypeError):
            raise Corrupt("A wrapped tenant key is damaged.") from None
        if not known or not isinstance(kms_key, str):
            raise Corrupt("A wrapped tenant key has an unknown format.")
        key = await self._kms.unwrap(
            home.account, kms_key, wrapped, _binding(home, kms_key, version)
        )
        if len(key) != KEY_BYTES:
            raise Corrupt("A tenant key has the wrong length.")
        return key

    def _path(self, home: Home, version: int) -> Path:
        return self._folder(home) / f"{version}.json"

    def _folder(self, home: Home) -> Path:
        if not _SAFE_NAME.fullmatch(home.account) or not _SAFE_NAME.fullmatch(home.tenant_id):
            raise NotFound("There is no such tenant.")
        return self._accounts / home.account / "keys" / home.tenant_id


def kms_key_of(home: Home) -> str:
    """The id of the root key that wraps a new tenant key."""
    return f"own-{home.tenant_id}" if home.own_kms_key else SHARED_KMS_KEY


def _binding(home: Home, kms_key: str, version: int) -> bytes:
    return associated_data("tenantry/tenant-key/v1", home.tenant_id, kms_key, version)
