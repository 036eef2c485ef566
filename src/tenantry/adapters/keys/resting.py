"""What the key store has of a tenant, version by version, without opening any."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from tenantry.adapters.keys.wrapped_key import is_anothers, unpack
from tenantry.domain.document import Home
from tenantry.domain.errors import Corrupt, NotFound
from tenantry.ports.key_files import KeyFiles
from tenantry.ports.keys import RestingKeys, WrappedKey


async def resting_keys(
    files: KeyFiles, noted: Mapping[int, frozenset[str] | None], home: Home
) -> RestingKeys:
    """`noted`: versions that were used, with what may wrap them, as of before: what rests is noted
    later. Unavailable where the store cannot be asked."""
    whole, misplaced, absent = list[WrappedKey](), list[int](), set(noted)
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
    return RestingKeys(
        whole, sorted(absent), misplaced, _united(noted.get(each) for each in absent)
    )


def _united(each: Iterable[frozenset[str] | None]) -> frozenset[str] | None:
    """None where one is."""
    known = list(each)
    return None if None in known else frozenset().union(*(arns for arns in known if arns))
