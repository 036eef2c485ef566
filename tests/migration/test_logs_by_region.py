"""How far logs were read, of a database that kept it by account alone: no log that was known is
forgotten, and nothing is written off by a reading of another region."""

from __future__ import annotations

import asyncio
import json
import shutil
from pathlib import Path

import asyncpg
from tests.support.postgres import Database

from tenantry.adapters.postgres.migrate import MIGRATIONS_DIR, migrate

_OF_A, _OF_B = "1" * 12, "2" * 12
_READ = """
INSERT INTO tenantry.log_reading (account, logs, read_at, told_from, told_to, away_since, problem)
VALUES ($1, $2, now(), now() - interval '2 days', now() - interval '1 day', $3::timestamptz, $4)
"""
_ROWS = """
SELECT account, region, logs, read_at IS NULL AND told_to IS NULL, away_since IS NULL, problem
FROM tenantry.log_reading ORDER BY account, region
"""


def _place(account: str, region: str, *regions: str) -> str:
    return json.dumps(
        {"kind": "pool", "account": account, "region": region, "regions": [region, *regions]}
    )


def test_each_region_keeps_the_logs_that_were_its_own(database: Database, tmp_path: Path) -> None:
    [first] = MIGRATIONS_DIR.glob("*_logs_by_region.sql")
    before = tmp_path / "before"
    before.mkdir()
    for path in MIGRATIONS_DIR.glob("*.sql"):
        if path.name < first.name:
            shutil.copy(path, before)

    async def upgrade() -> list[tuple[object, ...]]:
        superuser = await asyncpg.connect(database.dsn("superuser"))
        await superuser.execute("DROP SCHEMA tenantry CASCADE")
        await migrate(database.dsn("migrator"), folder=before)
        for name, definition in (
            ("a", _place(_OF_A, "us-east-1", "us-west-2")),
            ("a-eu", _place(_OF_A, "eu-west-1")),
            ("b", _place(_OF_B, "us-east-1")),
        ):
            await superuser.execute(
                "INSERT INTO tenantry.placement (placement_id, kind, definition)"
                " VALUES ($1, 'pool', $2)",
                name, definition,
            )  # fmt: skip
        logs = [f"{_OF_A} us-east-1 s3://us-logs", "embedded", "settings"]
        await superuser.execute(_READ, _OF_A, logs, None, "")
        away = await superuser.fetchval("SELECT now()")
        await superuser.execute(_READ, _OF_B, [f"{_OF_B} us-east-1 s3://b"], away, "gone")
        await migrate(database.dsn("migrator"))
        rows = await superuser.fetch(_ROWS)
        await superuser.close()
        return [tuple(row) for row in rows]

    assert asyncio.run(upgrade()) == [
        (_OF_A, "eu-west-1", ["embedded", "settings"], True, True, ""),
        (
            _OF_A,
            "us-east-1",
            [f"{_OF_A} us-east-1 s3://us-logs", "embedded", "settings"],
            True,
            True,
            "",
        ),
        (_OF_A, "us-west-2", ["embedded", "settings"], True, True, ""),
        (_OF_B, "us-east-1", [f"{_OF_B} us-east-1 s3://b"], True, False, "gone"),
    ]
