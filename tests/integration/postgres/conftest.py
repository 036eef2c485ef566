"""Fixtures of tests about the database's server."""

from collections.abc import Iterator

import pytest
from tests.support.own_server import running_own_server


@pytest.fixture
def own_server() -> Iterator[str]:
    """A bare server with one database, and the URL of its owner, who is no superuser."""
    with running_own_server() as url:
        yield url
