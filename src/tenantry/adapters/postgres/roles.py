"""The database roles of Tenantry: made, given passwords, and derived where a secret is given.

| role | logs in | for |
|---|---|---|
| tenantry_owner | no | owns schema, tables and views |
| tenantry_migrator | yes | `tenantry migrate`; acts as the owner |
| tenantry_app | yes | the data plane, inside one tenant's unit of work |
| tenantry_gate | no | owns the few definer functions that must cross tenants |
| tenantry_control | yes | admin port, command line, worker |
| tenantry_operator | yes | reads accounting across tenants, content never |

Whose passwords the roles have stands in a comment on the migrator, as a mark of the secret: a login
proves nothing where the server asks for no password.
"""

import asyncio
import base64
import contextlib
import hashlib
import hmac
import json
import re
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, Final

import asyncpg

from tenantry.adapters.postgres.dial import connect
from tenantry.adapters.postgres.errors import RolesTaken

LOGIN_ROLES = ("tenantry_migrator", "tenantry_app", "tenantry_control", "tenantry_operator")
_HERE = Path(__file__).parent
_SCRAM_ITERATIONS = 4096  # PostgreSQL's scram_iterations; the passwords have 192 bits or more
_SALT_BYTES = 16
_SECRET_BYTES_MIN = 32
_TRIES_MAX = 10
_PAUSE_S = 0.1
_VERIFIER: Final = re.compile(r"SCRAM-SHA-256\$(?P<iterations>\d{1,9}):(?P<salt>[^$]+)\$")
_MARK: Final = "Tenantry: the passwords are of the secret "
_MADE: Final = """
SELECT rolcanlogin, shobj_description(oid, 'pg_authid') AS comment,
       has_table_privilege('pg_catalog.pg_authid', 'SELECT') AS is_open
FROM pg_catalog.pg_roles WHERE rolname = 'tenantry_migrator'"""
_STORED: Final = "SELECT rolpassword FROM pg_catalog.pg_authid WHERE rolname = 'tenantry_migrator'"
_LOCK: Final = "SELECT pg_advisory_xact_lock(hashtext('tenantry.roles'))"
_COMMENT: Final = "SELECT format('COMMENT ON ROLE tenantry_migrator IS %L', $1::text)"
# Starts of one database wait for each other; roles are the server's, and its other databases may
# make the same ones at the same moment.
_RACES = (asyncpg.DuplicateObjectError, asyncpg.UniqueViolationError, asyncpg.InternalServerError)
_TAKEN: Final = (
    "The roles tenantry_… of this server have other passwords than control/database-secret in this"
    " data folder gives. Copy that file from the deployment that uses them; where it is lost,"
    " `tenantry migrate --new-passwords` locks out whoever has the old ones."
)
_UNPROVEN: Final = (
    "The server lets tenantry_migrator in with any password, so nobody can tell whether the roles"
    " tenantry_… have those that control/database-secret in this data folder gives. Where it is the"
    " file of the deployment that uses them, `tenantry migrate --new-passwords` gives them these"
    " once more; another one locks that deployment out."
)


async def ensure_database(maintenance_dsn: str, name: str) -> None:
    """Create the database where it is absent; `maintenance_dsn` may create databases."""
    connection = await connect(maintenance_dsn)
    try:
        if not await connection.fetchval("SELECT 1 FROM pg_database WHERE datname = $1", name):
            quoted = await connection.fetchval("SELECT quote_ident($1)", name)
            await connection.execute(f"CREATE DATABASE {quoted}")
    finally:
        await connection.close()


async def bootstrap_roles(
    dsn: str,
    passwords: Mapping[str, str],
    *,
    mark: str | None = None,
    instead_of: str | None = None,
    check: Callable[[Any], Awaitable[None]] | None = None,
) -> None:
    """Create the roles, set the passwords of those that log in, and close the database.

    `dsn` is a role with CREATEROLE that owns the database (a superuser, or the master user of
    a managed server). `passwords` maps role names to passwords; a login role that it leaves
    out keeps the password it has. Idempotent; several starts may race.

    `mark`, a `secret_mark`, is noted with the passwords. Raises RolesTaken, having changed nothing,
    where the roles have another one by then, but for that which they come `instead_of`. `check` is
    called with the connection, in the transaction and before anything is changed; what it raises
    ends it.
    """
    verifiers = {
        role: to_scram_verifier(passwords[role]) for role in LOGIN_ROLES if role in passwords
    }
    connection = await connect(dsn)
    try:
        for tries_left in reversed(range(_TRIES_MAX)):
            try:
                await _make_roles(connection, json.dumps(verifiers), mark, instead_of, check)
                break
            except _RACES:
                if not tries_left:
                    raise
                await asyncio.sleep(_PAUSE_S)
    finally:
        await connection.close()


