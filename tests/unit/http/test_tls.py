"""The local CA: made once, kept, never readable by others; its certificate made anew in time."""

import resource
import shutil
import ssl
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509

from tenantry.entrypoints.http.tls import LocalTls, TlsUnfit, ensure_local_tls, tls_problems

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


def contents(tls: LocalTls) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in tls.ca_bundle.parent.iterdir()}


def damage(path: Path, how: str) -> None:
    if how == "missing":
        path.unlink()
    elif how == "another's":
        other = ensure_local_tls(path.parents[1] / "other", (), now=NOW).ca_bundle.parent
        shutil.copy(other / path.name, path)
        shutil.rmtree(other)
    else:
        path.write_bytes(b"" if how == "empty" else b"-----BEGIN RUBBISH-----")


DAMAGES = ["empty", "missing", "rubbish", "another's"]


@pytest.mark.parametrize("how", DAMAGES)
@pytest.mark.parametrize("name", ["server.pem", "server.key"])
def test_a_damaged_certificate_is_told_and_made_anew_by_the_same_ca(
    tmp_path: Path, name: str, how: str
) -> None:
    tls = ensure_local_tls(tmp_path, (), now=NOW)
    before = contents(tls)
    damage(tmp_path / "tls" / name, how)
    (told,) = tls_problems(tmp_path, NOW)
    assert name in told and "`serve` makes it anew" in told
    ensure_local_tls(tmp_path, (), now=NOW)
    after = contents(tls)
    assert {key: after[key] for key in ("ca.pem", "ca.key")} == {
        key: before[key] for key in ("ca.pem", "ca.key")
    }
    tls.context()
    issuer = x509.load_pem_x509_certificate(after["ca.pem"])
    x509.load_pem_x509_certificate(after["server.pem"]).verify_directly_issued_by(issuer)
    assert tls_problems(tmp_path, NOW) == []


@pytest.mark.parametrize("how", DAMAGES)
@pytest.mark.parametrize("name", ["ca.pem", "ca.key"])
def test_a_damaged_ca_is_named_with_what_to_do_and_is_not_replaced(
    tmp_path: Path, name: str, how: str
) -> None:
    tls = ensure_local_tls(tmp_path, (), now=NOW)
    damage(tmp_path / "tls" / name, how)
    damaged = contents(tls)
    with pytest.raises(TlsUnfit) as refused:
        ensure_local_tls(tmp_path, (), now=NOW + timedelta(days=390))
    assert contents(tls) == damaged
    (told,) = tls_problems(tmp_path, NOW)
    assert told == str(refused.value)
    assert name in told and "\n" not in told
    assert "bring it back from a backup; or remove" in told


def test_a_first_start_that_was_cut_short_is_made_whole(tmp_path: Path) -> None:
    """The key of the CA is written first, and nobody has it yet."""
    tls = ensure_local_tls(tmp_path, (), now=NOW)
    for path in (tls.ca_bundle, tls.certificate, tls.private_key):
        path.unlink()
    assert tls_problems(tmp_path, NOW) == []
    ensure_local_tls(tmp_path, (), now=NOW).context()
    assert tls_problems(tmp_path, NOW) == []


def test_a_renewal_that_cannot_be_written_leaves_what_there_was(tmp_path: Path) -> None:
    tls = ensure_local_tls(tmp_path, (), now=NOW)
    before = contents(tls)
    old = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, old[1]))  # bytes: no key fits
    try:
        with pytest.raises(TlsUnfit, match=r"server\.key cannot be written"):
            ensure_local_tls(tmp_path, (), now=NOW + timedelta(days=380))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, old)
    assert contents(tls) == before


def test_a_certificate_that_should_have_been_renewed_is_told(tmp_path: Path) -> None:
    assert tls_problems(tmp_path, NOW) == [], "it is not made yet"
    tls = ensure_local_tls(tmp_path, (), now=NOW)
    for days, words in ((366, None), (370, "ends on "), (398, "ended on ")):
        told = tls_problems(tmp_path, NOW + timedelta(days=days))
        assert [line.startswith(f"{tls.certificate} {words}") for line in told] == (
            [True] if words else []
        )


def test_a_name_that_no_certificate_can_bear_is_told(tmp_path: Path) -> None:
    with pytest.raises(TlsUnfit, match=r"no certificate for .* -dash: "):
        ensure_local_tls(tmp_path, ("-dash",), now=NOW)


def test_a_certificate_of_a_clock_that_was_ahead_is_told_and_made_anew(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    tls = ensure_local_tls(tmp_path, (), now=NOW + timedelta(days=400))
    authority = tls.ca_bundle.read_bytes()
    (told,) = tls_problems(tmp_path, NOW)
    assert told.startswith(f"{tls.certificate} begins on ") and "`serve` makes it anew" in told
    ensure_local_tls(tmp_path, (), now=NOW)
    assert "server.pem begins on " in caplog.text
    assert tls_problems(tmp_path, NOW) == []
    assert tls.ca_bundle.read_bytes() == authority, "clients trust it, and it holds already"
    for path in (tls.ca_bundle, tls.certificate):
        assert x509.load_pem_x509_certificate(path.read_bytes()).not_valid_before_utc < NOW


def test_an_authority_that_does_not_hold_yet_is_told_with_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One of before, which began a day back."""
    monkeypatch.setattr(
        "tenantry.entrypoints.http.tls_issuing.AUTHORITY_BACK", timedelta(days=1), raising=True
    )
    tls = ensure_local_tls(tmp_path, (), now=NOW + timedelta(days=400))
    ensure_local_tls(tmp_path, (), now=NOW)
    (told,) = tls_problems(tmp_path, NOW)
    assert told.startswith(f"{tls.ca_bundle} begins on ") and "another authority" in told


def test_of_first_starts_at_once_all_serve_with_one_authority(tmp_path: Path) -> None:
    starts = 4
    barrier = threading.Barrier(starts)

    def start(home: Path) -> None:
        barrier.wait(30)
        ensure_local_tls(home, (), now=NOW).context()

    with ThreadPoolExecutor(starts) as pool:
        for home in (tmp_path / str(number) for number in range(10)):
            list(pool.map(start, [home] * starts))
            assert tls_problems(home, NOW) == []
