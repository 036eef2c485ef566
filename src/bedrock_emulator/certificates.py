"""The emulator's certificate authority and its server certificate, made once in `<data>/tls/`."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from pathlib import Path

from bedrock_emulator.files import replace_file

_SERVICES = ("bedrock", "bedrock-runtime", "bedrock-agent-runtime")  # what clients call by host


@dataclass(frozen=True, slots=True)
class Certificates:
    ca_bundle: Path  # what clients trust
    server: Path  # the server's chain and key


def ensure_certificates(folder: Path, host: str, regions: tuple[str, ...]) -> Certificates:
    """Finds or makes them. A change of host or regions makes a new server certificate."""
    names = sorted(
        {"localhost", "127.0.0.1", "::1", host}
        | {f"{service}.{region}.localhost" for service in _SERVICES for region in regions}
    )
    certificates = Certificates(folder / "ca.pem", folder / "server.pem")
    names_file = folder / "names"
    wanted = "\n".join(names).encode()
    known = names_file.read_bytes() if names_file.exists() else b""
    if known != wanted or not certificates.server.exists() or not certificates.ca_bundle.exists():
        _make(folder, certificates, names)
        replace_file(names_file, wanted)
    return certificates


def server_context(certificates: Certificates) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates.server)
    context.set_alpn_protocols(["http/1.1", "h2"])
    return context


def _make(folder: Path, certificates: Certificates, names: list[str]) -> None:
    import trustme  # late: it and cryptography cost a tenth of a second, once for each data folder

    key_file = folder / "ca.key"
    if key_file.exists() and certificates.ca_bundle.exists():
        authority = trustme.CA.from_pem(certificates.ca_bundle.read_bytes(), key_file.read_bytes())
    else:
        authority = trustme.CA(organization_name="Bedrock emulator")
        replace_file(key_file, authority.private_key_pem.bytes())
        replace_file(certificates.ca_bundle, authority.cert_pem.bytes(), mode=0o644)
    leaf = authority.issue_cert(*names)
    replace_file(certificates.server, leaf.private_key_and_cert_chain_pem.bytes())
