"""The page of isolation mutants is whole: no policy, definer function or bound field is missing."""

from __future__ import annotations

import asyncio
import re
from typing import Any

import asyncpg
from tests.mutation.isolation.functions import MUTANTS
from tests.support.postgres import Database
from tools import write_isolation_mutants as writer

TEXT = writer.TARGET.read_text("utf-8")


async def _rows(database: Database, query: str) -> list[Any]:
    connection = await asyncpg.connect(database.dsn("superuser"))
    try:
        found: list[Any] = await connection.fetch(query)
        return found
    finally:
        await connection.close()


def test_the_page_is_what_its_writer_makes_of_it(module_database: Database) -> None:
    policies = asyncio.run(writer.policies_of(module_database))
    assert writer.page(policies) == TEXT, "run python -m tools.write_isolation_mutants"


def test_every_row_policy_has_a_mutant(module_database: Database) -> None:
    """Asked of the catalogue otherwise than the mutants are made."""
    query = (
        "SELECT c.relname, p.polname FROM pg_policy p JOIN pg_class c ON c.oid = p.polrelid"
        " WHERE c.relnamespace = 'tenantry'::regnamespace"
    )
    rows = asyncio.run(_rows(module_database, query))
    assert len(rows) > 60
    listed = set(re.findall(r"^\| `(\w+)` \| `(\w+)` \|", TEXT, re.M))
    assert {(row[0], row[1]) for row in rows} <= listed


def test_every_definer_function_has_a_mutant(module_database: Database) -> None:
    query = (
        "SELECT proname FROM pg_proc WHERE prosecdef AND pronamespace = 'tenantry'::regnamespace"
    )
    rows = asyncio.run(_rows(module_database, query))
    assert {row[0] for row in rows} == {mutant.definer for mutant in MUTANTS}
