"""What the world does to a command, named once for the command line.

Owns: which exceptions are a person's to read and act upon. Whatever is not named here is a fault
of ours and keeps its traceback.
"""

from __future__ import annotations

from typing import Final

import asyncpg
from pyreqwest.exceptions import PyreqwestError

from tenantry.adapters.postgres.errors import DatabaseError
from tenantry.domain.errors import TenantryError, Unavailable
from tenantry.domain.price import Unpriced

_OURS: Final = '"tenantry_'  # a role that `tenantry migrate` makes
# What an operator with a server of one's own can do about a login that is refused.
_PASSWORDS: Final = (
    "TENANTRY_DATABASE_URL is for `tenantry migrate`, which makes the roles tenantry_… with"
    " passwords of control/database-secret in the data folder"
)


def told(failure: BaseException) -> str | None:
    """One line that says what went wrong; None where it is a fault of ours."""
    match failure:
        case Unavailable() if failure.__cause__ is not None:
            return f"{_line(failure.message).rstrip('.')}: {_line(str(failure.__cause__))}"
        case TenantryError():
            return _line(failure.message)
        case PyreqwestError():
            return f"the gateway is out of reach: {_line(str(failure))}"
        case asyncpg.InvalidAuthorizationSpecificationError() if _OURS in str(failure):
            return f"the database refused: {_line(str(failure))} ({_PASSWORDS})"
        case asyncpg.PostgresError() | asyncpg.InterfaceError():
            return f"the database refused: {_line(str(failure))}"
        case DatabaseError() | Unpriced() | OSError() | ValueError():
            return _line(str(failure)) or type(failure).__name__
        case _:
            return None


def _line(text: str) -> str:
    return "; ".join(line.strip() for line in text.splitlines() if line.strip())
