"""What the key store has of a tenant, version by version, without opening any."""

from __future__ import annotations

from collections.abc import Collection

from tenantry.adapters.keys.wrapped_key import is_anothers, unpack
from tenantry.domain.document import Home
from tenantry.domain.errors import Corrupt, NotFound
from tenantry.ports.key_files import KeyFiles
from tenantry.ports.keys import RestingKeys, WrappedKey


async def resting_keys(files: KeyFiles, used: Collection[int], home: Home) -> RestingKeys:
    """`used`: versions that were, as of before: what rests is noted later. Unavailable where the
    store cannot be asked."""
    whole, misplaced, absent = list[WrappedKey](), list[int](), set(used)
    for version in await files.versions(home):
        absent.add(version)
        try:
            data = await files.read(home, version)
            if is_anothers(home, version, data):
                misplaced.append(version)
            whole.append(unpack(home, version, data))
        except (NotFound, Corrupt):  # the one is destroyed, and barred before that
            continue
        absent.discard(version)
    if absent and await files.barred(home):
        absent.clear()
    return RestingKeys(whole, sorted(absent), misplaced)
