"""Writes `docs/reference/isolation-mutants.md`: every guard of two tenants, and what misses it.

Row policies are those of a migrated database's catalogue, fields of associated data those of the
code. `python -m tools.write_isolation_mutants`; a test holds the page to what this makes of it.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import asyncpg
from tests.mutation.isolation.bindings import bindings
from tests.mutation.isolation.code import MUTANTS as CODE
from tests.mutation.isolation.functions import MUTANTS as FUNCTIONS
from tests.mutation.isolation.policies import PolicyMutant, policy_mutants
from tests.support.postgres import Database, running_databases

ROOT = Path(__file__).parents[1]
TARGET = ROOT / "docs/reference/isolation-mutants.md"
_HEAD = """# Isolation mutants

Written by `python -m tools.write_isolation_mutants`; a test holds this page to the catalogue and the code.

Each line is a guard between two tenants. `make mutation-isolation` takes it away by itself, in a copy of the database or of the
source, and demands that what stands in the last column notices: a test, or an attack of
[the audit](../how-to/audit-isolation.md) on a stack that runs the changed code. A few of them run in every `make test`, and so
does the test that no policy, definer function or bound field is missing here.
"""
_POLICIES = """
## Row policies

Tried with every grant that the house withholds, on rows of two tenants in every table. Of a table's own switch,
`row security`, both that there is any and that it is forced are taken away; of each month's partition (`_YYYY_MM`) too.
"""
_FUNCTIONS = """
## Functions that cross tenants

What keeps each to the tenant that is asked for ([the functions](definer-functions.md)).
"""
_BINDINGS = """
## Bound fields

What a ciphertext or a derived key is bound to: without the field it would open elsewhere.
"""
_A_MONTH = "test_a_month_is_archived_and_its_usage_is_still_told"
_CODE = """
## Code
"""


def page(policies: Sequence[PolicyMutant]) -> str:
    return "".join(
        (
            _HEAD,
            _POLICIES,
            *_table(("table", "policy", "taken away", "noticed by"), _policy_rows(policies)),
            _FUNCTIONS,
            *_table(("definer", "taken away", "in", "noticed by"), _function_rows()),
            _BINDINGS,
            *_table(("in", "field", "noticed by"), _binding_rows()),
            _CODE,
            *_table(("kind", "taken away", "in", "noticed by"), _code_rows()),
        )
    )


def _table(names: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    yield "\n" + _row(names) + _row(["---"] * len(names))
    yield from (_row(cells) for cells in rows)


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |\n"


def _policy_rows(policies: Sequence[PolicyMutant]) -> Iterator[Sequence[str]]:
    known: dict[tuple[str, str], list[PolicyMutant]] = {}
    for mutant in sorted(policies, key=lambda m: (m.table, m.policy == "row security", m.policy)):
        known.setdefault((_without_month(mutant.table), mutant.policy), []).append(mutant)
    for (table, policy), mutants in known.items():
        killers = dict.fromkeys(f"`{mutant.killed_by}`" for mutant in mutants)
        guards = dict.fromkeys(mutant.guard for mutant in mutants)
        name = policy if policy == "row security" else f"`{policy}`"
        yield f"`{table}`", name, "; ".join(guards), ", ".join(killers)


def _without_month(table: str) -> str:
    """Partitions come and go with the months: the page says the same of all."""
    return re.sub(r"_\d{4}_\d{2}$", "_YYYY_MM", table)


def _function_rows() -> Iterator[Sequence[str]]:
    for mutant in sorted(FUNCTIONS, key=lambda mutant: mutant.definer):
        killer = getattr(mutant.killer, "func", mutant.killer).__name__
        killer = _A_MONTH if killer.startswith("_") else killer
        yield f"`{mutant.definer}`", mutant.guard, f"`{mutant.mutated}`", f"`{killer}`"


def _binding_rows() -> Iterator[Sequence[str]]:
    for binding in bindings():
        yield f"`{binding.file}`", f"`{binding.field}`", _killers(binding.killers)


def _code_rows() -> Iterator[Sequence[str]]:
    for mutant in CODE:
        yield mutant.kind, mutant.guard, f"`{mutant.file}`", _killers(mutant.killers)


def _killers(names: Sequence[str]) -> str:
    return ", ".join(f"`{name.replace('attack:', 'attacks ')}`" for name in names)


async def policies_of(database: Database) -> list[PolicyMutant]:
    connection = await asyncpg.connect(database.dsn("superuser"))
    try:
        return await policy_mutants(connection)
    finally:
        await connection.close()


def main() -> None:
    with running_databases() as databases:
        TARGET.write_text(page(asyncio.run(policies_of(databases.create()))), encoding="utf-8")


if __name__ == "__main__":
    main()
