"""A vector engine in which passages of a tenant are, or were: vectors lie there in clear.

open ─▶ emptied | declared gone ─▶ open, where documents are put there again
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from tenantry.domain.errors import Conflict

DECLARED_GONE = "declared gone"  # an operator's word for an engine that nobody can reach


@dataclass(frozen=True, slots=True)
class VectorRoom:
    """`ending` None: rows of the tenant may be there."""

    engine: str
    ending: str | None = None  # "emptied", or "declared gone"

    @property
    def is_open(self) -> bool:
        return self.ending is None


def check_reach(rooms: Iterable[VectorRoom], engines: Collection[str]) -> None:
    """Conflict where rows may be in an engine that is not among these."""
    for room in rooms:
        if room.is_open and room.engine not in engines:
            raise Conflict(
                f"Vectors of the tenant rest in the vector engine {room.engine}, which is not"
                " configured here: set its settings, so that they can be deleted there."
            )
