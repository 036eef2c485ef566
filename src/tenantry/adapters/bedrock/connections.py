"""HTTP clients, one per endpoint, each a bounded pool of kept-alive connections."""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass
from datetime import timedelta
from typing import Final
from urllib.parse import urlsplit

from pyreqwest.client import Client, ClientBuilder

from tenantry.ports.model import Timeouts

MAX_ENDPOINTS: Final = 512  # accounts × regions × settings that one worker may talk to
MAX_CONNECTIONS: Final = 1_024  # at once, per endpoint; streams hold theirs to the end
# Idle connections are given up before the other side does it; a load balancer waits 60 s.
POOL_IDLE_TIMEOUT_S: Final = 30
USER_AGENT: Final = "tenantry"
_DEFAULT_PORTS: Final = {"http": 80, "https": 443}
_CERTIFICATE = re.compile(rb"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)


class EndpointRefused(ValueError):
    """The endpoint URL is malformed, or there are more endpoints than one worker may have."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An endpoint ready to be called; `host` is what the Host header will say, and is signed."""

    origin: str
    host: str
    client: Client


class Connections:
    """The clients of one worker. Closing it ends every connection."""

    def __init__(
        self, *, ca_pem: bytes | None = None, max_connections: int = MAX_CONNECTIONS
    ) -> None:
        self._certificates = _CERTIFICATE.findall(ca_pem) if ca_pem else []
        if ca_pem and not self._certificates:
            raise ValueError("the CA bundle holds no PEM certificate")
        self._max_connections = max_connections
        self._endpoints: dict[tuple[str, int, int], Endpoint] = {}

    def endpoint(self, url: str, timeouts: Timeouts) -> Endpoint:
        """The endpoint of a URL, with its pool. Raises EndpointRefused.

        A client's limits up to the headers are fixed when it is built, so each pair of them has
        its own pool; there are as many pairs as operators set.
        """
        key = (url, timeouts.connect_timeout_ms, timeouts.first_byte_timeout_ms)
        found = self._endpoints.get(key)
        if found is None:
            if len(self._endpoints) >= MAX_ENDPOINTS:
                raise EndpointRefused(f"more than {MAX_ENDPOINTS} endpoints")
            origin, host = _parse(url)
            found = Endpoint(origin, host, self._build(timeouts))
            self._endpoints[key] = found
        return found

    def _build(self, timeouts: Timeouts) -> Client:
        connect_timeout = timedelta(milliseconds=timeouts.connect_timeout_ms)
        builder = (
            ClientBuilder()
            .no_proxy()
            .follow_redirects(False)
            .referer(False)
            .error_for_status(False)
            .gzip(False)
            .brotli(False)
            .zstd(False)
            .deflate(False)
            .http1_only()
            .user_agent(USER_AGENT)
            .max_connections(self._max_connections)
            .pool_timeout(connect_timeout)
            .connect_timeout(connect_timeout)
            .read_timeout(timedelta(milliseconds=timeouts.first_byte_timeout_ms))
            .pool_idle_timeout(timedelta(seconds=POOL_IDLE_TIMEOUT_S))
        )
        for certificate in self._certificates:
            builder = builder.add_root_certificate_pem(certificate)
        return builder.build()

    async def close(self) -> None:
        """End all connections; exchanges under way fail."""
        endpoints, self._endpoints = list(self._endpoints.values()), {}
        await asyncio.gather(*(endpoint.client.close() for endpoint in endpoints))


def _parse(url: str) -> tuple[str, str]:
    """Origin and Host header of an endpoint URL; a default port is left out, as HTTP does."""
    parts = urlsplit(url)
    try:
        port = parts.port
    except ValueError as error:
        raise EndpointRefused(f"malformed endpoint URL {url!r}") from error
    bare = not (parts.username or parts.password or parts.query or parts.fragment)
    if parts.scheme not in _DEFAULT_PORTS or not parts.hostname or not bare:
        raise EndpointRefused(f"malformed endpoint URL {url!r}")
    if parts.path not in ("", "/"):
        raise EndpointRefused(f"the endpoint URL {url!r} has a path")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    if port is not None and port != _DEFAULT_PORTS[parts.scheme]:
        host = f"{host}:{port}"
    return f"{parts.scheme}://{host}", host
