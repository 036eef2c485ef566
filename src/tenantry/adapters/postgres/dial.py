"""How every connection to a server begins, and which servers and sessions are refused.

A URL may name several hosts. Only the one that takes writes will do: a standby that answers, after
a fail-over too, is passed over, and so is an old primary that came back (`one_primary.py`). Either
is an outage where there is no other.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import asyncpg

from tenantry.adapters.postgres.errors import (
    DatabaseError,
    EncodingUnfit,
    LoginRefused,
    NotDurable,
    PoolerBetween,
    RoleTooStrong,
    ServerTooOld,
    WrongServer,
)
from tenantry.adapters.postgres.one_primary import Primary, primary_of
from tenantry.adapters.postgres.outages import outages_are_unavailable, why
from tenantry.adapters.postgres.url_hosts import hosts_of
from tenantry.domain.errors import Unavailable

MAJOR_MIN = 16  # the first with GRANT … WITH INHERIT, SET, which the roles use
ENCODING = "UTF8"
DURABLE_SETTINGS = ("fsync", "full_page_writes", "synchronous_commit")
_OURS = "statement_timeout"  # which a session of ours begins with
_READ_ONLY = "default_transaction_read_only"
_SETTINGS = "SELECT name, setting, source FROM pg_catalog.pg_settings WHERE name = ANY($1::text[])"
# A session whose server changes has statements that it did not prepare, or lacks those it did.
_OF_A_POOLER = (asyncpg.DuplicatePreparedStatementError, asyncpg.InvalidSQLStatementNameError)
# What a server says to who logs in: a password, pg_hba.conf, NOLOGIN, no CONNECT, no such database.
_REFUSALS = (
    asyncpg.InvalidAuthorizationSpecificationError,
    asyncpg.InsufficientPrivilegeError,
    asyncpg.InvalidCatalogNameError,
)
# What may come of the next host.
_FAILURES = (OSError, DatabaseError, asyncpg.PostgresError, asyncpg.InternalClientError)
_STARTUP = "startup parameter"  # as PgBouncer names a setting that it does not pass on
_TOLD_S = 60.0  # as asyncpg gives a connection, where its user names no time
_log = logging.getLogger(__name__)


async def connect(dsn: str, **options: Any) -> Any:
    """`asyncpg.connect` to the primary, with any session's settings in `server_settings`. Its
    `timeout` is of all hosts together.

    Raises ServerTooOld, EncodingUnfit, PoolerBetween or, where a server that answers is not the one
    and no other host will do, WrongServer beside what asyncpg raises.
    """
    primary, refused = primary_of(dsn), list[str]()
    try:
        async with asyncio.timeout(options.get("timeout") or _TOLD_S):
            connection = await _connect(dsn, primary, refused, options)
    except _FAILURES as failure:
        if not refused:
            raise
        raise WrongServer(f"{_told(refused)} No other host will do: {why(failure)}") from None
    if connection is None:
        raise WrongServer(_told(refused))
    if primary is not None:
        for line in refused:
            if line not in primary.told:
                primary.told.add(line)
                _log.error("the database at %s", line)
    return connection


async def _connect(
    dsn: str, primary: Primary | None, refused: list[str], options: dict[str, Any]
) -> Any:
    """None: each that answers is refused. Each turn has one host less."""
    left = hosts_of(dsn)
    while True:
        connection = await _open(dsn, options | _only(left))
        try:
            _check(connection)
            found = await _refusal(primary, connection, options)
        except BaseException:
            connection.terminate()
            raise
        if found is None:
            return connection
        connection.terminate()
        address = connection._addr
        refused.append(f"{_shown(address)} is not used: {found}")
        others = [host for host in left if _address_of(*host) != address]
        if not others or len(others) == len(left):
            return None
        left = others


async def _refusal(primary: Primary | None, connection: Any, options: dict[str, Any]) -> str | None:
    """Why it is not the one server."""
    if primary is None:
        return None
    try:
        return await primary.refusal(connection, options.get("timeout") or _TOLD_S)
    except _OF_A_POOLER as reason:
        raise PoolerBetween() from reason


def _told(refused: list[str]) -> str:
    return " ".join(f"The database at {line}." for line in refused)


def _only(hosts: list[tuple[str, int]]) -> dict[str, Any]:
    """These and no others, whatever PGHOST and PGPORT say."""
    if not hosts:
        return {}
    return {"host": [host for host, _ in hosts], "port": [port for _, port in hosts]}


def _address_of(host: str, port: int) -> object:
    """As asyncpg has it: of a socket its path."""
    if not host.startswith("/"):
        return host, port
    return host if ".s.PGSQL." in host else f"{host.removesuffix('/')}/.s.PGSQL.{port}"


def _shown(address: Any) -> str:
    return address if isinstance(address, str) else f"{address[0]}:{address[1]}"


async def _open(dsn: str, options: dict[str, Any]) -> Any:
    try:
        return await asyncpg.connect(dsn, target_session_attrs="primary", **options)
    except asyncpg.ProtocolViolationError as refused:
        if _STARTUP in str(refused):
            raise PoolerBetween() from refused
        raise
    except (FileNotFoundError, ConnectionRefusedError) as away:
        where = _socket_of(dsn) if away.filename is None else None
        if where is None:
            raise
        raise type(away)(away.errno, away.strerror or str(away), where) from None


async def reach(dsn: str, **options: Any) -> Any:
    """`connect` for who serves: Unavailable for whatever stands in the way, since somebody can mend
    it meanwhile; LoginRefused, with the server's words, or our own refusal is its cause."""
    with _refusals_are_unavailable():
        return await connect(dsn, **options)


