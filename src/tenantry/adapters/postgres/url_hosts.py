"""The hosts that a URL leads to."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final
from urllib.parse import parse_qsl, unquote, urlsplit

_PORT: Final = "5432"
_HOST: Final = re.compile(r"(/.*)|\[([^\[\]]+)\](?::(.*))?|([^:]+)(?::(.*))?")


def hosts_of(dsn: str) -> list[tuple[str, int]]:
    """Each with its port, of a socket its folder, as asyncpg reads the URL. Where the URL names
    none, or a number of ports that is not that of its hosts: empty."""
    parts = urlsplit(dsn)
    if servers := parts.netloc.rpartition("@")[2]:
        return _read(servers.split(","), "", unquote)
    given = dict(parse_qsl(parts.query))
    servers = given.get("host", "")
    return _read(servers.split(",") if servers else [], given.get("port", ""), str)


def _read(servers: list[str], ports: str, decoded: Callable[[str], str]) -> list[tuple[str, int]]:
    """`ports` are of all of them; without, each may have its own."""
    of_all = ports.split(",") if "," in ports else [ports] * len(servers)
    found = list[tuple[str, int]]()
    for server, port in zip(servers, of_all, strict=False):
        if (parsed := _HOST.fullmatch(server)) is None:
            return []
        folder, of_version_6, its_port, name, port_of_name = parsed.groups()
        port = port or decoded(its_port or port_of_name or _PORT)
        found.append((decoded(folder or of_version_6 or name), int(port)))
    return found if len(servers) == len(of_all) else []