async def check_passwords(
    dsn: str, secret: bytes, login_dsn_for: Callable[[bytes], str]
) -> str | None:
    """Raises RolesTaken where the server has the roles with other passwords than the secret gives,
    or where that cannot be told. Returns their `secret_mark`, where they have one.

    `dsn` is as for `bootstrap_roles`; `login_dsn_for` gives the URL by which `tenantry_migrator`
    logs in with the password of a secret.
    """
    connection = await connect(dsn)
    try:
        made = await connection.fetchrow(_MADE)
        stored = await connection.fetchval(_STORED) if made and made["is_open"] else None
    finally:
        await connection.close()
    if made is None:
        return None
    mark = _mark_in(made["comment"])
    if stored is not None:  # a superuser sees what is there
        if not _is_of(stored, derive_password(secret, "tenantry_migrator")):
            raise RolesTaken(_TAKEN)
        return mark
    may_log_in = made["rolcanlogin"]
    if not await _accepts(login_dsn_for(secret), may_log_in):
        raise RolesTaken(_TAKEN)
    if mark != secret_mark(secret) and await _accepts(
        login_dsn_for(secrets.token_bytes(_SECRET_BYTES_MIN)), may_log_in
    ):
        raise RolesTaken(_UNPROVEN if mark is None else _TAKEN)
    return mark


async def mark_of(dsn: str) -> str | None:
    """The `secret_mark` of the server's roles, where they are there and have one."""
    connection = await connect(dsn)
    try:
        return await _mark(connection)
    finally:
        await connection.close()


async def _mark(connection: Any) -> str | None:
    made = await connection.fetchrow(_MADE)
    return None if made is None else _mark_in(made["comment"])


def _mark_in(comment: str | None) -> str | None:
    """What an administrator has written in its place is none."""
    return comment if comment is not None and comment.startswith(_MARK) else None


async def _accepts(login_dsn: str, may_log_in: bool) -> bool:
    """Whether the server takes the password in the URL. Raises what refuses the role before it is
    asked for one."""
    try:
        login = await connect(login_dsn)
    except asyncpg.InvalidPasswordError:
        return False
    except asyncpg.InsufficientPrivilegeError:
        return True  # let in, but not to this database yet
    except asyncpg.InvalidAuthorizationSpecificationError:
        if may_log_in:
            raise
        return True  # NOLOGIN, which is looked at after the password
    await login.close()
    return True


async def _make_roles(
    connection: Any,
    verifiers: str,
    mark: str | None,
    instead_of: str | None,
    check: Callable[[Any], Awaitable[None]] | None,
) -> None:
    async with connection.transaction():
        await connection.execute(_LOCK)
        if mark is not None and await _mark(connection) not in (None, mark, instead_of):
            raise RolesTaken(_TAKEN)
        if check is not None:
            await check(connection)
        await connection.execute("SELECT set_config('tenantry.verifiers', $1, true)", verifiers)
        await connection.execute((_HERE / "roles.sql").read_text(encoding="utf-8"))
        await connection.execute((_HERE / "database.sql").read_text(encoding="utf-8"))
        if mark is not None:
            await connection.execute(await connection.fetchval(_COMMENT, mark))


@contextlib.asynccontextmanager
async def acting_as(connection: Any, role: str) -> AsyncIterator[None]:
    """Read as one of our roles, for who made them or a superuser, in a transaction of whose block
    nothing stays."""
    block = connection.transaction()
    await block.start()
    try:
        await connection.execute(f"GRANT {role} TO CURRENT_USER WITH INHERIT FALSE, SET TRUE")
        await connection.execute(f"SET LOCAL ROLE {role}")
        yield
    finally:
        await block.rollback()


def secret_mark(secret: bytes) -> str:
    """What tells one deployment's secret from another, and gives no password: no secret."""
    digest = hmac.new(secret, b"tenantry/postgres-roles/mark/v1", hashlib.sha256).hexdigest()
    return f"{_MARK}{digest}"


def derive_password(secret: bytes, role: str) -> str:
    """Derive a role's password from the deployment's secret (at least 32 bytes).

    HMAC-SHA-256 of the role's name, as HKDF-Expand of RFC 5869 with one block: every process
    that holds the secret knows the password, and none of them needs to store it.
    """
    if len(secret) < _SECRET_BYTES_MIN:
        raise ValueError(f"the deployment's secret must have at least {_SECRET_BYTES_MIN} bytes")
    label = b"tenantry/postgres-role/v1/" + role.encode()
    return hmac.new(secret, label + b"\x01", hashlib.sha256).hexdigest()


def to_scram_verifier(password: str) -> str:
    """Return what PostgreSQL stores for a password (RFC 5803), so that it never sees it."""
    return _scram_verifier(password, secrets.token_bytes(_SALT_BYTES), _SCRAM_ITERATIONS)


def _scram_verifier(password: str, salt: bytes, iterations: int) -> str:
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, iterations)
    client_key = hmac.digest(salted, b"Client Key", "sha256")
    stored_key = hashlib.sha256(client_key).digest()
    server_key = hmac.digest(salted, b"Server Key", "sha256")
    parts = [base64.b64encode(part).decode() for part in (salt, stored_key, server_key)]
    return f"SCRAM-SHA-256${iterations}:{parts[0]}${parts[1]}:{parts[2]}"


def _is_of(stored: str, password: str) -> bool:
    """Whether what PostgreSQL stores is of this password; a kind that we never store is not."""
    found = _VERIFIER.match(stored)
    if found is None:
        return False
    salt = base64.b64decode(found["salt"])
    return hmac.compare_digest(stored, _scram_verifier(password, salt, int(found["iterations"])))


def text_digest() -> str:
    """Name the present text of the two files, to see whether a cluster has it already."""
    texts = (_HERE / name for name in ("roles.sql", "database.sql"))
    return hashlib.sha256(b"\0".join(text.read_bytes() for text in texts)).hexdigest()
