"""What a line of the log says of a request that failed: whose it was, and why.

Owns: that nothing of it is a tenant's words.
"""

from __future__ import annotations

import traceback
from collections.abc import Mapping
from typing import Final
from uuid import UUID

from tenantry.adapters.postgres.errors import DatabaseError
from tenantry.adapters.postgres.outages import CUT, LATE, is_cut
from tenantry.domain.errors import Unavailable
from tenantry.domain.tenant import Principal

_CAUSES_MAX: Final = 8
# Classes of SQLSTATE: connection, resources, operator intervention, system. The others' messages
# may hold what was sent.
_OF_THE_SERVER: Final = ("08", "53", "57", "58")


def about_of(
    request_id: UUID, principal: Principal | None, reason: str = ""
) -> Mapping[str, object]:
    """Whose request a line of the log is of, and what the system said of it, beside its words: it
    folds with those of others, and one outage has many reasons."""
    whose = "" if principal is None else f" tenant {principal.tenant_id}"
    asked = f"request {request_id}{whose}"
    return {"about": f"{reason}; {asked}" if reason else asked}


def where_of(error: BaseException) -> str:
    """Of a fault: what the system said, the kind of an exception and of what caused it, and where
    it was raised; no other message, which could be of a tenant."""
    frames = traceback.extract_tb(error.__traceback__)[-3:]
    places = " < ".join(f"{frame.filename}:{frame.lineno}" for frame in reversed(frames))
    kinds = type(error).__name__
    if error.__cause__ is not None:
        kinds += f" by {type(error.__cause__).__name__}"
    said = _of_the_system(_under(error))
    return f"{said}; {kinds} at {places}" if said else f"{kinds} at {places}"


def reason_of(error: Unavailable) -> str:
    """What the system said; where it said nothing, the kind of what is under a refusal."""
    found = _under(error)
    if found is error:
        return ""
    if is_cut(found):
        return CUT
    if isinstance(found, Unavailable):  # its words are ours
        return found.message.rstrip(".")
    return _of_the_system(found) or type(found).__name__


def _under(error: BaseException) -> BaseException:
    """What all was made of; of a time-out itself, which is made of a cancellation of ours."""
    for _ in range(_CAUSES_MAX):
        if error.__cause__ is None or isinstance(error, TimeoutError):
            break
        error = error.__cause__
    return error


def _of_the_system(error: BaseException) -> str:
    """What the system or the database's server said of itself."""
    if isinstance(error, TimeoutError) and not error.strerror:
        return LATE
    if isinstance(error, OSError):
        return error.strerror or ""
    if isinstance(error, DatabaseError):  # refused by us, or at the login
        return str(error)
    if str(getattr(error, "sqlstate", None))[:2] in _OF_THE_SERVER:
        return str(error).partition("\n")[0]
    return ""
