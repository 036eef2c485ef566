"""One POST, of which nothing but the status is taken."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Final

from pyreqwest.client import Client, ClientBuilder
from pyreqwest.exceptions import BuilderError, RequestError

from tenantry.ports.delivery import DeliveryFailed

CONNECT_TIMEOUT_S: Final = 5
TOTAL_TIMEOUT_S: Final = 20  # Standard Webhooks advises 15 to 30
CONNECTIONS_MAX: Final = 16
USER_AGENT: Final = "tenantry-webhooks"
GONE: Final = 410
_CERTIFICATE = re.compile(rb"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)


class Gone(DeliveryFailed):
    """The receiver answered 410: it wants no more of this."""


def build_client(ca_pem: bytes | None, pinned: tuple[str, str, int] | None = None) -> Client:
    """`ca_pem` is trusted beside the system's authorities. `pinned`: name, address and port; the
    name is then resolved to nothing else, and no connection outlives its request.
    """
    connect_timeout = timedelta(seconds=CONNECT_TIMEOUT_S)
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
        .max_connections(CONNECTIONS_MAX)
        .pool_timeout(connect_timeout)
        .connect_timeout(connect_timeout)
        .timeout(timedelta(seconds=TOTAL_TIMEOUT_S))
    )
    if pinned is not None:
        builder = builder.resolve(*pinned).https_only(True).pool_max_idle_per_host(0)
    for certificate in _CERTIFICATE.findall(ca_pem or b""):
        builder = builder.add_root_certificate_pem(certificate)
    return builder.build()


async def post(client: Client, url: str, headers: Mapping[str, str], body: bytes) -> None:
    """Raises `Gone` on 410 and `DeliveryFailed` on all else but 2xx; the words name no URL, which
    may hold a secret.

    The limits are the client's own: cancelling a request would leave it running in there.
    """
    try:
        request = (
            client.post(url)
            .headers(headers)
            .body_bytes(body)
            .streamed_read_buffer_limit(0)  # else it would wait for the body that nobody reads
            .build_streamed()
        )
    except (BuilderError, ValueError):
        raise DeliveryFailed("the URL is malformed", final=True) from None
    try:
        async with request as response:
            status = response.status
    except RequestError as error:
        raise DeliveryFailed(_reason(error)) from None
    if status == GONE:
        raise Gone("the receiver answered 410: gone", final=True)
    if not 200 <= status < 300:
        raise DeliveryFailed(f"the receiver answered {status}")


def _reason(error: RequestError) -> str:
    if isinstance(error, TimeoutError):
        return "the receiver did not answer in time"
    causes = [cause["message"] for cause in error.details.get("causes") or []]
    return causes[-1] if causes else type(error).__name__
