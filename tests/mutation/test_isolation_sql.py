"""Every guard of two tenants in SQL, taken away one at a time: something notices each."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import asyncpg
import pytest
from tests.mutation.isolation.functions import DEFINITION, MUTANTS, FunctionMutant
from tests.mutation.isolation.policies import PolicyMutant, policy_mutants
from tests.support.postgres import Database, Databases

# Of each kind of guard one, for every run.
QUICK_POLICIES = (("document", "own_tenant"), ("cost_entry", "reading"), ("answer", "expired"))
QUICK_FUNCTIONS = ("authenticate", "revoke_own_key")


def on(database: Database, work: Callable[[Any], Any]) -> Any:
    """What `work` makes of a connection of the superuser."""

    async def run() -> Any:
        connection = await asyncpg.connect(database.dsn("superuser"))
        try:
            return await work(connection)
        finally:
            await connection.close()

    return asyncio.run(run())


def lives(databases: Databases, statement: str, killer: Callable[[Database], None]) -> bool:
    """Whether nothing notices the statement: on a database of its own."""
    database = databases.create()
    try:
        on(database, lambda connection: connection.execute(statement))
        killer(database)
    except (Exception, pytest.fail.Exception):
        return False
    else:
        return True
    finally:
        databases.drop(database)


def killed(databases: Databases, mutant: FunctionMutant) -> bool:
    database = databases.create()
    (definition,) = on(database, lambda connection: connection.fetch(DEFINITION, mutant.mutated))
    databases.drop(database)
    return not lives(databases, mutant.statement(definition[0]), mutant.killer)


def policies_of(databases: Databases) -> list[PolicyMutant]:
    database = databases.create()
    found: list[PolicyMutant] = on(database, policy_mutants)
    databases.drop(database)
    return found


def test_a_guard_of_each_kind_is_missed(databases: Databases) -> None:
    chosen = [
        mutant
        for mutant in policies_of(databases)
        if (mutant.table, mutant.policy) in QUICK_POLICIES
    ]
    assert len(chosen) >= len(QUICK_POLICIES)
    for mutant in chosen:
        assert not lives(databases, mutant.statement, mutant.killer), mutant
    for name in QUICK_FUNCTIONS:
        mutant = next(each for each in MUTANTS if each.definer == name)
        assert killed(databases, mutant), mutant.guard


@pytest.mark.slow
@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda m: f"{m.definer}: {m.guard}")
def test_a_function_without_its_guard_is_noticed(
    databases: Databases, mutant: FunctionMutant
) -> None:
    assert killed(databases, mutant), f"{mutant.mutated} without {mutant.guard} lives"


@pytest.mark.slow
def test_a_policy_that_lets_others_through_is_noticed(databases: Databases) -> None:
    alive = [
        f"{mutant.table}.{mutant.policy}: {mutant.guard}"
        for mutant in policies_of(databases)
        if lives(databases, mutant.statement, mutant.killer)
    ]
    assert alive == []


def test_the_killers_pass_where_nothing_is_broken(databases: Databases) -> None:
    """Or they would kill whatever they are given."""
    for killer in {each.killer for each in policies_of(databases) if each.killed_by == "narrow"}:
        assert lives(databases, "SELECT 1", killer)
    for name in QUICK_FUNCTIONS:
        mutant = next(each for each in MUTANTS if each.definer == name)
        assert lives(databases, "SELECT 1", mutant.killer)
