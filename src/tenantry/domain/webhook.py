"""What a webhook's secret and a tenant's endpoint may look like; the words of its body."""

from __future__ import annotations

import base64
import binascii
import ipaddress
import re
from typing import Final
from urllib.parse import urlsplit

SECRET_PREFIX: Final = "whsec_"  # noqa: S105  no secret, what one begins with
SECRET_BYTES: Final = 32
SECRET_BYTES_MIN, SECRET_BYTES_MAX = 24, 64  # Standard Webhooks 1.0.0, "Signature scheme"
URL_CHARACTERS_MAX: Final = 2_048
# A name of two labels or more whose last one begins with a letter: whatever reads it, no address.
_NAME = re.compile(r"(?!-)[a-z0-9-]{1,63}(?:\.[a-z0-9-]{1,63})*\.[a-z][a-z0-9-]{0,62}", re.ASCII)
# Addresses that carry an IPv4 address which their translator connects to.
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_UNICAST = ipaddress.ip_network("2000::/3")  # all IPv6 addresses that were ever given to hosts
# Not private to `ipaddress`, and no host's: of protocols, and of relays for 6to4.
_PROTOCOLS = (ipaddress.ip_network("192.0.0.0/24"), ipaddress.ip_network("192.88.99.0/24"))


class BadEndpoint(ValueError):
    """The URL or secret is not one that a webhook can have; the message repeats no secret."""


def secret_from(random: bytes) -> str:
    """`SECRET_BYTES` unpredictable bytes as a secret."""
    assert len(random) == SECRET_BYTES
    return SECRET_PREFIX + base64.b64encode(random).decode("ascii")


def check_secret(secret: str) -> None:
    """Raises `BadEndpoint`."""
    body = secret.removeprefix(SECRET_PREFIX)
    try:
        size = len(base64.b64decode(body + "=" * (-len(body) % 4), validate=True))
    except (binascii.Error, ValueError):
        size = 0
    if body == secret or not SECRET_BYTES_MIN <= size <= SECRET_BYTES_MAX:
        raise BadEndpoint(
            f"is not {SECRET_PREFIX} and {SECRET_BYTES_MIN} to {SECRET_BYTES_MAX} bytes in base64"
        )


def tenant_url(url: str) -> tuple[str, int]:
    """Name and port of a tenant's endpoint. Raises `BadEndpoint` where it is not plain https to a
    name: no address, no user, nothing that two readers could take for different hosts.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise BadEndpoint("The URL is malformed.") from None
    if len(url) > URL_CHARACTERS_MAX or re.search(r"[^!-~]|[\\^`{|}<>\"]", url):
        raise BadEndpoint(f"A URL has at most {URL_CHARACTERS_MAX} characters, all of them plain.")
    host = (parts.hostname or "").lower()
    if parts.scheme != "https" or not _NAME.fullmatch(host):
        raise BadEndpoint("An endpoint is https:// and a host's full name.")
    if parts.username is not None or parts.password is not None or parts.fragment:
        raise BadEndpoint("An endpoint's URL has no user and no fragment.")
    if port == 0:
        raise BadEndpoint("No endpoint is at port 0.")
    return host, 443 if port is None else port


def is_public(address: str) -> bool:
    """Whether an address may be a tenant's: global, one host, and so whatever it carries."""
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:  # such as one with a scope, which is never global
        return False
    if isinstance(ip, ipaddress.IPv6Address):
        inner = ip.ipv4_mapped or ip.sixtofour
        if ip in _NAT64:
            inner = ipaddress.IPv4Address(int(ip) & 0xFFFF_FFFF)
        if inner is not None:
            return is_public(str(inner))
        return ip in _UNICAST and ip.is_global
    reserved = any(ip in network for network in _PROTOCOLS)
    return ip.is_global and not ip.is_multicast and not reserved
