"""AWS Signature Version 4 as pure arithmetic: what a signer computes and a verifier checks.

Both ends of the gateway stand on this module: the Bedrock adapter signs with it, the HTTP
entrypoint verifies its callers' signatures with it. Paths and queries are *raw*, exactly as
they go over the wire: for every service but S3 the canonical path encodes the raw path a second
time (`/model/x%3A0/converse` is signed as `/model/x%253A0/converse`), so a decoded path can
never be verified.

Source: AWS IAM User Guide, "Create a signed AWS API request"; held equal to botocore's
`SigV4Auth` by the property tests.
"""

import hashlib
import hmac
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import lru_cache
from typing import Final
from urllib.parse import quote

ALGORITHM: Final = "AWS4-HMAC-SHA256"
SERVICE: Final = "bedrock"  # one signing name for runtime, control plane and agent runtime
TERMINATOR: Final = "aws4_request"
SKEW_MAX: Final = timedelta(minutes=5)
AUTHORIZATION_CHARS_MAX: Final = 4_096
SIGNED_HEADERS_MAX: Final = 64
# A caller's paths are cached before its signature is known to be good: few and short.
_CACHED_PATHS: Final = 1_024
_CACHED_PATH_CHARS_MAX: Final = 512

_SCOPE_PART = re.compile(r"[A-Za-z0-9_-]{1,128}", re.ASCII)
_DATE = re.compile(r"[0-9]{8}", re.ASCII)
_TIMESTAMP = re.compile(r"[0-9]{8}T[0-9]{6}Z", re.ASCII)
_SIGNATURE = re.compile(r"[0-9a-f]{64}", re.ASCII)
# Over HTTP/2, the AWS SDK for JavaScript signs `:authority` in place of `host`.
_HEADER_NAME = re.compile(r"[a-z0-9!#$%&'*+.^_`|~-]{1,128}|:authority", re.ASCII)
_HOST_NAMES: Final = frozenset({"host", ":authority"})
# Headers that decide whose request it is, what it may see and what becomes of it: unsigned, they
# could be added to a request that was overheard. All SDKs sign them, as AWS wants `x-amz-*` signed.
DECIDING_PREFIXES: Final = ("x-tenantry-", "x-amzn-bedrock-")
_DECIDING_NAMES: Final = frozenset({"idempotency-key"})


class SignatureProblem(StrEnum):
    """Why a signature is refused; the caller maps it to its API family's error."""

    MALFORMED = "malformed"
    WRONG_SERVICE = "wrong_service"
    SESSION_TOKEN = "session_token"  # noqa: S105 - the name of a problem, not a secret
    HOST_NOT_SIGNED = "host_not_signed"
    HEADER_NOT_SIGNED = "header_not_signed"
    PAYLOAD_NOT_SIGNED = "payload_not_signed"
    CLOCK_SKEW = "clock_skew"
    MISMATCH = "mismatch"


@dataclass(frozen=True, slots=True)
class CredentialScope:
    """The `Credential=` member of an Authorization header."""

    access_key_id: str
    date: str  # YYYYMMDD
    region: str
    service: str


@dataclass(frozen=True, slots=True)
class Authorization:
    """A well-formed SigV4 Authorization header, not yet verified."""

    scope: CredentialScope
    signed_headers: tuple[str, ...]  # lower-case, sorted, unique
    signature: str  # 64 lower-case hexadecimal digits


@dataclass(frozen=True, slots=True)
class SignedRequest:
    """The request as it came over the wire, the values of its headers as text."""

    method: str
    raw_path: str
    raw_query: str
    headers: Sequence[tuple[str, str]]
    payload_sha256: str  # of the body as received, lower-case hexadecimal


@dataclass(frozen=True, slots=True)
class VerifiedSignature:
    """Proof that the holder of `access_key_id`'s secret signed this request at `signed_at`."""

    access_key_id: str
    region: str
    signed_at: datetime
    signed_headers: tuple[str, ...]


