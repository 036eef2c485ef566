"""What is wrong with the settings of databases, of Bedrock and its log, and of files they name."""

from __future__ import annotations

import errno
import os
import re
import shutil
import ssl
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final
from urllib.parse import parse_qsl, unquote, urlsplit

from tenantry.adapters.objects.durable_file import ROOT_MARK
from tenantry.adapters.paper.font_folder import font_files
from tenantry.adapters.postgres.embedded.initialise import check_disk
from tenantry.adapters.postgres.embedded.place import known_place
from tenantry.adapters.postgres.errors import ClusterError
from tenantry.bootstrap.checks.outside import check_url
from tenantry.bootstrap.shared_costs import shared_costs_of
from tenantry.config import Settings, SettingsError, variable_of
from tenantry.domain.placement import check_endpoint, s3_location

HOME_FREE_BYTES_MIN: Final = 64 * 1024 * 1024  # a few uploads, and what is logged of them
_TLS_FILES: Final = frozenset({"sslrootcert", "sslcert", "sslkey", "sslcrl"})
# What libpq (psql, and addresses that hosts of PostgreSQL hand out) does on the client's side and
# asyncpg does not: it would ask the server for a setting of that name.
_LIBPQ_ALONE: Final = frozenset(
    {
        "channel_binding", "connect_timeout", "gssdelegation", "gssencmode", "hostaddr",
        "keepalives", "keepalives_count", "keepalives_idle", "keepalives_interval",
        "load_balance_hosts", "require_auth", "requirepeer", "requiressl", "sslcertmode",
        "sslcompression", "sslsni", "tcp_user_timeout",
    }
)  # fmt: skip
_FORM: Final = "must be postgresql://user:password@host:port/database"
_SERVER: Final = re.compile(
    r"/.*|\[[^\[\]]+\](:(?P<port_of_ipv6>.*))?|[^/\[:][^:]*(:(?P<port>.*))?", re.DOTALL
)
_PORT: Final = re.compile(r"[0-9]{1,5}")
_PORT_MAX: Final = 65_535
_ACCOUNT: Final = "[0-9]" * 12  # a folder of `accounts`


def reach_problems(config: Settings) -> list[str]:
    """One line for each setting that nothing could be reached by; none repeats a secret."""
    checks: dict[str, Callable[[], object]] = {
        "database_url": lambda: _check_dsn(config.database_url),
        "pgvector_url": lambda: _check_dsn(config.pgvector_url),
        "url": lambda: check_url(config.url),
        "bedrock_endpoint_url": lambda: check_endpoint(config.bedrock_endpoint_url or ""),
        "bedrock_ca_bundle": lambda: _check_authorities(config.bedrock_ca_bundle),
        "invocation_log_url": lambda: s3_location(config.invocation_log_url or ""),
        "tls_names": lambda: _check_hosts(config.tls_names.split()),
    }
    return list(_wrong(config, checks))


def file_problems(config: Settings) -> list[str]:
    """One line for each place that a setting names and that is not as it must be, by now."""
    checks: dict[str, Callable[[], object]] = {
        "postgres_bin": lambda: _check_folder(config.postgres_bin),
        "invoice_fonts": lambda: _check_fonts(config.invoice_fonts),
        "s3_folder": lambda: _check_folder(config.s3_folder),
        "home": lambda: _check_home(config.home),
    }
    problems = list(_wrong(config, checks))
    try:
        shared_costs_of(config)
    except SettingsError as wrong:
        problems.append(str(wrong))
    if config.database_url is None and config.home.is_dir():
        try:
            cluster = known_place(config.home)
            if cluster is not None and cluster.folder.is_dir():
                check_disk(cluster.folder)
        except ClusterError as refused:
            problems.append(str(refused))
    return problems


def _wrong(config: Settings, checks: dict[str, Callable[[], object]]) -> Iterator[str]:
    for name, holds in checks.items():
        if not getattr(config, name):
            continue
        try:
            holds()
        except OSError as wrong:
            yield f"{variable_of(name)}: {getattr(config, name)}: {wrong.strerror or wrong}"
        except ValueError as wrong:
            yield f"{variable_of(name)} {wrong}"


def _check_dsn(url: str | None) -> None:
    try:
        parts = urlsplit(url or "")
    except ValueError:
        raise ValueError(_FORM) from None
    if parts.scheme not in ("postgresql", "postgres"):
        raise ValueError(_FORM)
    given = parse_qsl(parts.query, keep_blank_values=True)
    servers = parts.netloc.rpartition("@")[2]
    if not servers and not dict(given).get("host"):
        raise ValueError(
            "names no host: write it before the database, or the folder of a socket as"
            " ?host=/run/postgresql"
        )
    _check_servers(servers, unquote)
    for name, value in given:
        if name in _LIBPQ_ALONE:
            raise ValueError(f"has the parameter {name}, which libpq alone knows: leave it away")
        if name in _TLS_FILES and not Path(value).is_file():
            raise ValueError(f"names a file as {name} that is not there: {value}")
        if name == "host":
            _check_servers(value, str)
        if name == "port" and value:
            for port in value.split(","):
                _check_port(port)


def _check_servers(servers: str, decoded: Callable[[str], str]) -> None:
    """Hosts with their ports, between commas, as asyncpg reads them; a folder has none."""
    for server in servers.split(",") if servers else ():
        found = _SERVER.fullmatch(server)
        if found is None:
            raise ValueError(_FORM)
        if port := found["port"] or found["port_of_ipv6"]:
            _check_port(decoded(port))


def _check_port(port: str) -> None:
    """It is not repeated: what stands there may be the rest of a password."""
    if _PORT.fullmatch(port) is None or not 1 <= int(port) <= _PORT_MAX:
        raise ValueError(
            f"has a port that is not 1 to {_PORT_MAX:d} (where the password has one of :/?#[]@, it"
            " must be percent-encoded)"
        )


def _check_authorities(bundle: Path | None) -> None:
    ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(bundle)


def _check_hosts(names: list[str]) -> None:
    from tenantry.adapters.tls_names import plain_name  # tables that no other command needs

    for name in names:
        try:
            plain_name(name)
        except ValueError as wrong:
            raise ValueError(f"must be names and addresses; {name!r} is neither: {wrong}") from None


def _check_folder(folder: Path | None) -> None:
    if folder is not None:
        next(folder.iterdir(), None)


def _check_fonts(folder: Path | None) -> None:
    if folder is not None:
        font_files(folder)


def _check_home(home: Path) -> None:
    """Can be written, or made where it is not there yet."""
    found = next(folder for folder in (home, *home.parents) if folder.exists())
    if not found.is_dir():
        raise NotADirectoryError(errno.ENOTDIR, f"{found} is no folder")
    if not os.access(found, os.W_OK | os.X_OK):
        raise PermissionError(errno.EACCES, "cannot be written; choose another TENANTRY_HOME")
    free = shutil.disk_usage(found).free
    if free < HOME_FREE_BYTES_MIN:
        raise OSError(errno.ENOSPC, f"its disk is nearly full: {free // 2**20} MB left")
    accounts = home / "accounts"
    if (home / "control" / "key").exists() and not (accounts / ROOT_MARK).exists():
        if any(accounts.glob(_ACCOUNT)):  # they were here before there was a mark
            raise FileNotFoundError(
                errno.ENOENT, "its folder `accounts` has no mark yet: run `tenantry migrate`"
            )
        raise FileNotFoundError(
            errno.ENOENT, "its folder `accounts` is not what was there; is a disk not mounted?"
        )
