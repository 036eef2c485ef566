"""Step 2 of the request's way: who asks? Credentials become a principal with exactly one tenant.

Owns: bearer keys, SigV4 signatures, scopes. Does not own: headers (the entrypoints read them), the
store of keys (the directory), status of tenant and key for admitted calls (decided again in the
admit batch).
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from tenantry.domain import sigv4
from tenantry.domain.errors import BadSignature, KeyMissing, KeyWrong, ScopeMissing
from tenantry.domain.record import record
from tenantry.domain.sigv4 import SignatureProblem, SignedRequest
from tenantry.domain.tenant import Principal, Scope
from tenantry.ports.directory import Directory

_SIGNING_KEYS_CACHED: Final = 4_096
_BEARER_CHARS_MAX: Final = 4_096

_PROBLEMS: Final = {
    SignatureProblem.MALFORMED: "The signature is incomplete or malformed.",
    SignatureProblem.WRONG_SERVICE: f"Credential should be scoped to service {sigv4.SERVICE!r}.",
    SignatureProblem.SESSION_TOKEN: "Session tokens are not accepted; use the API key's own pair.",
    SignatureProblem.HOST_NOT_SIGNED: "The host header must be signed.",
    SignatureProblem.HEADER_NOT_SIGNED: "Headers that decide the answer must be signed:"
    " x-tenantry-*, x-amzn-bedrock-* and idempotency-key.",
    SignatureProblem.PAYLOAD_NOT_SIGNED: "The payload's hash must be that of the body.",
    SignatureProblem.CLOCK_SKEW: "Signature expired: x-amz-date is more than 5 minutes off.",
    SignatureProblem.MISMATCH: "The request signature we calculated does not match the signature"
    " you provided. Check your secret access key and signing method.",
}


@record
class BearerKey:
    """An API key as presented."""

    presented: str


@dataclass(frozen=True, slots=True)
class Signed:
    """A request signed with an API key's SigV4 pair."""

    authorization: str  # the header
    request: SignedRequest


Credentials = BearerKey | Signed


class Authenticator:
    """Turns credentials into principals; holds a bounded cache of derived signing keys."""

    def __init__(self, directory: Directory) -> None:
        self._directory = directory
        self._signing_keys: OrderedDict[tuple[str, bytes, str, str], bytes] = OrderedDict()

    async def authenticate(
        self, credentials: Credentials | None, *, now: datetime, fresh: bool
    ) -> Principal:
        """The principal. `fresh`: ask the database, for routes that pass no admission.

        Raises `Unauthenticated` and its kinds, `TenantSuspended`, `Unavailable`.
        """
        if isinstance(credentials, Signed):
            return await self._by_signature(credentials, now, fresh)
        return await self._by_bearer(credentials, fresh=fresh)

    async def owner(self, credentials: Credentials | None) -> str:
        """Whose a request says to be, before its body is here: what its bearer key opens, or its
        access key id names. Nothing is allowed by it; from the directory's cache where it can be.

        Of who signs it has another name than of who shows a key: that it holds the secret, nobody
        knows before the body is here, and access key ids are no secrets. One that is revoked is
        `KeyWrong` here, as nobody may learn of it. Raises as `authenticate`.
        """
        if not isinstance(credentials, Signed):
            return (await self._by_bearer(credentials, fresh=False)).tenant_id
        parsed = sigv4.parse_authorization(credentials.authorization)
        if isinstance(parsed, SignatureProblem):
            raise BadSignature(_PROBLEMS[parsed])
        signer = await self._directory.by_access_key_id(parsed.scope.access_key_id, fresh=False)
        if not isinstance(signer.who, Principal):
            raise KeyWrong
        return f"{signer.who.tenant_id} by signature"

    async def _by_bearer(self, credentials: BearerKey | None, *, fresh: bool) -> Principal:
        presented = "" if credentials is None else credentials.presented
        if not presented:
            raise KeyMissing
        if len(presented) > _BEARER_CHARS_MAX:
            raise KeyWrong
        return await self._directory.by_bearer(presented, fresh=fresh)

    async def _by_signature(self, signed: Signed, now: datetime, fresh: bool) -> Principal:
        parsed = sigv4.parse_authorization(signed.authorization)
        if isinstance(parsed, SignatureProblem):
            raise BadSignature(_PROBLEMS[parsed])
        scope = parsed.scope
        signer = await self._directory.by_access_key_id(scope.access_key_id, fresh=fresh)
        key = self._signing_key(scope.access_key_id, signer.secret, scope.date, scope.region)
        verified = sigv4.verify(parsed, signed.request, key, now)
        if isinstance(verified, SignatureProblem):
            raise BadSignature(_PROBLEMS[verified])
        if not isinstance(signer.who, Principal):
            raise signer.who
        return signer.who

    def _signing_key(self, access_key_id: str, secret: bytes, date: str, region: str) -> bytes:
        name = (access_key_id, secret, date, region)
        key = self._signing_keys.get(name)
        if key is None:
            key = sigv4.signing_key(secret.decode(), date, region)
            self._signing_keys[name] = key
            if len(self._signing_keys) > _SIGNING_KEYS_CACHED:
                self._signing_keys.popitem(last=False)
        return key


def require(principal: Principal, scope: Scope) -> None:
    """Raises `ScopeMissing` unless the API key has the scope."""
    if not principal.may(scope):
        raise ScopeMissing(f"The API key lacks the scope {scope.value!r}.")