def parse_authorization(header: str) -> Authorization | SignatureProblem:
    """Read an `AWS4-HMAC-SHA256 Credential=…, SignedHeaders=…, Signature=…` header."""
    if len(header) > AUTHORIZATION_CHARS_MAX:
        return SignatureProblem.MALFORMED
    algorithm, _, rest = header.strip().partition(" ")
    members: dict[str, str] = {}
    for member in rest.split(","):
        name, _, value = member.strip().partition("=")
        if name in members:
            return SignatureProblem.MALFORMED
        members[name] = value
    if algorithm != ALGORITHM or members.keys() != {"Credential", "SignedHeaders", "Signature"}:
        return SignatureProblem.MALFORMED
    scope = _parse_scope(members["Credential"])
    signed = tuple(members["SignedHeaders"].split(";"))
    signature_hex = members["Signature"]
    well_formed = (
        scope is not None
        and len(signed) <= SIGNED_HEADERS_MAX
        and all(_HEADER_NAME.fullmatch(name) for name in signed)
        and list(signed) == sorted(set(signed))
        and _SIGNATURE.fullmatch(signature_hex) is not None
    )
    if scope is None or not well_formed:
        return SignatureProblem.MALFORMED
    return Authorization(scope, signed, signature_hex)


def _parse_scope(credential: str) -> CredentialScope | None:
    parts = credential.split("/")
    if len(parts) != 5 or parts[4] != TERMINATOR or _DATE.fullmatch(parts[1]) is None:
        return None
    if not all(_SCOPE_PART.fullmatch(part) for part in (parts[0], parts[2], parts[3])):
        return None
    return CredentialScope(parts[0], parts[1], parts[2], parts[3])


def canonical_path(raw_path: str) -> str:
    """The raw path with dot segments and empty segments removed, percent-encoded once more."""
    if len(raw_path) <= _CACHED_PATH_CHARS_MAX:
        return _cached_canonical_path(raw_path)
    return _canonical_path(raw_path)


def _canonical_path(raw_path: str) -> str:
    segments: list[str] = []
    for segment in raw_path.split("/"):
        if segment == "..":
            if segments:
                segments.pop()
        elif segment and segment != ".":
            segments.append(segment)
    trailing = "/" if segments and raw_path.endswith("/") else ""
    return quote("/" + "/".join(segments) + trailing, safe="/~")


_cached_canonical_path = lru_cache(maxsize=_CACHED_PATHS)(_canonical_path)


def canonical_query(raw_query: str) -> str:
    """The raw query's pairs, already encoded, sorted by name and then by value."""
    if not raw_query:
        return ""
    pairs = sorted(pair.partition("=")[::2] for pair in raw_query.split("&"))
    return "&".join(f"{name}={value}" for name, value in pairs)


def canonical_value(value: str) -> str:
    """A header value without outer white space, inner runs collapsed to one space."""
    return " ".join(value.split())


def canonical_request(
    method: str,
    raw_path: str,
    raw_query: str,
    headers: Iterable[tuple[str, str]],
    signed_headers: Sequence[str],
    payload_sha256: str,
) -> str:
    """The text whose hash is signed. `signed_headers` are lower-case and sorted."""
    values: dict[str, list[str]] = {name: [] for name in signed_headers}
    for name, value in headers:
        collected = values.get(name.lower())
        if collected is not None:
            collected.append(canonical_value(value))
    lines = "".join(f"{name}:{','.join(values[name])}\n" for name in signed_headers)
    return (
        f"{method.upper()}\n{canonical_path(raw_path)}\n{canonical_query(raw_query)}\n"
        f"{lines}\n{';'.join(signed_headers)}\n{payload_sha256}"
    )


def signing_key(secret_access_key: str, date: str, region: str, service: str = SERVICE) -> bytes:
    """The key of one secret for one day, region and service; worth caching (four HMACs)."""
    key = f"AWS4{secret_access_key}".encode()
    for part in (date, region, service, TERMINATOR):
        key = hmac.digest(key, part.encode(), "sha256")
    return key


