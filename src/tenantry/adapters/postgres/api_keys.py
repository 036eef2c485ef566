"""API keys as made and as stored: `tk_…` bearers, `TK…` access key ids, 40-character secrets."""

from __future__ import annotations

import base64
import hmac
from dataclasses import dataclass

from tenantry.domain.ids import ApiKeyId, TenantId

BEARER_PREFIX = "tk_"
BEARER_BYTES = 32
ACCESS_KEY_ID_CHARS = 20  # as AWS's own, so that every SDK takes it
SECRET_CHARS = 40
HINT_CHARS = 4  # of a bearer, shown in lists
_ID_BYTES = ACCESS_KEY_ID_CHARS - 2  # 5 bits of each
_SECRET_BYTES = SECRET_CHARS * 3 // 4
RANDOM_BYTES = BEARER_BYTES + _ID_BYTES + _SECRET_BYTES  # what `make_secrets` needs
_BASE32 = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"


@dataclass(frozen=True, slots=True, repr=False)
class Secrets:
    """What is shown once."""

    bearer: str
    access_key_id: str
    secret_access_key: str


def make_secrets(randomness: bytes) -> Secrets:
    """Secrets out of RANDOM_BYTES random bytes."""
    assert len(randomness) == RANDOM_BYTES
    bearer, rest = randomness[:BEARER_BYTES], randomness[BEARER_BYTES:]
    name, secret = rest[:_ID_BYTES], rest[_ID_BYTES:]
    return Secrets(
        bearer=BEARER_PREFIX + base64.urlsafe_b64encode(bearer).decode().rstrip("="),
        access_key_id="TK" + "".join(_BASE32[byte & 31] for byte in name),
        secret_access_key=base64.b64encode(secret).decode(),
    )


def bearer_hmac(pepper: bytes, bearer: str) -> bytes:
    """What is stored of a bearer: HMAC-SHA-256 under the server's pepper."""
    return hmac.digest(pepper, bearer.encode("utf-8", "surrogatepass"), "sha256")


def secret_aad(tenant_id: TenantId, api_key_id: ApiKeyId) -> bytes:
    """What a sealed SigV4 secret is bound to: its tenant and its row."""
    return f"tenantry/api-key-secret/v1/{tenant_id}/{api_key_id}".encode()
