"""The ways in which the audit says who asks: honest ones, and forged ones."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from tenantry.domain import sigv4
from tenantry.entrypoints.audit.exchange import Ask

# Adds headers to a request for one host: `(ask, host) → headers`.
Credential = Callable[[Ask, str], Mapping[str, str]]
REGION = "us-east-1"


@dataclass(frozen=True, slots=True, repr=False)
class Key:
    """An API key of a canary, with its secrets."""

    id: str
    bearer: str
    access_key_id: str
    secret: str


def nobody(ask: Ask, host: str) -> Mapping[str, str]:
    return {}


def bearer(presented: str) -> Credential:
    return lambda ask, host: {"authorization": f"Bearer {presented}"}


def header(name: str, value: str) -> Credential:
    return lambda ask, host: {name: value}


@dataclass(frozen=True, slots=True, repr=False)
class Signature:
    """AWS Signature Version 4 of a request; each member can be wrong on purpose."""

    access_key_id: str
    secret: str
    at: datetime
    region: str = REGION
    service: str = sigv4.SERVICE
    leaves_out: frozenset[str] = frozenset()  # headers that are not signed
    says: Mapping[str, str] | None = None  # headers that are signed as well

    def __call__(self, ask: Ask, host: str) -> Mapping[str, str]:
        timestamp = self.at.strftime("%Y%m%dT%H%M%SZ")
        sent = {**ask.headers, "x-amz-date": timestamp, **(self.says or {})}
        signed = {"host": host, **sent}
        names = sorted(name for name in signed if name not in self.leaves_out)
        canonical = sigv4.canonical_request(
            ask.method,
            ask.path,
            ask.query,
            list(signed.items()),
            names,
            hashlib.sha256(ask.body).hexdigest(),
        )
        date = timestamp[:8]
        key = sigv4.signing_key(self.secret, date, self.region, self.service)
        made = sigv4.signature(key, canonical, timestamp, self.region, self.service)
        scope = f"{self.access_key_id}/{date}/{self.region}/{self.service}/{sigv4.TERMINATOR}"
        authorization = (
            f"{sigv4.ALGORITHM} Credential={scope}, SignedHeaders={';'.join(names)}, "
            f"Signature={made}"
        )
        return {"x-amz-date": timestamp, **(self.says or {}), "authorization": authorization}


def signed(key: Key, at: datetime) -> Signature:
    return Signature(key.access_key_id, key.secret, at)


def altered(credential: Credential, change: Callable[[str], str]) -> Credential:
    """The same with another `authorization`."""

    def forged(ask: Ask, host: str) -> Mapping[str, str]:
        headers = dict(credential(ask, host))
        headers["authorization"] = change(headers["authorization"])
        return headers

    return forged


def signed_for(credential: Credential, other: Ask) -> Credential:
    """A signature that was made for another request."""
    return lambda ask, host: credential(other, host)


def host_of(url: str) -> str:
    return urlsplit(url).netloc


def token(header: Mapping[str, Any], claims: Mapping[str, Any], secret: bytes | None) -> str:
    """A JWT (RFC 7519) by hand; without a secret it has no signature."""
    parts = [_base64url(json.dumps(part).encode()) for part in (header, claims)]
    body = ".".join(parts)
    if secret is None:
        return f"{body}."
    return f"{body}.{_base64url(hmac.digest(secret, body.encode(), 'sha256'))}"


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")
