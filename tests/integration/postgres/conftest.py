"""Fixtures of tests about the database's server."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.own_deployment import Deployment
from tests.support.own_server import running_own_server


@pytest.fixture
def own_server() -> Iterator[str]:
    """A bare server with one database, and the URL of its owner, who is no superuser."""
    with running_own_server() as url:
        yield url


@pytest.fixture
def at(own_server: str, tmp_path: Path) -> Deployment:
    """Two tenants on that server, and no worker."""
    return Deployment(tmp_path, own_server)
