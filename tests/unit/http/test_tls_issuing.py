"""What the local authority signs, as strict clients want it; and what it does not take away."""

from __future__ import annotations

import logging
import ssl
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
import trustme
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID
from cryptography.x509.verification import PolicyBuilder, Store

from tenantry.entrypoints.http.tls import (
    KEPT_MAX,
    LocalTls,
    TlsUnfit,
    ensure_local_tls,
    tls_problems,
)

NOW = datetime.now(UTC).replace(microsecond=0)
WATCHED = "tenantry.entrypoints.http.tls"


def certificate_in(path: Path) -> x509.Certificate:
    return x509.load_pem_x509_certificate(path.read_bytes())


def verified_by_all(tls: LocalTls, name: str) -> None:
    """By the rules of the web's public authorities too."""
    authority, leaf = certificate_in(tls.ca_bundle), certificate_in(tls.certificate)
    builder = PolicyBuilder().store(Store([authority])).time(NOW)
    try:
        subject: x509.GeneralName = x509.IPAddress(ip_address(name))
    except ValueError:
        subject = x509.DNSName(name)
    builder.build_server_verifier(subject).verify(leaf, [])
    verified(tls, name)


def verified(tls: LocalTls, name: str) -> None:
    """By OpenSSL's strict rules."""
    client = ssl.create_default_context(cafile=str(tls.ca_bundle))
    client.verify_flags |= ssl.VERIFY_X509_STRICT
    to_client, to_server = ssl.MemoryBIO(), ssl.MemoryBIO()
    asking = client.wrap_bio(to_client, to_server, server_hostname=name)
    answering = tls.context().wrap_bio(to_server, to_client, server_side=True)
    for _ in range(3):
        for side in (asking, answering):
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                continue
    assert asking.getpeercert()


def test_a_certificate_is_for_a_server_alone_and_for_397_days(tmp_path: Path) -> None:
    tls = ensure_local_tls(tmp_path, ("gateway.internal", "10.0.0.7", "büro.example"), now=NOW)
    leaf = certificate_in(tls.certificate)
    assert leaf.not_valid_before_utc == NOW - timedelta(days=1)
    assert leaf.not_valid_after_utc == NOW + timedelta(days=397)
    usage = leaf.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(usage) == [ExtendedKeyUsageOID.SERVER_AUTH]
    for name in ("localhost", "gateway.internal", "xn--bro-hoa.example"):
        verified_by_all(tls, name)
    for address in ("127.0.0.1", "::1", "10.0.0.7"):
        verified_by_all(tls, address)


def test_the_authority_signs_for_no_other_and_for_ten_years(tmp_path: Path) -> None:
    authority = certificate_in(ensure_local_tls(tmp_path, (), now=NOW).ca_bundle)
    constraints = authority.extensions.get_extension_for_class(x509.BasicConstraints)
    assert constraints.critical and constraints.value == x509.BasicConstraints(True, 0)
    usage = authority.extensions.get_extension_for_class(x509.KeyUsage).value
    assert usage.key_cert_sign and usage.crl_sign and not usage.digital_signature
    assert authority.not_valid_after_utc - NOW == timedelta(days=3_650)
    assert NOW - authority.not_valid_before_utc == timedelta(days=3_650), "a clock may be ahead"


def test_an_authority_of_before_is_kept_and_signs_the_next_certificate(tmp_path: Path) -> None:
    folder = tmp_path / "tls"
    folder.mkdir()
    before = trustme.CA(organization_name="Tenantry", organization_unit_name="local CA")
    before.cert_pem.write_to_path(folder / "ca.pem")
    before.private_key_pem.write_to_path(folder / "ca.key")
    tls = ensure_local_tls(tmp_path, (), now=NOW)
    assert (folder / "ca.pem").read_bytes() == before.cert_pem.bytes()
    assert certificate_in(tls.certificate).not_valid_after_utc == NOW + timedelta(days=397)
    verified_by_all(tls, "localhost")


@pytest.mark.parametrize(
    ("names", "days", "why"),
    [
        (("gateway.internal",), 0, "is not for gateway.internal"),
        ((), 380, "ends on "),
    ],
)
def test_a_certificate_that_is_made_anew_is_told_with_the_reason(
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    names: tuple[str, ...],
    days: int,
    why: str,
) -> None:
    with caplog.at_level(logging.WARNING, WATCHED):
        ensure_local_tls(tmp_path, (), now=NOW)
        assert caplog.messages == [], "the first one"
        for _ in range(2):
            ensure_local_tls(tmp_path, names, now=NOW + timedelta(days=days))
    (told,) = caplog.messages
    assert why in told and "is made anew" in told


