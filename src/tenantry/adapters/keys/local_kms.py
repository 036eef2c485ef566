"""A KMS for one machine: root keys as files in `<accounts>/<account>/kms`, mode 0600.

Stands in for AWS KMS where there is none. Whoever reads the folder has the keys: it protects a
stolen database, object store or backup, not a stolen machine.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import re
import secrets
from collections.abc import Collection
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from tenantry.domain.envelope import associated_data
from tenantry.domain.errors import Conflict, Corrupt, Unavailable
from tenantry.ports.keys import SHARED_KMS_KEY, KeyName, Retirement, WrappedKey
from tenantry.ports.objects import Files

KEY_BYTES = 32
NONCE_BYTES = 12
_FORMAT = 1
_SAFE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,127}")


class LocalKms:
    """`ports.keys.KmsKeys` over files."""

    def __init__(self, accounts: Path, files: Files) -> None:
        self._accounts = accounts
        self._files = files

    async def create(self, account: str, key_id: str) -> None:
        key = base64.b64encode(secrets.token_bytes(KEY_BYTES)).decode()
        body = json.dumps({"format": _FORMAT, "key_id": key_id, "enabled": True, "key": key})
        path = self._path(account, key_id)
        if not await asyncio.to_thread(path.exists):
            await asyncio.to_thread(self._files.create, path, body.encode())

    async def wrap(self, account: str, name: KeyName, key: bytes) -> WrappedKey:
        root = await asyncio.to_thread(self._read, account, name.kms_key)
        nonce = secrets.token_bytes(NONCE_BYTES)
        return WrappedKey(name, None, nonce + AESGCM(root).encrypt(nonce, key, _binding(name)))

    async def unwrap(self, account: str, wrapped: WrappedKey) -> bytes:
        root = await asyncio.to_thread(self._read, account, wrapped.name.kms_key)
        nonce, sealed = wrapped.wrapped[:NONCE_BYTES], wrapped.wrapped[NONCE_BYTES:]
        try:
            return AESGCM(root).decrypt(nonce, sealed, _binding(wrapped.name))
        except (InvalidTag, ValueError):
            raise Corrupt("A wrapped key does not open under its KMS key.") from None

    async def retirable(
        self, account: str, key_id: str, arns: Collection[str] = (), *, sure: bool = True
    ) -> Collection[str]:
        return ()  # a key of this machine has the name of its one tenant

    async def named_by(self, arns: Collection[str]) -> Collection[str]:
        return ()

    async def retire(
        self, account: str, key_id: str, arns: Collection[str] = (), *, sure: bool = True
    ) -> Retirement | None:
        """The key itself is gone at once; an entry stays, so that no other takes its name."""
        if key_id == SHARED_KMS_KEY:
            raise Conflict("The shared KMS key cannot be retired: other tenants need it.")
        path = self._path(account, key_id)
        if not await asyncio.to_thread(path.exists):
            return None
        body = json.dumps({"format": _FORMAT, "key_id": key_id, "enabled": False, "key": None})
        await asyncio.to_thread(self._files.replace, path, body.encode())
        return Retirement(disabled=True, deletion_at=None)

    async def retired(self, account: str, key_id: str) -> bool:
        """Whether it is retired for good; False for a file that cannot be read."""
        path = self._path(account, key_id)
        try:
            return json.loads(await asyncio.to_thread(path.read_bytes))["key"] is None
        except (OSError, ValueError, KeyError, TypeError):
            return False

    async def try_out(self, account: str, key_id: str) -> None:
        """Raises what a tenant whose key it wraps would meet."""
        await asyncio.to_thread(self._read, account, key_id)

    async def set_enabled(self, account: str, key_id: str, enabled: bool) -> None:
        """Disable or enable a root key; what it wraps cannot be opened while it is disabled."""
        path = self._path(account, key_id)
        body = json.loads(await asyncio.to_thread(path.read_bytes))
        if body["key"] is None:
            raise Conflict("The KMS key is retired for good.")
        body["enabled"] = enabled
        await asyncio.to_thread(self._files.replace, path, json.dumps(body).encode())

    def _read(self, account: str, key_id: str) -> bytes:
        path = self._path(account, key_id)
        try:
            check_private(path)
            body = json.loads(path.read_bytes())
            if body["key"] is None:
                raise Unavailable("The KMS key is disabled: it was retired for good.")
            key = base64.b64decode(body["key"], validate=True)
            right = body["format"] == _FORMAT and body["key_id"] == key_id
        except FileNotFoundError:
            raise Unavailable("The KMS key does not exist.") from None
        except OSError as error:
            raise Unavailable("The KMS key cannot be read.") from error
        except (ValueError, KeyError, TypeError):
            raise Corrupt("The KMS key's file is damaged.") from None
        if not right or len(key) != KEY_BYTES:
            raise Corrupt("The KMS key's file is damaged.")
        if body.get("enabled") is not True:
            raise Unavailable("The KMS key is disabled.")
        return key

    def _path(self, account: str, key_id: str) -> Path:
        if not _SAFE_NAME.fullmatch(account) or not _SAFE_NAME.fullmatch(key_id):
            raise Unavailable("The name of a KMS key is not valid.")
        return self._accounts / account / "kms" / f"{key_id}.json"


def check_private(path: Path) -> None:
    """Refuse key files that others may read or that another user owns."""
    if not is_private(path):
        raise Unavailable(f"The key file {path.name} is open to others; its mode must be 0600.")


def is_private(path: Path) -> bool:
    status = path.stat()
    return not status.st_mode & 0o077 and status.st_uid in (os.geteuid(), 0)


def _binding(name: KeyName) -> bytes:
    key = associated_data("tenantry/tenant-key/v1", name.tenant_id, name.kms_key, name.version)
    return associated_data("tenantry/kms/v1", name.kms_key, key)
