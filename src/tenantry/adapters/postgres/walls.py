"""The walls between tenants, as the catalogue has them and as the migrations make them.

Owns: the questions to the catalogue (`sql/walls.sql`) and `walls.txt`, every fact that a freshly
migrated database answers to `facts`, with what `pgvector.sql` makes where that engine is used.
`python -m tools.write_walls` writes it after each change of either; a test holds it to them. Does
not own: what a difference means (the audit of isolation). Invariant: a fact names no tenant, no
month and no machine, so that every deployment has the same, or fewer.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final, Literal

from tenantry.adapters.postgres.statements import statements

TARGET: Final = Path(__file__).with_name("walls.txt")
Kind = Literal["policy", "grant", "function", "trigger", "setting"]
Fact = tuple[str, str]  # its kind, and a line of words


@dataclass(frozen=True, slots=True)
class Walls:
    """What a schema with this many migrations has."""

    migrations: int
    facts: frozenset[Fact]

    def beyond(self, other: Walls, kind: Kind) -> list[str]:
        """What is here and not there, in order."""
        return sorted(fact for of, fact in self.facts - other.facts if of == kind)


def question(name: str) -> str:
    """A statement of `sql/walls.sql`."""
    return statements("sql/walls.sql")[name]


@cache
def shipped() -> Walls:
    """Those of this release's migrations, and of its pgvector."""
    head, *lines = TARGET.read_text("utf-8").splitlines()
    pairs = (line.split("\t", 1) for line in lines)
    return Walls(int(head.split("\t")[1]), frozenset((kind, fact) for kind, fact in pairs))


def to_text(migrations: int, facts: Iterable[Fact]) -> str:
    lines = "".join(f"{kind}\t{fact}\n" for kind, fact in sorted(set(facts)))
    return f"migrations\t{migrations}\n{lines}"
