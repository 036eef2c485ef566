"""The database roles of Tenantry: made, given passwords, and derived where a secret is given.

| role | logs in | for |
|---|---|---|
| tenantry_owner | no | owns schema, tables and views |
| tenantry_migrator | yes | `tenantry migrate`; acts as the owner |
| tenantry_app | yes | the data plane, inside one tenant's unit of work |
| tenantry_gate | no | owns the few definer functions that must cross tenants |
| tenantry_control | yes | admin port, command line, worker |
| tenantry_operator | yes | reads accounting across tenants, content never |
"""

import asyncio
import base64
import hashlib
import hmac
import json
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import asyncpg

from tenantry.adapters.postgres.dial import connect
from tenantry.adapters.postgres.errors import RolesTaken

LOGIN_ROLES = ("tenantry_migrator", "tenantry_app", "tenantry_control", "tenantry_operator")
_HERE = Path(__file__).parent
_SCRAM_ITERATIONS = 4096  # PostgreSQL's scram_iterations; the passwords have 192 bits or more
_SALT_BYTES = 16
_TRIES_MAX = 10
_PAUSE_S = 0.1
_IS_MADE = "SELECT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = 'tenantry_migrator')"
# Starts of one database wait for each other; roles are the server's, and its other databases may
# make the same ones at the same moment.
_RACES = (asyncpg.DuplicateObjectError, asyncpg.UniqueViolationError, asyncpg.InternalServerError)
_TAKEN: Final = (
    "The roles tenantry_… of this server have other passwords than control/database-secret in this"
    " data folder gives. Copy that file from the deployment that uses them; where it is lost,"
    " `tenantry migrate --new-passwords` locks out whoever has the old ones."
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


async def bootstrap_roles(dsn: str, passwords: Mapping[str, str]) -> None:
    """Create the roles, set the passwords of those that log in, and close the database.

    `dsn` is a role with CREATEROLE that owns the database (a superuser, or the master user of
    a managed server). `passwords` maps role names to passwords; a login role that it leaves
    out keeps the password it has. Idempotent; several starts may race.
    """
    verifiers = {
        role: to_scram_verifier(passwords[role]) for role in LOGIN_ROLES if role in passwords
    }
    connection = await connect(dsn)
    try:
        for tries_left in reversed(range(_TRIES_MAX)):
            try:
                await _make_roles(connection, json.dumps(verifiers))
                break
            except _RACES:
                if not tries_left:
                    raise
                await asyncio.sleep(_PAUSE_S)
    finally:
        await connection.close()


async def check_passwords(dsn: str, login_dsn: str) -> None:
    """Raises RolesTaken where the server has the roles with other passwords than ours.

    `dsn` is as for `bootstrap_roles`, `login_dsn` logs in as `tenantry_migrator`.
    """
    connection = await connect(dsn)
    try:
        is_made = await connection.fetchval(_IS_MADE)
    finally:
        await connection.close()
    if not is_made:
        return
    try:
        login = await connect(login_dsn)
    except asyncpg.InvalidPasswordError as refused:
        raise RolesTaken(_TAKEN) from refused
    except (asyncpg.InvalidAuthorizationSpecificationError, asyncpg.InsufficientPrivilegeError):
        return  # it may not log in yet, or not to this database
    await login.close()


async def _make_roles(connection: Any, verifiers: str) -> None:
    async with connection.transaction():
        await connection.execute("SELECT set_config('tenantry.verifiers', $1, true)", verifiers)
        await connection.execute((_HERE / "roles.sql").read_text(encoding="utf-8"))
        await connection.execute((_HERE / "database.sql").read_text(encoding="utf-8"))


def derive_password(secret: bytes, role: str) -> str:
    """Derive a role's password from the deployment's secret (at least 32 bytes).

    HMAC-SHA-256 of the role's name, as HKDF-Expand of RFC 5869 with one block: every process
    that holds the secret knows the password, and none of them needs to store it.
    """
    if len(secret) < 32:
        raise ValueError("the deployment's secret must have at least 32 bytes")
    label = b"tenantry/postgres-role/v1/" + role.encode()
    return hmac.new(secret, label + b"\x01", hashlib.sha256).hexdigest()


def to_scram_verifier(password: str) -> str:
    """Return what PostgreSQL stores for a password (RFC 5803), so that it never sees it."""
    salt = secrets.token_bytes(_SALT_BYTES)
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, _SCRAM_ITERATIONS)
    client_key = hmac.digest(salted, b"Client Key", "sha256")
    stored_key = hashlib.sha256(client_key).digest()
    server_key = hmac.digest(salted, b"Server Key", "sha256")
    parts = [base64.b64encode(part).decode() for part in (salt, stored_key, server_key)]
    return f"SCRAM-SHA-256${_SCRAM_ITERATIONS}:{parts[0]}${parts[1]}:{parts[2]}"


def text_digest() -> str:
    """Name the present text of the two files, to see whether a cluster has it already."""
    texts = (_HERE / name for name in ("roles.sql", "database.sql"))
    return hashlib.sha256(b"\0".join(text.read_bytes() for text in texts)).hexdigest()
