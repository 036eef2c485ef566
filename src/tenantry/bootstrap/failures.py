"""What broke, in one line for whoever called a command.

Owns: which exceptions are a person's to read and act upon. Whatever is not named here is a fault
of ours: its traceback goes to a file for whoever mends it, which its owner alone can read, for
words of tenants may be in a traceback's messages.
"""

from __future__ import annotations

import re
import tempfile
import traceback
from typing import Final

import asyncpg
from pyreqwest.exceptions import ConnectError, DetailedPyreqwestError, PyreqwestError

from tenantry.adapters.postgres.errors import DatabaseError, LoginRefused
from tenantry.adapters.postgres.outages import cause_of, why
from tenantry.domain.errors import TenantryError, Unavailable
from tenantry.domain.price import Unpriced

MESSAGE_CHARS_MAX: Final = 300  # of a fault
PLACES: Final = 3  # the innermost, enough to tell one fault from another
_URL: Final = re.compile(r"\((?P<origin>https?://[^/@?#\s)]+)(?=[/?#)])")
_CERTIFICATE: Final = "invalid peer certificate"
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
            return f"{_line(failure.message).rstrip('.')}: {reason(failure)}"
        case TenantryError():
            return _line(failure.message)
        case PyreqwestError():
            return unreached(failure)
        case asyncpg.InvalidAuthorizationSpecificationError() if _OURS in str(failure):
            return f"the database refused: {_line(str(failure))} ({_PASSWORDS})"
        case asyncpg.PostgresError() | asyncpg.InterfaceError():
            return f"the database refused: {_line(str(failure))}"
        case OSError() if failure.filename is not None:
            return f"{failure.filename}: {failure.strerror}"
        case DatabaseError() | Unpriced() | OSError() | ValueError():
            return _line(str(failure)) or type(failure).__name__
        case _:
            return None


def reason(outage: Unavailable) -> str:
    """What lies under it, and what an operator can do; "" where it has no cause."""
    if outage.__cause__ is None:
        return ""
    line = why(outage)
    is_of_passwords = isinstance(cause_of(outage), LoginRefused) and _OURS in line
    return f"{line} ({_PASSWORDS})" if is_of_passwords else line


def fault(failure: BaseException) -> str:
    """What a person is told of it, after its traceback was put into a file where one can be."""
    frames = traceback.extract_tb(failure.__traceback__)[-PLACES:]
    places = " < ".join(f"{frame.filename}:{frame.lineno}" for frame in reversed(frames))
    message = " ".join(str(failure).split())[:MESSAGE_CHARS_MAX]
    kind = type(failure).__name__
    said = f"a fault of Tenantry: {kind}{f' ({message})' if message else ''} at {places}"
    kept = _kept(failure)
    return said if kept is None else f"{said}; its traceback, to report it with, is in {kept}"


def unreached(failure: PyreqwestError) -> str:
    """A request that got no answer: whom it was for, and why; never what was sent."""
    details = failure.details if isinstance(failure, DetailedPyreqwestError) else None
    causes = [cause["message"] for cause in (details["causes"] if details else None) or ()]
    found = (_URL.search(cause) for cause in causes)
    url = next((match["origin"] for match in found if match), "the gateway's address")
    why = _line(causes[-1] if causes else str(failure.args[0] if failure.args else "no answer"))
    if why.startswith(_CERTIFICATE):
        return f"the TLS certificate at {url} is not accepted ({why}){_trust(why)}"
    if isinstance(failure, ConnectError):
        return f"nothing answers at {url} ({why}): is `tenantry serve` running there?"
    return f"{url} did not answer to the end: {why}"


def _trust(why: str) -> str:
    """What can be done about a certificate, where anything can."""
    if "UnknownIssuer" in why or "BadSignature" in why:  # of an authority of the same name
        return (
            ": set SSL_CERT_FILE to a PEM file with its authority, such as tls/ca.pem in the"
            " gateway's TENANTRY_HOME"
        )
    if "not valid for name" in why:
        return ": TENANTRY_TLS_NAMES of the gateway adds names"
    return ""


def _line(text: str) -> str:
    return "; ".join(line.strip() for line in text.splitlines() if line.strip())


def _kept(failure: BaseException) -> str | None:
    try:
        with tempfile.NamedTemporaryFile(
            "w", encoding="utf-8", prefix="tenantry-fault-", suffix=".txt", delete=False
        ) as file:
            traceback.print_exception(failure, file=file)
            return file.name
    except OSError:
        return None
