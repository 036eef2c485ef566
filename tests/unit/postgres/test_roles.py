"""Passwords that are derived, and verifiers that PostgreSQL can check."""

import base64
import hashlib
import hmac

import pytest

from tenantry.adapters.postgres.connections import derived_dsns
from tenantry.adapters.postgres.roles import derive_password, to_scram_verifier

SECRET = bytes(range(32))


def test_each_role_and_each_secret_has_its_own_password() -> None:
    secrets = (SECRET, SECRET[::-1])
    roles = ("tenantry_app", "tenantry_control")
    assert len({derive_password(secret, role) for secret in secrets for role in roles}) == 4
    assert derive_password(SECRET, "tenantry_app") == derive_password(SECRET, "tenantry_app")


def test_a_short_secret_is_refused() -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        derive_password(SECRET[:31], "tenantry_app")


def test_the_verifier_proves_the_password_and_does_not_hold_it() -> None:
    verifier = to_scram_verifier("correct horse")
    kind, middle, keys = verifier.split("$")
    iterations, salt = middle.split(":")
    stored, server = (base64.b64decode(key) for key in keys.split(":"))
    salted = hashlib.pbkdf2_hmac(
        "sha256", b"correct horse", base64.b64decode(salt), int(iterations)
    )
    client = hmac.digest(salted, b"Client Key", "sha256")
    assert (kind, iterations) == ("SCRAM-SHA-256", "4096")
    assert stored == hashlib.sha256(client).digest()
    assert server == hmac.digest(salted, b"Server Key", "sha256")
    assert to_scram_verifier("correct horse") != verifier


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("postgresql://master:pw@db.example:5432/t?sslmode=require", "@db.example:5432/t?"),
        ("postgresql://db.example/t", "@db.example/t"),
        ("postgresql://m:p%40w@[::1]:5433/t", "@[::1]:5433/t"),
    ],
)
def test_a_derived_url_keeps_the_address_and_changes_the_login(url: str, address: str) -> None:
    derived = derived_dsns(url, SECRET)("app")
    assert address in derived
    assert derived.startswith(
        f"postgresql://tenantry_app:{derive_password(SECRET, 'tenantry_app')}@"
    )
    assert "master" not in derived
