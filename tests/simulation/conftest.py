"""One emulator and one server of workers for all seeds of a test process."""

from collections.abc import Iterator

import pytest
from tests.support.postgres import Database, Databases
from tests.support.simulated.theatre import Theatre, open_theatre


@pytest.fixture(scope="session")
def theatre() -> Iterator[Theatre]:
    with open_theatre() as opened:
        yield opened


@pytest.fixture
def database(databases: Databases) -> Iterator[Database]:
    """As everywhere, of a server that no earlier seed's kills weigh upon."""
    databases.forgive_restarts()
    fresh = databases.create()
    yield fresh
    databases.forgive_restarts()
    databases.drop(fresh)
