"""Whether a database and the sealed objects belong together.

A mark lies beside the objects: the database that they belong to, and an instant that only grows.
The database holds the instant too. Whoever deletes what no row names asks first: another database,
or this one as it was before, names other objects, and what it does not name may be all that there
is of something.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

_PARTS: Final = ("another server", "another timeline of the server", "another database")


@dataclass(frozen=True, slots=True)
class ObjectMark:
    """What lies beside the objects. `database`: server, timeline and database, with slashes."""

    database: str
    at: datetime


@dataclass(frozen=True, slots=True)
class DatabaseState:
    """What the database says of itself. `at` None: it was never used with any objects."""

    database: str
    at: datetime | None


def strangeness(mark: ObjectMark, state: DatabaseState) -> str | None:
    """Why the objects are not this database's as it is now; None where they are."""
    if mark.database != state.database:
        pairs = zip(mark.database.split("/"), state.database.split("/"), _PARTS, strict=False)
        found = [part for one, other, part in pairs if one != other]
        return f"they belong to {found[0] if found else _PARTS[0]}"
    if state.at is None:
        return "they belong to a later state of the database, which knows of none"
    if state.at < mark.at:
        return (
            f"they belong to the database as of {_shown(mark.at)},"
            f" and this one is as of {_shown(state.at)}"
        )
    return None


def _shown(at: datetime) -> str:
    return at.isoformat(sep=" ", timespec="milliseconds")
