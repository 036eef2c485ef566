"""A server of the operator's own that has fewer connections than `serve` may need is told of before
it refuses calls, and with both figures."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator

import asyncpg
import pytest
from tests.support.own_deployment import Deployment
from tests.support.own_server import as_superuser, execute

from tenantry.adapters.postgres.outages import outages_are_unavailable
from tenantry.bootstrap.failures import told
from tenantry.domain.errors import Unavailable


@pytest.fixture
def limited(at: Deployment) -> Iterator[Deployment]:
    """A role and a database with limits, as a host of PostgreSQL sets them."""
    superuser = as_superuser(at.url)
    execute(superuser, "ALTER ROLE tenantry_app CONNECTION LIMIT 9")
    execute(superuser, "ALTER DATABASE product CONNECTION LIMIT 80")
    yield at
    execute(superuser, "ALTER ROLE tenantry_app CONNECTION LIMIT -1")
    execute(superuser, "ALTER DATABASE product CONNECTION LIMIT -1")


def test_doctor_tells_which_limit_is_too_low(limited: Deployment) -> None:
    server, database, role = limited.problems(TENANTRY_WORKERS="3")
    assert re.match(
        r"the server of the database has \d+ connections for us, and `serve` with"
        r" TENANTRY_WORKERS=3 may need 141, ",
        server,
    )
    assert database.startswith("the database has 80 connections for us, and ")
    assert role.startswith("the role tenantry_app has 9 connections for us, and ")
    assert "may need 104, " in role


def test_enough_is_not_told(at: Deployment) -> None:
    assert at.problems(TENANTRY_WORKERS="1") == []


def test_a_server_without_a_connection_left_says_so(limited: Deployment) -> None:
    """It is not out of reach: whoever looks for it there looks in vain."""
    superuser = as_superuser(limited.url)
    execute(superuser, "ALTER DATABASE product CONNECTION LIMIT 0")

    async def refused() -> None:
        with outages_are_unavailable():
            await asyncpg.connect(limited.url)

    with pytest.raises(Unavailable) as outage:
        asyncio.run(refused())
    line = told(outage.value)
    assert line == (
        'The database has no connection left for us: too many connections for database "product"'
    )
