"""That a tenant key is the one that the tenant had: by what the database notes of each before its
first use.

    the key store has   noted        then
    ------------------  -----------  ---------------------------------------------------
    none                none         one may be made
    none                one          Unavailable: it is lost, or this is another key store
    a key               none         noted, then used
    a key               the same     used
    a key               another      Unavailable: it opens nothing of this tenant

The key rests before it is noted, so a process that dies in between leaves a key that was never
used, which the next use notes; and it is noted before it is used, so that no state of the database
names content or digests without naming their key.
"""

from __future__ import annotations

import hmac
import logging
from collections import OrderedDict
from collections.abc import Mapping

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from tenantry.domain.document import Home
from tenantry.domain.errors import NotFound, Unavailable
from tenantry.domain.ids import TenantId
from tenantry.ports.noted_keys import NotedKeys

FINGERPRINT_BYTES = 32
KNOWN_MAX = 65_536  # fingerprints in memory, about 16 MB
_HASH_BYTES = 8  # of what wraps it
LOST = "The key store does not have the key that this tenant had."
ANOTHER = "The key store has another key for this tenant than the one that it had."
DESTROYED = "The tenant's key was shredded; it gets no other."
_log = logging.getLogger(__name__)


class UsedKeys:
    """Asks the database once in a process for each key that is right, and again where another KMS
    key wraps it. A note never changes, but where the key is given up: then every process makes
    place for another."""

    def __init__(self, noted: NotedKeys) -> None:
        self._noted = noted
        self._known: OrderedDict[tuple[TenantId, int], bytes] = OrderedDict()

    async def begin(self, home: Home, version: int, key: bytes, arns: frozenset[str]) -> None:
        """To be called before a key is used for anything, and before another KMS key than those of
        `arns` wraps it. Unavailable where the tenant had another one, NotFound where it is
        shredded."""
        if not await self.is_right(home, version, key, arns):
            _log.warning("tenant %s: version %d of its key is another one", home.tenant_id, version)
            raise Unavailable(ANOTHER)

    async def is_right(self, home: Home, version: int, key: bytes, arns: frozenset[str]) -> bool:
        """Whether it is the one that is noted, as it is from now on where none was. NotFound where
        the tenant is shredded. `arns`: of the keys in AWS KMS that may wrap it."""
        name, found = (home.tenant_id, version), fingerprint(key)
        told = found + hash(arns).to_bytes(_HASH_BYTES, "big", signed=True)
        known = self._known.get(name)
        if known is not None and hmac.compare_digest(known, told):
            self._known.move_to_end(name)
            return True
        noted = await self._noted.note(home.tenant_id, version, found, arns)
        if noted is None:
            raise NotFound(DESTROYED)
        if not hmac.compare_digest(noted, found):
            return False
        self._known[name] = told
        while len(self._known) > KNOWN_MAX:
            self._known.popitem(last=False)
        return True

    async def versions(self, home: Home) -> frozenset[int]:
        """Versions of the tenant's key that were ever used."""
        return frozenset(await self._noted.versions(home.tenant_id))

    async def wrapped_by(self, home: Home) -> Mapping[int, frozenset[str] | None]:
        """See `ports.noted_keys.NotedKeys.wrapped_by`."""
        return await self._noted.wrapped_by(home.tenant_id)

    async def since(self, home: Home, version: int) -> bool:
        """Whether this version of the tenant's key, or a later one, was ever used."""
        return any(used >= version for used in await self.versions(home))


def lost(home: Home, version: int) -> Unavailable:
    """What is raised where a key that was used is not in the key store."""
    _log.warning("tenant %s: version %d of its key is not there", home.tenant_id, version)
    return Unavailable(LOST)


def fingerprint(key: bytes) -> bytes:
    """Tells one tenant key from another; opens nothing and leads to no subkey, so no secret."""
    info = b"tenantry/tenant-key/fingerprint/v1"
    return HKDF(SHA256(), FINGERPRINT_BYTES, salt=None, info=info).derive(key)
