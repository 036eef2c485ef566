"""The local CA: made once, kept, never readable by others."""

import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509

from tenantry.entrypoints.http.tls import LocalTls, ensure_local_tls

NOW = datetime.now(UTC)


def names_of(tls: LocalTls) -> set[str]:
    certificate = x509.load_pem_x509_certificate(tls.certificate.read_bytes())
    found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    addresses = {str(a) for a in found.get_values_for_type(x509.IPAddress)}
    return set(found.get_values_for_type(x509.DNSName)) | addresses


def test_a_start_keeps_what_the_last_one_made(tmp_path: Path) -> None:
    first = ensure_local_tls(tmp_path, (), now=NOW)
    before = {path.name: path.read_bytes() for path in first.ca_bundle.parent.iterdir()}
    ensure_local_tls(tmp_path, (), now=NOW)
    assert {path.name: path.read_bytes() for path in first.ca_bundle.parent.iterdir()} == before
    assert names_of(first) == {"localhost", "127.0.0.1", "::1"}
    assert first.context().minimum_version is ssl.TLSVersion.TLSv1_2


def test_keys_are_their_owners_alone(tmp_path: Path) -> None:
    tls = ensure_local_tls(tmp_path, (), now=NOW)
    folder = tls.private_key.parent
    assert folder.stat().st_mode & 0o777 == 0o700
    for name in ("ca.key", "server.key"):
        assert (folder / name).stat().st_mode & 0o777 == 0o600


def test_a_new_name_renews_the_certificate_but_not_the_ca(tmp_path: Path) -> None:
    ca = ensure_local_tls(tmp_path, (), now=NOW).ca_bundle.read_bytes()
    tls = ensure_local_tls(tmp_path, ("gateway.internal", "10.0.0.7"), now=NOW)
    assert tls.ca_bundle.read_bytes() == ca
    assert {"gateway.internal", "10.0.0.7", "localhost"} <= names_of(tls)


def test_a_certificate_near_its_end_is_renewed(tmp_path: Path) -> None:
    first = ensure_local_tls(tmp_path, (), now=NOW).certificate.read_bytes()
    later = NOW + timedelta(days=380)
    assert ensure_local_tls(tmp_path, (), now=later).certificate.read_bytes() != first
