"""A home that an older version made is brought up to date by who is asked to, and by no other
command."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest
from tests.support.postgres import scratch_folder
from tests.support.stack_command import tenantry

from tenantry.adapters.postgres.embedded import EmbeddedCluster
from tenantry.adapters.postgres.embedded.place import known_place
from tenantry.adapters.postgres.migrate import MIGRATIONS_DIR, migrate

NAMES = ("anna", "bert")
TOLD = "The schema lacks migrations; run `tenantry migrate`."
TOUCHED = "ALTER ROLE tenantry_app RESET search_path"
IS_TOUCHED = """
SELECT rolconfig IS NULL FROM pg_catalog.pg_roles WHERE rolname = 'tenantry_app'
"""
_WORLD = f"""
INSERT INTO tenantry.placement (placement_id, kind, definition)
  VALUES ('pool', 'pool', '{{"kind": "pool", "account": "111111111111", "region": "us-east-1",
    "regions": ["us-east-1"]}}');
INSERT INTO tenantry.tenant (tenant_id, name, plan, placement_id)
  SELECT 'tnt_' || repeat('0', 25) || n, name, 'free', 'pool'
  FROM unnest(ARRAY{list(NAMES)}) WITH ORDINALITY AS x (name, n)
"""


@pytest.fixture
def home() -> Iterator[Path]:
    """A deployment of two tenants, whose version lacked our last migration."""
    with scratch_folder() as folder:
        home, before = folder / "home", folder / "before"
        shutil.copytree(MIGRATIONS_DIR, before)
        max(before.glob("*.sql")).unlink()
        try:
            assert tenantry(home, "migrate").returncode == 0
            in_database(home, "DROP SCHEMA tenantry CASCADE", before)
            yield home
        finally:
            where = known_place(home)
            if where is not None:
                shutil.rmtree(where.folder, ignore_errors=True)


def in_database(home: Path, *steps: str | Path) -> object:
    """Statements of a superuser, of which the value of the last one is told, and migrations."""

    async def run() -> object:
        connection = await asyncpg.connect(cluster.dsn("superuser"))
        try:
            told = None
            for step in steps:
                if isinstance(step, Path):
                    await migrate(cluster.dsn("migrator"), folder=step)
                    await connection.execute(_WORLD)
                else:
                    told = await connection.fetchval(step)
            return told
        finally:
            await connection.close()

    cluster = EmbeddedCluster(home)
    cluster.start()
    try:
        return asyncio.run(run())
    finally:
        cluster.stop()


def newest(home: Path) -> object:
    return in_database(home, "SELECT max(number) FROM tenantry.schema_migrations")


@pytest.mark.parametrize(
    "words", [("tenants", "list"), ("ledger", "archive", "--after-months", "1")]
)
def test_a_command_does_not_upgrade_the_database(home: Path, words: tuple[str, ...]) -> None:
    before = newest(home)
    refused = tenantry(home, *words)
    assert (refused.returncode, refused.stdout) == (1, "")
    assert refused.stderr == f"tenantry: {TOLD}\n"
    assert newest(home) == before
    assert tenantry(home, "tenants", "list").returncode == 1
    told = tenantry(home, "doctor", "--json")
    assert (told.returncode, json.loads(told.stdout)["problems"]) == (
        1,
        [f"the last start of the database failed: {TOLD}"],
    )
    assert tenantry(home, "migrate").returncode == 0
    listed = tenantry(home, "tenants", "list", "--json")
    assert listed.returncode == 0
    assert {name for name in NAMES if f'"{name}"' in listed.stdout} == set(NAMES)
    assert json.loads(tenantry(home, "doctor", "--json").stdout)["problems"] == []


def test_a_command_changes_no_role_of_a_home_that_it_refuses(home: Path) -> None:
    bootstrapped = home / "postgres.bootstrapped"
    ours = bootstrapped.read_text()
    in_database(home, TOUCHED)
    bootstrapped.write_text("of other roles")
    refused = tenantry(home, "tenants", "list")
    assert (refused.returncode, refused.stderr) == (1, f"tenantry: {TOLD}\n")
    assert bootstrapped.read_text() == "of other roles"
    bootstrapped.write_text(ours)  # so that this start changes no role either
    assert in_database(home, IS_TOUCHED) is True
    bootstrapped.write_text("of other roles")
    assert tenantry(home, "migrate").returncode == 0
    assert in_database(home, IS_TOUCHED) is False
    listed = tenantry(home, "tenants", "list", "--json")
    assert {name for name in NAMES if f'"{name}"' in listed.stdout} == set(NAMES)
