"""Verifies AWS Signature Version 4 in the `Authorization` header, on the path as it was sent.

The canonical URI encodes the raw path once more: a model id sent as `%3A` is signed as `%253A`.
A server that decodes its path first can neither verify this nor tell `%2F` from `/`.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from functools import lru_cache
from urllib.parse import quote, unquote_to_bytes

from bedrock_emulator.engine.types import EmulatedError

ALGORITHM = "AWS4-HMAC-SHA256"
SERVICE = "bedrock"
TERMINATOR = "aws4_request"
SKEW_MAX = timedelta(minutes=5)
CACHED_KEYS_MAX = 1_024  # signing keys, one for each access key, day and region
SIGNED_HEADERS_MAX = 100

_AMZ_DATE = "%Y%m%dT%H%M%SZ"
_FIELD = re.compile(r"\s*([A-Za-z]+)=([^,]*)\s*(?:,|$)")


@dataclass(frozen=True, slots=True)
class Authorization:
    """The parts of an `Authorization: AWS4-HMAC-SHA256 …` header."""

    access_key_id: str
    date: str  # YYYYMMDD
    region: str
    service: str
    signed_headers: tuple[str, ...]
    signature: str

    @property
    def scope(self) -> str:
        return f"{self.date}/{self.region}/{self.service}/{TERMINATOR}"


def parse_authorization(value: str) -> Authorization:
    """Reads the header; raises IncompleteSignatureException as AWS words it."""
    fields = dict(_FIELD.findall(value.removeprefix(ALGORITHM)))
    missing = [name for name in ("Credential", "Signature", "SignedHeaders") if name not in fields]
    if missing:
        raise _incomplete(
            " ".join(f"Authorization header requires '{name}' parameter." for name in missing)
        )
    parts = fields["Credential"].strip().rsplit("/", 4)
    if len(parts) != 5 or not all(parts):
        raise _incomplete(
            "Credential must have exactly 5 slash-delimited elements, "
            "e.g. keyid/date/region/service/term."
        )
    access_key_id, date, region, service, terminator = parts
    if terminator != TERMINATOR:
        raise invalid(f"Credential should be scoped with a valid terminator: '{TERMINATOR}'.")
    signed_headers = tuple(fields["SignedHeaders"].strip().split(";"))
    if len(signed_headers) > SIGNED_HEADERS_MAX:
        raise _incomplete("Too many signed headers.")
    signature = fields["Signature"].strip()
    return Authorization(access_key_id, date, region, service, signed_headers, signature)


class Verifier:
    """Checks signatures; keeps the derived signing keys of recent days in a bounded cache."""

    def __init__(self) -> None:
        self._keys: OrderedDict[tuple[str, str, str], bytes] = OrderedDict()

    def verify(
        self,
        authorization: Authorization,
        secret_access_key: str,
        *,
        method: str,
        raw_path: str,
        raw_query: str,
        headers: Mapping[str, str],
        body: bytes,
        now: datetime,
    ) -> None:
        """Raises InvalidSignatureException unless the request is signed with the secret, now."""
        signed_at = _signing_time(headers)
        _check_scope(authorization, signed_at)
        _check_time(signed_at, now)
        if not {"host", ":authority"} & set(authorization.signed_headers):
            raise invalid(
                "'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization."
            )
        canonical = canonical_request(
            method, raw_path, raw_query, headers, authorization.signed_headers, body
        )
        text = "\n".join(
            (
                ALGORITHM,
                _amz_date(signed_at),
                authorization.scope,
                hashlib.sha256(canonical).hexdigest(),
            )
        )
        key = self._signing_key(authorization, secret_access_key)
        expected = hmac.digest(key, text.encode(), "sha256").hex()
        if not hmac.compare_digest(expected.encode(), authorization.signature.encode()):
            raise invalid(
                "The request signature we calculated does not match the signature you provided. "
                "Check your AWS Secret Access Key and signing method. "
                "Consult the service documentation for details."
            )

    def _signing_key(self, authorization: Authorization, secret_access_key: str) -> bytes:
        # The secret is part of the cache key: a rotated secret must not find the old one's key.
        name = (secret_access_key, authorization.date, authorization.region)
        key = self._keys.get(name)
        if key is None:
            key = ("AWS4" + secret_access_key).encode()
            for part in (authorization.date, authorization.region, SERVICE, TERMINATOR):
                key = hmac.digest(key, part.encode(), "sha256")
            self._keys[name] = key
            if len(self._keys) > CACHED_KEYS_MAX:
                self._keys.popitem(last=False)
        return key


def canonical_request(
    method: str,
    raw_path: str,
    raw_query: str,
    headers: Mapping[str, str],
    signed_headers: tuple[str, ...],
    body: bytes,
) -> bytes:
    """The canonical request of a service that is not S3: the raw path is encoded once more."""
    header_lines = []
    for name in signed_headers:
        value = headers.get(name)
        if value is None:
            raise invalid(f"The signed header '{name}' is not in the request.")
        header_lines.append(f"{name}:{' '.join(value.split())}\n")
    return "\n".join(
        (
            method,
            _canonical_path(raw_path),
            _canonical_query(raw_query),
            "".join(header_lines),
            ";".join(signed_headers),
            hashlib.sha256(body).hexdigest(),
        )
    ).encode()


@lru_cache(maxsize=1_024)  # paths are few: a model and an operation
def _canonical_path(raw_path: str) -> str:
    return quote(_without_dot_segments(raw_path), safe="/~")


def _without_dot_segments(raw_path: str) -> str:
    """RFC 3986 5.2.4, with empty segments dropped as well, as every AWS signer does."""
    if "//" not in raw_path and "/." not in raw_path:
        return raw_path or "/"
    kept: list[str] = []
    for segment in raw_path.split("/"):
        if segment == "..":
            kept = kept[:-1]
        elif segment not in ("", "."):
            kept.append(segment)
    path = "/" + "/".join(kept)
    return path + "/" if raw_path.endswith("/") and kept else path


def _canonical_query(raw_query: str) -> str:
    if not raw_query:
        return ""
    pairs = []
    for part in raw_query.split("&"):
        name, _, value = part.partition("=")
        pairs.append((_encode_once(name), _encode_once(value)))
    return "&".join(f"{name}={value}" for name, value in sorted(pairs))


def _encode_once(text: str) -> str:
    return quote(unquote_to_bytes(text), safe="-_.~")


def _signing_time(headers: Mapping[str, str]) -> datetime:
    amz_date = headers.get("x-amz-date")
    try:
        if amz_date is not None:
            return _parse_amz_date(amz_date)
        if "date" in headers:
            return parsedate_to_datetime(headers["date"]).astimezone(UTC)
    except ValueError as error:
        raise _incomplete("Date must be in ISO-8601 'basic format'.") from error
    raise _incomplete(
        "Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header."
    )


@lru_cache(maxsize=16)  # a client under load signs thousands of requests with the same second
def _parse_amz_date(text: str) -> datetime:
    return datetime.strptime(text, _AMZ_DATE).replace(tzinfo=UTC)


@lru_cache(maxsize=16)
def _amz_date(moment: datetime) -> str:
    return moment.strftime(_AMZ_DATE)


def _check_scope(authorization: Authorization, signed_at: datetime) -> None:
    if authorization.service != SERVICE:
        raise invalid(f"Credential should be scoped to correct service: '{SERVICE}'.")
    day = _amz_date(signed_at)[:8]
    if authorization.date != day:
        raise invalid(
            "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date "
            f"from HTTP: '{authorization.date}' != '{day}'."
        )


def _check_time(signed_at: datetime, now: datetime) -> None:
    if abs(now - signed_at) <= SKEW_MAX:
        return
    sent, here = signed_at.strftime(_AMZ_DATE), now.strftime(_AMZ_DATE)
    if signed_at < now - SKEW_MAX:
        limit = (now - SKEW_MAX).strftime(_AMZ_DATE)
        raise invalid(f"Signature expired: {sent} is now earlier than {limit} ({here} - 5 min.)")
    limit = (now + SKEW_MAX).strftime(_AMZ_DATE)
    raise invalid(
        f"Signature not yet current: {sent} is still later than {limit} ({here} + 5 min.)"
    )


def invalid(message: str) -> EmulatedError:
    return EmulatedError("InvalidSignatureException", 403, message)


def _incomplete(message: str) -> EmulatedError:
    return EmulatedError("IncompleteSignatureException", 403, message)
