"""A schema is not taken from under processes of an older version, unless somebody wants it so."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

import pytest
from tests.support.own_deployment import Deployment, as_superuser
from tests.support.own_server import as_superuser as superuser_of
from tests.support.own_server import execute

from tenantry.adapters.postgres.connections import derived_dsns
from tenantry.adapters.postgres.key_holders import this_host
from tenantry.adapters.postgres.migrate import MIGRATIONS_DIR, migrate

APPLIED = "SELECT count(*) FROM tenantry.schema_migrations"


@pytest.fixture
def older(at: Deployment, tmp_path: Path) -> Deployment:
    """Whose schema lacks the last migration; nothing else of it is there."""
    before = tmp_path / "before"
    shutil.copytree(MIGRATIONS_DIR, before)
    max(before.glob("*.sql")).unlink()
    as_superuser(at, "DROP SCHEMA tenantry CASCADE")
    secret = (at.home / "control" / "database-secret").read_bytes()
    asyncio.run(migrate(derived_dsns(at.url, secret)("migrator"), folder=before))
    return at


def _registers(at: Deployment, host: str, name: str, kind: str, seen: str = "0 s") -> None:
    as_superuser(
        at,
        "INSERT INTO tenantry.key_holder (host, host_name, pid, born, kind, seen_at) VALUES"
        f" ('{host}', '{name}', {2**22 + 1}, 7, '{kind}', clock_timestamp() - interval '{seen}')",
    )


def test_who_serves_is_named_and_nothing_is_changed_unless_it_is_wanted(older: Deployment) -> None:
    url = superuser_of(older.url)
    before = execute(url, APPLIED)
    for kind in ("gateway", "gateway", "background", "command"):
        _registers(older, "gw-2 boot", "gw-2", kind)
    _registers(older, "gw-3 boot", "gw-3", "gateway", "2 minutes")
    _registers(older, this_host().key, "here", "gateway")  # of a process that is gone
    refused = older.run("migrate")
    assert refused.returncode == 1
    assert "gw-2 (2 gateway, 1 background)." in refused.stderr
    assert "gw-3" not in refused.stderr
    assert "here" not in refused.stderr
    assert execute(url, APPLIED) == before

    assert f"applied {before + 1:04d}\n" in older.done("migrate", "--while-serving")
    told = older.problems()
    assert any(line.endswith("restart `serve` there") and "gw-2" in line for line in told), told
    older.done("migrate")  # nothing is missing, so nobody is in its way

    as_superuser(older, "UPDATE tenantry.key_holder SET began_at = clock_timestamp()")
    assert not any("gw-2" in line for line in older.problems())


def test_a_schema_whose_processes_have_ended_is_migrated(older: Deployment) -> None:
    _registers(older, "gw-2 boot", "gw-2", "gateway")
    as_superuser(
        older, "UPDATE tenantry.key_holder SET ended_at = clock_timestamp(), ending = 'ended'"
    )
    assert "applied " in older.done("migrate")
