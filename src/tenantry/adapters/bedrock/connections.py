"""The endpoints of one worker, each with its pool of kept-alive connections."""

from __future__ import annotations

import re
import ssl
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from tenantry.adapters.bedrock.pool import Pool
from tenantry.adapters.bedrock.room import Room

ENDPOINTS_MAX: Final = 512  # accounts × regions that one worker may talk to
CONNECTIONS_MAX: Final = 1_024  # at once, per endpoint; streams hold theirs to the end
TOTAL_MAX: Final = 2_048  # to all endpoints, idle ones too: a worker's files are not only these
_DEFAULT_PORTS: Final = {"http": 80, "https": 443}
_CERTIFICATE = re.compile(rb"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)


class EndpointRefused(ValueError):
    """The endpoint URL is malformed, or there are more endpoints than one worker may have."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An endpoint ready to be called; `host` is what the Host header will say, and is signed."""

    host: str
    pool: Pool


class Connections:
    """The pools of one worker. No proxy is taken from the environment: what is signed for one host
    goes to that host."""

    def __init__(
        self,
        *,
        ca_pem: bytes | None = None,
        max_connections: int = CONNECTIONS_MAX,
        max_total: int = TOTAL_MAX,
    ) -> None:
        self._ca_pem = ca_pem
        if ca_pem and not _CERTIFICATE.search(ca_pem):
            raise ValueError("the CA bundle holds no PEM certificate")
        self._max_connections = max_connections
        self._room = Room(max_total)
        self._tls: ssl.SSLContext | None = None
        self._endpoints: dict[str, Endpoint] = {}

    def endpoint(self, url: str) -> Endpoint:
        """The endpoint of a URL, with its pool. Raises EndpointRefused."""
        found = self._endpoints.get(url)
        if found is None:
            if len(self._endpoints) >= ENDPOINTS_MAX:
                raise EndpointRefused(f"more than {ENDPOINTS_MAX} endpoints")
            found = self._open(url)
            self._endpoints[url] = found
        return found

    def _open(self, url: str) -> Endpoint:
        scheme, name, port = _parse(url)
        host = f"[{name}]" if ":" in name else name
        if port != _DEFAULT_PORTS[scheme]:
            host = f"{host}:{port}"
        tls = self._context() if scheme == "https" else None
        return Endpoint(host, Pool(name, port, tls, self._max_connections, self._room))

    def _context(self) -> ssl.SSLContext:
        """Of the system's authorities and those of the bundle; TLS 1.2 and later."""
        if self._tls is None:
            self._tls = ssl.create_default_context()
            self._tls.minimum_version = ssl.TLSVersion.TLSv1_2
            self._tls.set_alpn_protocols(["http/1.1"])
            for certificate in _CERTIFICATE.findall(self._ca_pem or b""):
                self._tls.load_verify_locations(cadata=certificate.decode("ascii"))
        return self._tls

    def close(self) -> None:
        """End all connections that are idle; exchanges under way end theirs."""
        endpoints, self._endpoints = list(self._endpoints.values()), {}
        for endpoint in endpoints:
            endpoint.pool.close()


def _parse(url: str) -> tuple[str, str, int]:
    """Scheme, host and port of an endpoint URL."""
    shown = url.rpartition("@")[2]  # what is before it may be a password
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:  # whose words may repeat the URL
        raise EndpointRefused(f"malformed endpoint URL {shown!r}") from None
    bare = not (parts.username or parts.password or parts.query or parts.fragment)
    if parts.scheme not in _DEFAULT_PORTS or not parts.hostname or not bare:
        raise EndpointRefused(f"malformed endpoint URL {shown!r}")
    if parts.path not in ("", "/"):
        raise EndpointRefused(f"the endpoint URL {shown!r} has a path")
    return parts.scheme, parts.hostname, _DEFAULT_PORTS[parts.scheme] if port is None else port