def test_a_name_in_letters_of_a_language_is_not_made_anew_at_each_look(tmp_path: Path) -> None:
    first = ensure_local_tls(tmp_path, ("Büro.example",), now=NOW).certificate.read_bytes()
    again = ensure_local_tls(tmp_path, ("büro.example",), now=NOW)
    assert again.certificate.read_bytes() == first


@pytest.mark.parametrize("name", ["ab--cd.example", "r3---sn.example", "gateway.a--b"])
def test_a_name_with_hyphens_where_idna_has_none_is_borne(tmp_path: Path, name: str) -> None:
    verified_by_all(ensure_local_tls(tmp_path, (name.upper(),), now=NOW), name)


@pytest.mark.parametrize(
    ("name", "plain"),
    [
        ("kapı.example", "xn--kap-lua.example"),
        ("İzmir.example", "xn--izmir-7fd.example"),
        ("ſerver.example", "server.example"),
        ("\N{KELVIN SIGN}elvin.example", "kelvin.example"),
    ],
)
def test_a_letter_that_case_alone_makes_latin_is_borne(
    tmp_path: Path, name: str, plain: str
) -> None:
    """As `re.IGNORECASE` has it, ı and İ are i, ſ is s, and the sign of kelvin is k."""
    verified_by_all(ensure_local_tls(tmp_path, (name,), now=NOW), plain)


@pytest.mark.parametrize("name", ["the_gateway.internal", "The_Gateway"])
def test_a_name_with_an_underscore_is_borne_as_services_of_containers_have_it(
    tmp_path: Path, name: str
) -> None:
    tls = ensure_local_tls(tmp_path, (name,), now=NOW)
    verified(tls, name.lower())
    first = tls.certificate.read_bytes()
    assert ensure_local_tls(tmp_path, (name,), now=NOW).certificate.read_bytes() == first


def test_an_address_of_one_link_is_borne_without_its_zone(tmp_path: Path) -> None:
    tls = ensure_local_tls(tmp_path, ("fe80::1%eth0",), now=NOW)
    verified(tls, "fe80::1")
    first = tls.certificate.read_bytes()
    assert ensure_local_tls(tmp_path, ("fe80::1%eth0",), now=NOW).certificate.read_bytes() == first


def test_what_another_authority_signed_is_refused_and_stays(tmp_path: Path) -> None:
    tls = ensure_local_tls(tmp_path, (), now=NOW)
    own = trustme.CA(organization_name="A public authority").issue_cert("gateway.example.com")
    own.private_key_pem.write_to_path(tls.private_key)
    own.cert_chain_pems[0].write_to_path(tls.certificate)
    with pytest.raises(TlsUnfit) as refused:
        ensure_local_tls(tmp_path, (), now=NOW)
    assert "A public authority" in str(refused.value) and "elsewhere" in str(refused.value)
    assert tls_problems(tmp_path, NOW) == [str(refused.value)]
    assert tls.private_key.read_bytes() == own.private_key_pem.bytes()
    assert tls.certificate.read_bytes() == own.cert_chain_pems[0].bytes()


def test_a_key_that_somebody_put_there_is_kept(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    tls = ensure_local_tls(tmp_path, (), now=NOW)
    theirs = trustme.CA().private_key_pem.bytes()
    tls.private_key.write_bytes(theirs)
    with caplog.at_level(logging.WARNING, WATCHED):
        ensure_local_tls(tmp_path, (), now=NOW)
    assert tls.private_key.with_name("server.key.replaced").read_bytes() == theirs
    assert "is not the key of server.pem; kept: server.key.replaced, server.pem.repl" in caplog.text


def kept_in(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.glob("server.key.replaced*")}


def test_what_was_kept_before_is_not_overwritten_nor_kept_twice(tmp_path: Path) -> None:
    tls = ensure_local_tls(tmp_path, (), now=NOW)
    laid_down = [trustme.CA().private_key_pem.bytes() for _ in range(3)]
    for theirs in (*laid_down, *laid_down):
        tls.private_key.write_bytes(theirs)
        ensure_local_tls(tmp_path, (), now=NOW)
        tls.context()
    names = ("server.key.replaced", "server.key.replaced-2", "server.key.replaced-3")
    assert kept_in(tls.private_key.parent) == dict(zip(names, laid_down, strict=True))


def test_what_cannot_be_kept_because_too_much_is_stays_as_it_is(tmp_path: Path) -> None:
    tls = ensure_local_tls(tmp_path, (), now=NOW)
    for number in range(2, KEPT_MAX + 1):
        tls.private_key.with_name(f"server.key.replaced-{number:d}").touch()
    tls.private_key.with_name("server.key.replaced").touch()
    theirs = trustme.CA().private_key_pem.bytes()
    tls.private_key.write_bytes(theirs)
    with pytest.raises(TlsUnfit, match=r"server\.key cannot be kept: .* remove"):
        ensure_local_tls(tmp_path, (), now=NOW)
    assert tls.private_key.read_bytes() == theirs