async def prove_reached(connection: Any) -> None:
    """`prove`, likewise Unavailable."""
    with _refusals_are_unavailable():
        await prove(connection)


@contextlib.contextmanager
def _refusals_are_unavailable() -> Iterator[None]:
    """For connecting alone: within a statement a missing right would be a fault of ours."""
    try:
        with outages_are_unavailable():
            yield
    except _REFUSALS as reason:
        refused = LoginRefused(str(reason).partition("\n")[0])
        raise Unavailable("The database refuses our login.") from refused
    except DatabaseError as reason:
        raise Unavailable("The database must not be used.") from reason


async def prove(connection: Any) -> None:
    """Raises NotDurable, PoolerBetween, RoleTooStrong or, while the database takes no writes,
    Unavailable where the connection must not be used. It began with `statement_timeout`."""
    try:
        rows = await connection.fetch(_SETTINGS, (*DURABLE_SETTINGS, _OURS, _READ_ONLY))
    except _OF_A_POOLER as reason:
        raise PoolerBetween() from reason
    found = {row["name"]: row["setting"] for row in rows}
    given = {row["name"] for row in rows if row["source"] == "client"}  # as the session began
    if _OURS not in given:
        raise PoolerBetween()
    if found[_READ_ONLY] == "on" and _READ_ONLY not in given:
        raise Unavailable(f"The database takes no writes: {_READ_ONLY} is on.")
    # remote_apply and remote_write wait for even more than `on` does, on top of the local flush.
    wanted = {"on", "remote_apply", "remote_write"}
    weak = [name for name in DURABLE_SETTINGS if found.get(name) not in wanted]
    if weak:
        raise NotDurable(
            f"The server would lose committed money: {', '.join(weak)} must be on. Tenantry "
            "admits nothing on such a server."
        )
    if await connection.fetchval(
        "SELECT rolsuper OR rolbypassrls FROM pg_catalog.pg_roles WHERE rolname = session_user"
    ):
        raise RoleTooStrong()


def _check(connection: Any) -> None:
    major = connection.get_server_version().major
    if major < MAJOR_MIN:
        raise ServerTooOld(f"The server is PostgreSQL {major}; {MAJOR_MIN} or newer is needed.")
    encoding = connection.get_settings().server_encoding
    if encoding != ENCODING:
        raise EncodingUnfit(
            f"The database has the encoding {encoding} and cannot hold every text: create it with"
            f" ENCODING '{ENCODING}' TEMPLATE template0."
        )


def _socket_of(dsn: str) -> str | None:
    """The path of the socket that a URL leads to: the system does not name it. None: elsewhere."""
    given = parse_qs(urlsplit(dsn).query)
    folder = given.get("host", [""])[0]
    return f"{folder}/.s.PGSQL.{given.get('port', ['5432'])[0]}" if folder[:1] == "/" else None
