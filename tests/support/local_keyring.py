"""The keyring of one machine: wrapped tenant keys in `<accounts>/<account>/keys/<tenant>`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tests.support.noted_keys import MemoryNotedKeys

from tenantry.adapters.keys.key_cache import CACHED_KEY_TTL_S, CACHED_KEYS_MAX
from tenantry.adapters.keys.key_folder import KeyFolder
from tenantry.adapters.keys.keyring import Keyring
from tenantry.ports.keys import KmsKeys
from tenantry.ports.noted_keys import NotedKeys
from tenantry.ports.objects import Files


class LocalKeyring(Keyring):
    """A keyring over files of this machine."""

    def __init__(
        self,
        accounts: Path,
        files: Files,
        kms: KmsKeys,
        monotonic: Callable[[], float],
        noted: NotedKeys | None = None,
        *,
        cached_keys_max: int = CACHED_KEYS_MAX,
        cached_key_ttl_s: float = CACHED_KEY_TTL_S,
    ) -> None:
        super().__init__(
            KeyFolder(accounts, files),
            kms,
            noted or MemoryNotedKeys(),
            monotonic,
            cached_keys_max=cached_keys_max,
            cached_key_ttl_s=cached_key_ttl_s,
        )