def signature(
    key: bytes, canonical: str, timestamp: str, region: str, service: str = SERVICE
) -> str:
    """Sign a canonical request; `timestamp` is `YYYYMMDDTHHMMSSZ`, `key` of its day."""
    request_hash = hashlib.sha256(canonical.encode()).hexdigest()
    to_sign = (
        f"{ALGORITHM}\n{timestamp}\n{timestamp[:8]}/{region}/{service}/{TERMINATOR}\n{request_hash}"
    )
    return hmac.digest(key, to_sign.encode(), "sha256").hex()


def verify(
    authorization: Authorization, request: SignedRequest, key: bytes, now: datetime
) -> VerifiedSignature | SignatureProblem:
    """Check a caller's signature against the clock and the signing key of its scope.

    `key` is `signing_key(secret, scope.date, scope.region)` of the claimed access key; an
    unknown access key is the caller's to refuse. `now` is an aware instant. Session tokens,
    other services, and requests whose host, payload or deciding header is not bound by the
    signature are refused.
    """
    scope = authorization.scope
    if scope.service != SERVICE:
        return SignatureProblem.WRONG_SERVICE
    timestamp = _checked_headers(authorization, request)
    if isinstance(timestamp, SignatureProblem):
        return timestamp
    signed_at = _parse_timestamp(timestamp)
    if signed_at is None or timestamp[:8] != scope.date:
        return SignatureProblem.MALFORMED
    if abs(now - signed_at) > SKEW_MAX:
        return SignatureProblem.CLOCK_SKEW
    try:
        canonical = canonical_request(
            request.method,
            request.raw_path,
            request.raw_query,
            request.headers,
            authorization.signed_headers,
            request.payload_sha256,
        )
        expected = signature(key, canonical, timestamp, scope.region, scope.service)
    except UnicodeEncodeError:  # lone surrogates: no client can have signed them
        return SignatureProblem.MALFORMED
    if not hmac.compare_digest(expected, authorization.signature):
        return SignatureProblem.MISMATCH
    return VerifiedSignature(
        scope.access_key_id, scope.region, signed_at, authorization.signed_headers
    )


def _checked_headers(
    authorization: Authorization, request: SignedRequest
) -> str | SignatureProblem:
    """The request's `x-amz-date`, once its headers keep the rules."""
    seen: dict[str, str] = {}
    repeated: set[str] = set()
    for name, value in request.headers:
        lowered = name.lower()
        if lowered in seen:
            repeated.add(lowered)
        seen[lowered] = value
    if "x-amz-security-token" in seen:
        return SignatureProblem.SESSION_TOKEN
    if _HOST_NAMES.isdisjoint(authorization.signed_headers):
        return SignatureProblem.HOST_NOT_SIGNED
    if any(map(_decides, seen.keys() - set(authorization.signed_headers))):
        return SignatureProblem.HEADER_NOT_SIGNED
    # A claimed hash (or UNSIGNED-PAYLOAD) must be that of the body which came.
    if seen.get("x-amz-content-sha256", request.payload_sha256) != request.payload_sha256:
        return SignatureProblem.PAYLOAD_NOT_SIGNED
    missing = any(name not in seen for name in authorization.signed_headers)
    once = {*_HOST_NAMES, "x-amz-date", "x-amz-content-sha256", "authorization"}
    ambiguous = repeated & once
    if missing or ambiguous or "x-amz-date" not in seen:
        return SignatureProblem.MALFORMED
    return seen["x-amz-date"].strip()


def _decides(name: str) -> bool:
    return name in _DECIDING_NAMES or name.startswith(DECIDING_PREFIXES)


def _parse_timestamp(timestamp: str) -> datetime | None:
    if _TIMESTAMP.fullmatch(timestamp) is None:
        return None
    try:
        return datetime.strptime(timestamp, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    except ValueError:  # the 31st of February
        return None
