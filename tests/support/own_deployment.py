"""A deployment on a server of its own, whose commands are processes."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path

import asyncpg
from tests.support.own_server import LIMIT_S


class Deployment:
    """Two tenants on a server of their own, and no worker."""

    def __init__(self, home: Path, url: str) -> None:
        self.home, self.url = home, url
        self.done("migrate")
        self.ids = {}
        for name in ("acme", "globex"):
            made = self.done("tenants", "create", name, "--plan", "pro", "--json")
            self.ids[name] = json.loads(made)["id"]
        issuer = home / "issuer.toml"
        issuer.write_text('name = "Lumen"\naddress = ["500 Howard St"]\n')
        self.issuer = {"TENANTRY_INVOICE_ISSUER": str(issuer)}

    def run(self, *words: str, **settings: str) -> subprocess.CompletedProcess[str]:
        kept = {k: v for k, v in os.environ.items() if not k.startswith("TENANTRY_")}
        given = {"TENANTRY_HOME": str(self.home), "TENANTRY_DATABASE_URL": self.url}
        return subprocess.run(
            [sys.executable, "-m", "tenantry.entrypoints.cli.main", *words],
            env={**kept, **given, **settings},
            capture_output=True,
            text=True,
            timeout=LIMIT_S,
            check=False,
        )

    def done(self, *words: str, **settings: str) -> str:
        ran = self.run(*words, **settings)
        assert ran.returncode == 0, ran.stderr
        return ran.stdout

    def problems(self, **settings: str) -> list[str]:
        ran = self.run("doctor", "--json", **settings)
        assert ran.returncode == 1  # the pool has no account
        told: list[str] = json.loads(ran.stdout)["problems"]
        return [line for line in told if not line.startswith("placement pool has no account")]


def as_superuser(at: Deployment, *scripts: str) -> None:
    async def run() -> None:
        connection = await asyncpg.connect(at.url.replace("master:", "postgres:"))
        try:
            for script in scripts:
                await connection.execute(script)
        finally:
            await connection.close()

    asyncio.run(run())
