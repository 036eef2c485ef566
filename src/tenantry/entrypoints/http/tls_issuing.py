"""A local authority and the certificates that it signs, as strict clients want them.

The authority signs for servers alone and for no other authority, and begins far back: of a clock
that was ahead only the certificate is made anew. A certificate is for TLS servers alone, begins a
day back, for clocks that are slow, and holds for the longest that browsers take.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from ipaddress import ip_address
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from tenantry.adapters.tls_names import plain_name

CERTIFICATE: Final = timedelta(days=397)  # CA/Browser Forum, ballot SC22
AUTHORITY: Final = timedelta(days=3_650)
AUTHORITY_BACK: Final = timedelta(days=3_650)
_BACK: Final = timedelta(days=1)
_USAGES: Final = (
    "digital_signature", "content_commitment", "key_encipherment", "data_encipherment",
    "key_agreement", "key_cert_sign", "crl_sign", "encipher_only", "decipher_only",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Issued:
    """A certificate and its private key, in PEM."""

    certificate: bytes
    private_key: bytes


def make_authority(now: datetime) -> Issued:
    key = ec.generate_private_key(ec.SECP256R1())
    name = _name("local CA")
    signed = (
        _valid(name, name, key.public_key(), now - AUTHORITY_BACK, now + AUTHORITY)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage("key_cert_sign", "crl_sign"), critical=True)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key()), critical=False
        )
        .sign(key, hashes.SHA256())
    )
    return _pem(signed, key)


def make_certificate(
    authority: x509.Certificate, authority_key: bytes, names: Sequence[str], now: datetime
) -> Issued:
    """For these names, of an authority with this private key (PEM); it ends with its authority, if
    not before. Raises ValueError for a name that no certificate can bear, and a
    key that is neither of an elliptic curve nor RSA."""
    signer = load_pem_private_key(authority_key, password=None)
    if not isinstance(signer, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey):
        raise ValueError("the authority's key is neither of an elliptic curve nor RSA")
    key = ec.generate_private_key(ec.SECP256R1())
    ends = min(now + CERTIFICATE, authority.not_valid_after_utc)
    begins = min(now - _BACK, ends)
    signed = (
        _valid(_name("gateway"), authority.subject, key.public_key(), begins, ends)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage("digital_signature"), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(
            x509.SubjectAlternativeName([_as_general(plain_name(name)) for name in names]),
            critical=False,
        )
        .add_extension(_identifier_of(authority), critical=False)
        .sign(signer, hashes.SHA256())
    )
    return _pem(signed, key)


def _as_general(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _valid(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePublicKey,
    begins: datetime,
    ends: datetime,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(begins)
        .not_valid_after(ends)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _identifier_of(authority: x509.Certificate) -> x509.AuthorityKeyIdentifier:
    kind = x509.SubjectKeyIdentifier
    try:
        found = authority.extensions.get_extension_for_class(kind).value
    except x509.ExtensionNotFound:  # of another maker
        found = kind.from_public_key(authority.public_key())
    return x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(found)


def _usage(*given: str) -> x509.KeyUsage:
    return x509.KeyUsage(**{usage: usage in given for usage in _USAGES})


def _name(unit: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Tenantry"),
            x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, unit),
        ]
    )


def _pem(certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> Issued:
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return Issued(certificate.public_bytes(Encoding.PEM), private)
