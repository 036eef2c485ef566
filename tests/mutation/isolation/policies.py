"""Errors in row policies, made of the catalogue: whichever policies there are, each gets its own.

| policy | mutant | what then notices |
|---|---|---|
| of the data plane's role, for its own tenant | shows every row | its own rows alone |
| the same, where it writes | takes every row | the same |
| of a role that sees across tenants | lets the data plane's role do so too | the same |
| of the control plane, narrower than the table | shows every row | what its work needs |
| row security of a table | off, or not forced | the same; every table is walled |
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from tests.integration.ledger import test_policies as policies
from tests.integration.ledger import test_walls as walls
from tests.support.postgres import Database

Killer = Callable[[Database], None]
APP = "tenantry_app"
_POLICIES = (
    "SELECT tablename::text, policyname::text, roles::text[], cmd, qual, with_check"
    " FROM pg_policies WHERE schemaname = 'tenantry' ORDER BY 1, 2"
)
_WALLED = (
    "SELECT relname::text FROM pg_class WHERE relnamespace = 'tenantry'::regnamespace"
    " AND relrowsecurity AND relkind IN ('r', 'p') ORDER BY 1"
)


@dataclass(frozen=True, slots=True)
class PolicyMutant:
    table: str
    policy: str  # `row security` for the table's own switch
    guard: str
    statement: str
    killer: Killer
    killed_by: str


async def policy_mutants(connection: Any) -> list[PolicyMutant]:
    found = [m for row in await connection.fetch(_POLICIES) for m in _of(row)]
    for row in await connection.fetch(_WALLED):
        found += _of_table(row[0])
    return found


def _of(row: Any) -> list[PolicyMutant]:
    table, policy, roles = row["tablename"], row["policyname"], row["roles"]
    change = f"ALTER POLICY {policy} ON tenantry.{table}"

    def mutant(guard: str, words: str, killer: Killer, killed_by: str) -> PolicyMutant:
        return PolicyMutant(table, policy, guard, f"{change} {words}", killer, killed_by)

    own = partial(policies.own_rows_alone, table=table)
    if APP in roles:
        found = [mutant("whose rows are shown", "USING (true)", own, "own_rows_alone")]
        if row["with_check"] is not None:
            found.append(mutant("whose rows are taken", "WITH CHECK (true)", own, "own_rows_alone"))
        return found
    wider = f"TO {', '.join((*roles, APP))}"
    found = [mutant("which roles see across tenants", wider, own, "own_rows_alone")]
    if row["qual"] != "true":
        found.append(mutant("which rows are shown", "USING (true)", policies.narrow, "narrow"))
    return found


def _of_table(table: str) -> list[PolicyMutant]:
    walled = walls.test_every_tenant_table_is_walled
    return [
        PolicyMutant(
            table,
            "row security",
            "that it is forced on the owner",
            f"ALTER TABLE tenantry.{table} NO FORCE ROW LEVEL SECURITY",
            walled,
            "test_every_tenant_table_is_walled",
        ),
        PolicyMutant(
            table,
            "row security",
            "that there is any",
            f"ALTER TABLE tenantry.{table} DISABLE ROW LEVEL SECURITY",
            walled,
            "test_every_tenant_table_is_walled",
        ),
    ]
