"""The audit of isolation on a running product, whole or with a wall taken down."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import asyncpg
from tests.support.stack import Stack
from tests.support.stack_command import tenantry

from tenantry.entrypoints.audit.running import Target

TIMEOUT_S = 240  # of a whole audit on a busy machine


def audit(stack: Stack, *options: str) -> tuple[int, dict[str, Any]]:
    """Exit status and report."""
    where = ("--url", stack.url, "--admin-url", stack.admin_url)
    command = ("audit", "isolation", *where, "--json", *options)
    done = tenantry(stack.home, *command, timeout_s=TIMEOUT_S)
    assert done.stdout, done.stderr
    report: dict[str, Any] = json.loads(done.stdout)
    return done.returncode, report


@contextmanager
def flawed(stack: Stack, broken: str, mended: str) -> Iterator[None]:
    """The stack's database with a wall taken down, for as long as the block runs."""

    async def run(statement: str) -> None:
        connection = await asyncpg.connect(stack.cluster().dsn("superuser"))
        await connection.execute(statement)
        await connection.close()

    asyncio.run(run(broken))
    try:
        yield
    finally:
        asyncio.run(run(mended))


def of(stack: Stack, *only: str, **more: Any) -> Target:
    """What an audit of this stack needs to know, of all attacks or `only` some."""
    return Target(stack.url, stack.admin_url, stack.operator_token, only=only, **more)
