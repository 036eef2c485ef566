"""Whether a database and the sealed objects belong together.

A mark lies beside the objects: the database that they belong to, which stretch of its life wrote
the mark, and an instant that only grows. The database holds all its stretches with their instants
too. Whoever deletes what no row names asks first: another database, or this one as it was before,
names other objects, and what it does not name may be all that there is of something.

A line is such a stretch. A restored database never knows one that began after its backup, and in
the one of the backup it stays where that was: so it does not become right for the objects by having
been started over a copy of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

_PARTS: Final = ("another server", "another timeline of the server", "another database")


@dataclass(frozen=True, slots=True)
class ObjectMark:
    """What lies beside the objects. `database`: server, timeline and database, with slashes.

    `at` None: a first mark, whose line the database may not have yet. `line` None: of before there
    were lines. One of both is there.
    """

    database: str
    at: datetime | None
    line: str | None


@dataclass(frozen=True, slots=True)
class DatabaseState:
    """What the database says of itself, and of the line of a mark."""

    database: str
    used: bool  # ever, with any objects
    at: datetime | None  # how far the line came here; None: it is not known


def strangeness(mark: ObjectMark | None, state: DatabaseState) -> str | None:
    """Why the objects are not this database's as it is now; None where they are."""
    if mark is None:
        why = (
            "they have no mark (`.database`), and the database was used with objects that have one"
        )
        return why if state.used else None
    if mark.database != state.database:
        pairs = zip(mark.database.split("/"), state.database.split("/"), _PARTS, strict=False)
        found = [part for one, other, part in pairs if one != other]
        return f"they belong to {found[0] if found else _PARTS[0]}"
    if state.at is None:
        if mark.at is None and not state.used:
            return None
        return "they belong to a state of the database that this one does not know"
    if mark.at is not None and state.at < mark.at:
        return (
            f"they belong to the database as of {_shown(mark.at)},"
            f" and this one knew them as of {_shown(state.at)}"
        )
    return None


def _shown(at: datetime) -> str:
    return at.isoformat(sep=" ", timespec="milliseconds")
