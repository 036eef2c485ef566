"""Keys: a KMS key wraps one tenant key for each tenant; subkeys are derived and never stored."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from tenantry.domain.document import Home
from tenantry.domain.ids import TenantId

SHARED_KMS_KEY = "shared"  # the id of the KMS key that wraps the keys of all its tenants


class Purpose(StrEnum):
    """What a subkey is for. The value goes into the derivation: it never changes its meaning."""

    CONTENT_HMAC = "content-hmac"
    USER_HMAC = "user-hmac"
    PROMPT_SALT = "prompt-salt"
    SEGMENT = "segment"
    BLOB = "blob"
    IDEMPOTENCY_HMAC = "idempotency-hmac"
    ANSWER_HMAC = "answer-hmac"
    SESSION_HMAC = "session-hmac"


class KeyStore(Protocol):
    """Wrapped tenant keys, opened into a bounded cache. Only ever asked on behalf of one tenant.

    A missing tenant key is NotFound, one that does not open is Corrupt, a disabled KMS key or a
    store out of reach is Unavailable.
    """

    async def create(self, home: Home) -> None:
        """Make the tenant's key where it has none; durable on return, idempotent.

        NotFound where it was destroyed: there is never another. Unavailable in the account that
        does not exist (`domain.placement.NO_ACCOUNT`).
        """
        ...

    async def version(self, home: Home) -> int:
        """The version of the tenant key that seals what is new."""
        ...

    async def subkey(self, home: Home, version: int, purpose: Purpose, context: bytes) -> bytes:
        """32 bytes by HKDF-SHA-256 of the tenant key, labelled with purpose and context."""
        ...

    async def check(self, home: Home) -> None:
        """Returns where every version of the tenant key could be opened lately, or can be now.

        To be asked before content is read that was opened earlier: it raises as `subkey` does once
        a KMS key has been disabled for as long as the cache holds a key.
        """
        ...

    async def forget(self, home: Home) -> None:
        """Drop the tenant key from the cache and zero its slot."""
        ...

    async def destroy(self, home: Home) -> None:
        """Delete every copy of the wrapped key: what it sealed can never be opened again.

        For good and idempotent, also where there never was one: `create` makes no other.
        """
        ...


@dataclass(frozen=True, slots=True)
class KeyName:
    """Which tenant key: what its wrapped form is bound to."""

    tenant_id: TenantId
    version: int
    kms_key: str  # `shared`, or `own-<tenant>`


@dataclass(frozen=True, slots=True)
class WrappedKey:
    """A tenant key as it rests. `arn`: of the AWS KMS key that opens it; None: a local one.

    `former`: of AWS KMS keys of the tenant's own that wrapped it before, and may still be there.
    """

    name: KeyName
    arn: str | None
    wrapped: bytes = field(repr=False)
    former: Sequence[str] = ()

    @property
    def arns(self) -> frozenset[str]:
        """Of every key in AWS KMS that it names."""
        return frozenset(self.former) | ({self.arn} if self.arn is not None else frozenset())


@dataclass(frozen=True, slots=True)
class RestingKeys:
    """A tenant's wrapped keys as they rest; none was opened.

    `whole`: oldest first. `absent`: versions that are damaged, or that were used and are not there.
    `misplaced`: those of them in whose place the key of another tenant or version lies.
    `absent_arns`: of every key in AWS KMS that may wrap one that is absent; None: nobody can tell.
    """

    whole: Sequence[WrappedKey]
    absent: Sequence[int]
    misplaced: Sequence[int]
    absent_arns: frozenset[str] | None


class KeyRotation(Protocol):
    """What an operator does with tenant keys. No content is read or written."""

    async def rotate(self, home: Home) -> int:
        """A new version for all that is sealed from now on; older ones still open what they sealed.

        Returns its number. Other workers use it once their cache has run out. Of two rotations at
        once one makes the version and both return it.
        """
        ...

    async def rewrap(self, home: Home) -> int:
        """Wrap every version by the KMS key that is now the tenant's. Returns how many were moved.

        Idempotent, and whole between any two steps: each version opens under the KMS key that its
        wrapped form names. Unavailable where a version that was used is lost; the others are moved.
        """
        ...

    async def versions(self, home: Home) -> Sequence[WrappedKey]:
        """Every version in the key store, oldest first."""
        ...

    async def resting(self, home: Home) -> RestingKeys:
        """Each version by itself: one that is damaged hides no other. `absent` is none of a tenant
        whose keys this store has destroyed."""
        ...

    async def missing(self, home: Home) -> Sequence[int]:
        """Versions that were ever used and are not in the key store: lost, or it is another store.
        None of a tenant whose keys this store has destroyed."""
        ...

    async def is_whole(self, home: Home) -> bool:
        """Whether no version is missing, nor the first where there are others, and each that was
        used is the one that it was. Raises as `subkey` where one does not open."""
        ...

    async def begin_anew(self, home: Home) -> None:
        """Make a first version where later ones are left without it, as digests are of it alone: it
        is refused as another one until what is noted of the lost one is given up. Idempotent."""
        ...


@dataclass(frozen=True, slots=True)
class Retirement:
    """What became of the root keys that are never to be used again for a tenant.

    `disabled`: one that was made for it is. `deletion_at` is when its store will have deleted it;
    None where nothing is left to delete. `left`: ARNs of those that somebody else made, and holds:
    they are as they were.
    """

    disabled: bool
    deletion_at: datetime | None
    left: Sequence[str] = ()


class KmsKeys(Protocol):
    """Root keys of one account: they wrap and unwrap, and never leave their store."""

    async def create(self, account: str, key_id: str) -> None:
        """Make a root key where there is none under this id."""
        ...

    async def wrap(self, account: str, name: KeyName, key: bytes) -> WrappedKey:
        """Wrap a tenant key by the root key that `name` says, bound to all of the name."""
        ...

    async def unwrap(self, account: str, wrapped: WrappedKey) -> bytes:
        """Corrupt where key or name differ; Unavailable where the root key is disabled."""
        ...

    async def retirable(
        self, account: str, key_id: str, arns: Collection[str] = (), *, sure: bool = True
    ) -> Collection[str]:
        """ARNs of the keys in AWS KMS that `retire` would disable, which others must not need."""
        ...

    async def named_by(self, arns: Collection[str]) -> Collection[str]:
        """Key ids by which one of these keys in AWS KMS is named now, so that a tenant of that id
        would wrap by it. Unavailable where AWS does not let us look."""
        ...

    async def retire(
        self, account: str, key_id: str, arns: Collection[str] = (), *, sure: bool = True
    ) -> Retirement | None:
        """Disable a tenant's own root key for good, then delete it as soon as its store allows; so
        too each of `arns`, which it is or was in AWS KMS. None: there never was one. What was not
        made for this `key_id` is left as it is: who made it may use it for more.

        Not `sure`: nothing says that there ever was one, so an account that does not let us look is
        taken to have none. Idempotent. Conflict for the shared key, which other tenants need.
        """
        ...


class Sealer(Protocol):
    """Seals content of a tenant before any store sees it, bound to tenant, kind and object id."""

    async def seal(self, home: Home, kind: str, object_id: str, plain: bytes) -> bytes: ...

    async def open(self, home: Home, kind: str, object_id: str, sealed: bytes) -> bytes:
        """The plaintext, or Corrupt: changed, swapped, of another tenant, kind or object."""
        ...

    async def digest(self, home: Home, purpose: Purpose, data: bytes) -> bytes:
        """HMAC-SHA-256 under a subkey of the tenant: finds equal content, reveals none.

        Always of the tenant key's first version, so that rotation changes no digest.
        """
        ...
