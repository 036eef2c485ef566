"""Which credentials a request carries, read from its headers."""

from __future__ import annotations

import hashlib

from tenantry.application.authenticate import BearerKey, Credentials, Signed
from tenantry.domain.errors import KeyWrong
from tenantry.domain.sigv4 import ALGORITHM, SignedRequest
from tenantry.entrypoints.http.wire.request import Request, text_of


def credentials_of(request: Request) -> Credentials | None:
    """Bearer key, `x-api-key` or SigV4; None where there are none. Raises `KeyWrong`."""
    authorization = request.headers.get("authorization")
    if authorization is None:
        key = request.headers.get("x-api-key")
        return None if key is None else BearerKey(key)
    scheme, _, rest = authorization.partition(" ")
    if scheme.lower() == "bearer":
        return BearerKey(rest.strip())
    if scheme == ALGORITHM:
        return Signed(authorization, signed_request(request))
    raise KeyWrong("The authorization header is neither a bearer key nor AWS4-HMAC-SHA256.")


def signed_request(request: Request) -> SignedRequest:
    return SignedRequest(
        request.method,
        request.raw_path,
        request.raw_query,
        [(name, _as_signed(value)) for name, value in request.header_items],
        hashlib.sha256(request.body).hexdigest(),
    )


def _as_signed(value: str) -> str:
    """SDKs sign text in UTF-8, and send that; some HTTP clients below them send Latin-1."""
    try:
        return text_of(value)
    except ValueError:
        return value
