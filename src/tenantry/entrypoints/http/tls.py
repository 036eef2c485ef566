"""TLS for the data plane: a local CA made on first start, and a certificate of it.

boto3 refuses bearer keys over plain http, so a laptop needs TLS too. Owns `$TENANTRY_HOME/tls/`:
`ca.pem` (what clients trust), `ca.key` and `server.key` (mode 600), `server.pem`. The certificate
is renewed from the same CA when names are added, its end is near, it does not hold yet or it is
damaged, so clients need no new bundle, and the log says why. A CA that is damaged is told of and
never replaced: every client trusts it. Nor is a certificate that somebody else's authority signed:
it was put there.
"""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import ssl
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from tenantry.adapters.objects.durable_file import DurableFiles
from tenantry.adapters.tls_names import plain_name
from tenantry.domain.errors import Unavailable
from tenantry.entrypoints.http.tls_issuing import make_authority, make_certificate

LOCAL_NAMES: Final = ("localhost", "127.0.0.1", "::1")
_RENEW: Final = timedelta(days=30)
_OVERDUE: Final = timedelta(days=28)  # who looks once a day has renewed it by then
KEPT_MAX: Final = 100  # files of one name that are put aside, each another one
_log = logging.getLogger(__name__)


class TlsUnfit(OSError):
    """TLS that only the operator can mend; the message is one line that names the file."""


@dataclass(frozen=True, slots=True)
class LocalTls:
    """Paths of a usable certificate."""

    ca_bundle: Path
    certificate: Path
    private_key: Path

    def context(self) -> ssl.SSLContext:
        """A server context: TLS 1.2 and later. Who takes both gets HTTP/1.1, which is cheaper."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.set_alpn_protocols(["http/1.1", "h2"])
        context.load_cert_chain(self.certificate, self.private_key)
        return context

    def ends_at(self) -> datetime:
        """When the certificate ends. Raises `TlsUnfit`."""
        return _certificate_in(self.certificate).not_valid_after_utc


def local_tls(home: Path) -> LocalTls:
    """Where TLS lies, also before it is made."""
    folder = home / "tls"
    return LocalTls(folder / "ca.pem", folder / "server.pem", folder / "server.key")


def ensure_local_tls(home: Path, names: Sequence[str], *, now: datetime) -> LocalTls:
    """The certificate under `home/tls` for the local names and `names`, made where missing.

    For a process, not for each of its workers: it writes files, one process of the home after the
    other. Raises `TlsUnfit`, also for a certificate of another authority, which is not ours to
    replace.
    """
    tls = local_tls(home)
    tls.ca_bundle.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with _alone(tls.ca_bundle.parent):
        return _ensure(tls, names, now.astimezone(UTC))


def _ensure(tls: LocalTls, names: Sequence[str], now: datetime) -> LocalTls:
    _ensure_ca(tls, now)
    authority = _certificate_in(tls.ca_bundle)
    if (foreign := _foreign(tls, authority)) is not None:
        raise TlsUnfit(foreign)
    wanted = tuple(dict.fromkeys((*LOCAL_NAMES, *names)))
    try:
        plain = {plain_name(name) for name in wanted}
        why = _unfit(tls, authority, plain, now)
        if why is None:
            return tls
        issued = make_certificate(authority, _read(_ca_key(tls)), wanted, now)
    except ValueError as refused:
        raise TlsUnfit(f"no certificate for {' '.join(wanted)}: {refused}") from None
    kept = _put_aside(tls)
    if kept or tls.certificate.exists():
        kept_as = f"; kept: {', '.join(kept)}" if kept else ""
        _log.warning("the TLS certificate is made anew: %s%s", why, kept_as)
    _write(tls.private_key, issued.private_key)
    _write(tls.certificate, issued.certificate)
    return tls


def tls_problems(home: Path, now: datetime) -> list[str]:
    """A line for each thing that is wrong with the TLS that was made here; nothing is written."""
    tls = local_tls(home)
    try:
        if not _has_ca(tls):
            return []
        authority = _certificate_in(tls.ca_bundle)
    except TlsUnfit as unfit:
        return [str(unfit)]
    problems = []
    if (begins := authority.not_valid_before_utc) > now:
        problems.append(f"{tls.ca_bundle} {_begins(begins)}: {_another(tls)}")
    if (ends := authority.not_valid_after_utc) < now + _OVERDUE:
        problems.append(f"{tls.ca_bundle} {_ends(ends, now)}: {_another(tls)}")
    renewed = "`serve` makes it anew when it starts, and looks once a day"
    if (foreign := _foreign(tls, authority)) is not None:
        problems.append(foreign)
    elif (damage := _damage(tls, authority)) is not None:
        problems.append(f"{damage}: {renewed}")
    elif (begins := _certificate_in(tls.certificate).not_valid_before_utc) > now:
        problems.append(f"{tls.certificate} {_begins(begins)}: {renewed}")
    elif (ends := tls.ends_at()) < now + _OVERDUE:
        problems.append(f"{tls.certificate} {_ends(ends, now)}: {renewed}")
    return problems


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Among all processes of this machine. Of one that dies the kernel lets go of the lock."""
    with contextlib.ExitStack() as stack:
        try:
            descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
            stack.callback(os.close, descriptor)
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        except OSError as refused:
            raise TlsUnfit(f"{folder}: {refused.strerror}") from None
        yield


def _ensure_ca(tls: LocalTls, now: datetime) -> None:
    if not _has_ca(tls):
        made = make_authority(now)
        _write(_ca_key(tls), made.private_key)
        _write(tls.ca_bundle, made.certificate)
        tls.ca_bundle.chmod(0o644)  # clients read it


