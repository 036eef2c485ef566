"""Sealing whole blobs: a fresh key for each by HKDF of a random salt, so nonces cannot repeat."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import secrets

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from tenantry.domain.document import Home
from tenantry.domain.envelope import (
    BLOB_HEADER_BYTES,
    SALT_BYTES,
    BlobHeader,
    associated_data,
    unpack_blob,
)
from tenantry.domain.errors import Corrupt
from tenantry.ports.keys import KeyStore, Purpose

_NONCE = bytes(12)  # each blob has a key of its own and seals exactly one message with it
_OFF_LOOP_BYTES = 256 * 1024  # below this a thread costs more than the cipher
_FIRST_VERSION = 1


class TenantSealer:
    """`ports.keys.Sealer` over any key store."""

    def __init__(self, keys: KeyStore) -> None:
        self._keys = keys

    async def seal(self, home: Home, kind: str, object_id: str, plain: bytes) -> bytes:
        version = await self._keys.version(home)
        header = BlobHeader(version, secrets.token_bytes(SALT_BYTES))
        cipher = await self._cipher(home, header)
        bound_to = _binding(home, kind, object_id, header)
        if len(plain) < _OFF_LOOP_BYTES:
            body = cipher.encrypt(_NONCE, plain, bound_to)
        else:
            body = await asyncio.to_thread(cipher.encrypt, _NONCE, plain, bound_to)
        return header.pack() + body

    async def open(self, home: Home, kind: str, object_id: str, sealed: bytes) -> bytes:
        header = unpack_blob(sealed)
        cipher = await self._cipher(home, header)
        bound_to = _binding(home, kind, object_id, header)
        body = memoryview(sealed)[BLOB_HEADER_BYTES:]
        try:
            if len(body) < _OFF_LOOP_BYTES:
                return cipher.decrypt(_NONCE, body, bound_to)
            return await asyncio.to_thread(cipher.decrypt, _NONCE, body, bound_to)
        except InvalidTag:
            raise Corrupt("A sealed blob does not open for this tenant and object.") from None

    async def digest(self, home: Home, purpose: Purpose, data: bytes) -> bytes:
        # Always under the first version: a digest must stay equal when new keys seal new content.
        key = await self._keys.subkey(home, _FIRST_VERSION, purpose, b"")
        return hmac.new(key, data, hashlib.sha256).digest()

    async def _cipher(self, home: Home, header: BlobHeader) -> AESGCM:
        return AESGCM(await self._keys.subkey(home, header.key_version, Purpose.BLOB, header.salt))


def _binding(home: Home, kind: str, object_id: str, header: BlobHeader) -> bytes:
    return associated_data("tenantry/blob/v1", home.tenant_id, kind, object_id, header.pack())
