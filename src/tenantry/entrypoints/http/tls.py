"""TLS for the data plane: a local CA made on first start, and a certificate of it.

boto3 refuses bearer keys over plain http, so a laptop needs TLS too. Owns `$TENANTRY_HOME/tls/`:
`ca.pem` (what clients trust), `ca.key` and `server.key` (mode 600), `server.pem`. The certificate
is renewed from the same CA when names are added or its end is near, so clients need no new bundle.
"""

from __future__ import annotations

import os
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Final

import trustme
from cryptography import x509

LOCAL_NAMES: Final = ("localhost", "127.0.0.1", "::1")
_CERTIFICATE_DAYS: Final = 397  # the longest that browsers accept
_RENEW_DAYS: Final = 30


@dataclass(frozen=True, slots=True)
class LocalTls:
    """Paths of a usable certificate."""

    ca_bundle: Path
    certificate: Path
    private_key: Path

    def context(self) -> ssl.SSLContext:
        """A server context: TLS 1.2 and later, HTTP/1.1."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.set_alpn_protocols(["http/1.1"])
        context.load_cert_chain(self.certificate, self.private_key)
        return context


def ensure_local_tls(home: Path, names: Sequence[str], *, now: datetime) -> LocalTls:
    """The certificate under `home/tls` for the local names and `names`, made where missing.

    Call it once, before workers start: it writes files.
    """
    folder = home / "tls"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    tls = LocalTls(folder / "ca.pem", folder / "server.pem", folder / "server.key")
    ca = _ensure_ca(folder, tls.ca_bundle)
    wanted = tuple(dict.fromkeys((*LOCAL_NAMES, *names)))
    if not _still_good(tls, wanted, now):
        issued = ca.issue_cert(*wanted, not_after=now + timedelta(days=_CERTIFICATE_DAYS))
        _write_private(tls.private_key, issued.private_key_pem.bytes())
        chain = b"".join(blob.bytes() for blob in issued.cert_chain_pems)
        tls.certificate.write_bytes(chain)
    return tls


def _ensure_ca(folder: Path, bundle: Path) -> trustme.CA:
    key = folder / "ca.key"
    if bundle.exists() and key.exists():
        return trustme.CA.from_pem(bundle.read_bytes(), key.read_bytes())
    ca = trustme.CA(organization_name="Tenantry", organization_unit_name="local CA")
    _write_private(key, ca.private_key_pem.bytes())
    bundle.write_bytes(ca.cert_pem.bytes())
    return ca


def _still_good(tls: LocalTls, wanted: Sequence[str], now: datetime) -> bool:
    if not tls.certificate.exists() or not tls.private_key.exists():
        return False
    certificate = x509.load_pem_x509_certificate(tls.certificate.read_bytes())
    issuer = x509.load_pem_x509_certificate(tls.ca_bundle.read_bytes())
    if certificate.issuer != issuer.subject:
        return False
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    held = {str(name) for name in names.get_values_for_type(x509.DNSName)}
    held |= {str(address) for address in names.get_values_for_type(x509.IPAddress)}
    ends = certificate.not_valid_after_utc
    return held >= {_plain(name) for name in wanted} and ends > now.astimezone(UTC) + timedelta(
        days=_RENEW_DAYS
    )


def _plain(name: str) -> str:
    try:
        return str(ip_address(name))
    except ValueError:
        return name


def _write_private(path: Path, content: bytes) -> None:
    """Readable by its owner alone from the first byte on."""
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