def _has_ca(tls: LocalTls) -> bool:
    """False where there has not been one: its certificate is written after its key, and before any
    of a server. Raises `TlsUnfit`."""
    if not tls.ca_bundle.exists() and not tls.certificate.exists():
        return False
    key = _ca_key(tls)
    try:
        if _certificate_in(tls.ca_bundle).public_key() != _public_key_in(key):
            raise TlsUnfit(f"{key} is not the key of {tls.ca_bundle.name}")
    except TlsUnfit as unfit:
        raise TlsUnfit(f"{unfit}: {_another(tls)}") from None
    return True


def _another(tls: LocalTls) -> str:
    folder, bundle = tls.ca_bundle.parent, tls.ca_bundle.name
    return (
        f"bring it back from a backup; or remove {folder} and start `serve`, which makes another"
        f" authority, and give its {bundle} to every client"
    )


def _ca_key(tls: LocalTls) -> Path:
    return tls.ca_bundle.with_name("ca.key")


def _foreign(tls: LocalTls, authority: x509.Certificate) -> str | None:
    """What to do about a certificate of an authority that is none of ours, by its name: one of
    another home's, whose name is ours, is only made anew."""
    try:
        issuer = _certificate_in(tls.certificate).issuer
    except TlsUnfit:
        return None
    if issuer == authority.subject:
        return None
    return (
        f"{tls.certificate} is of another authority ({issuer.rfc4514_string()}) and is not"
        f" replaced: move it and {tls.private_key.name} elsewhere, and serve with it at a proxy or"
        " load balancer before the gateway"
    )


def _unfit(
    tls: LocalTls, authority: x509.Certificate, wanted: set[str], now: datetime
) -> str | None:
    """Why the certificate is not to be served with any longer; None: it is."""
    if (damage := _damage(tls, authority)) is not None:
        return damage
    certificate = _certificate_in(tls.certificate)
    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return f"{tls.certificate} bears no name"
    held = {str(name) for name in found.get_values_for_type(x509.DNSName)}
    held |= {str(address) for address in found.get_values_for_type(x509.IPAddress)}
    if missing := sorted(wanted - held):
        return f"{tls.certificate} is not for {' '.join(missing)}"
    if (begins := certificate.not_valid_before_utc) > now:
        return f"{tls.certificate} {_begins(begins)}"
    until = min(now + _RENEW, authority.not_valid_after_utc)
    if (ends := certificate.not_valid_after_utc) < until.replace(microsecond=0):
        return f"{tls.certificate} ends on {ends:%Y-%m-%d}"
    return None


def _put_aside(tls: LocalTls) -> list[str]:
    """Names under which is kept, over no other file, a key and a certificate that do not belong
    together: one of both somebody has put there."""
    try:
        if _certificate_in(tls.certificate).public_key() == _public_key_in(tls.private_key):
            return []
    except TlsUnfit:
        pass  # one of both may be sound
    places = {}
    for path, holds in ((tls.private_key, _public_key_in), (tls.certificate, _certificate_in)):
        try:
            holds(path)
        except TlsUnfit:
            continue  # it is not there, or rubbish
        places[path] = _place_aside(path)
    for path, place in places.items():
        try:
            path.replace(place)
        except OSError as refused:
            raise TlsUnfit(f"{path} cannot be kept: {refused.strerror}") from None
    return [place.name for place in places.values()]


def _place_aside(path: Path) -> Path:
    """One that is free, or holds the same already."""
    content = _read(path)
    for number in range(1, KEPT_MAX + 1):
        place = path.with_name(f"{path.name}.replaced{f'-{number:d}' if number > 1 else ''}")
        if not place.exists() or _read(place) == content:
            return place
    raise TlsUnfit(f"{path} cannot be kept: {KEPT_MAX:d} others are; remove {path}.replaced*")


def _damage(tls: LocalTls, authority: x509.Certificate) -> str | None:
    """Why the certificate cannot be served with, or no client would take it."""
    try:
        certificate = _certificate_in(tls.certificate)
        if certificate.public_key() != _public_key_in(tls.private_key):
            return f"{tls.private_key} is not the key of {tls.certificate.name}"
        certificate.verify_directly_issued_by(authority)
        tls.context()
    except (ValueError, TypeError, InvalidSignature):
        return f"{tls.certificate} is not of {tls.ca_bundle.name}"
    except ssl.SSLError as refused:
        return f"{tls.certificate} is refused: {refused}"
    except OSError as unfit:
        return str(unfit)
    return None


def _begins(at: datetime) -> str:
    return f"begins on {at:%Y-%m-%d}, so the clock was ahead when it was made, or is behind"


def _ends(at: datetime, now: datetime) -> str:
    return f"{'ended' if at <= now else 'ends'} on {at:%Y-%m-%d}"


def _certificate_in(path: Path) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificate(_read(path))
    except ValueError:
        raise TlsUnfit(f"{path} is damaged: it holds no certificate") from None


def _public_key_in(path: Path) -> PublicKeyTypes:
    """Of a private key."""
    try:
        return load_pem_private_key(_read(path), password=None).public_key()
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise TlsUnfit(f"{path} is damaged: it holds no private key") from None


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as refused:
        raise TlsUnfit(f"{path}: {refused.strerror}") from None


def _write(path: Path, content: bytes) -> None:
    """Whole or not at all, readable by its owner alone. Raises `TlsUnfit`."""
    try:
        DurableFiles().replace(path, content)
    except Unavailable as refused:
        raise TlsUnfit(f"{path} cannot be written: {refused.message}") from None
