"""Fixtures of the whole project."""

from collections.abc import Iterator

import pytest
from tests.support.postgres import Database, Databases, running_databases


@pytest.fixture(scope="session")
def databases() -> Iterator[Databases]:
    """The worker's own PostgreSQL, started when the first test asks for it."""
    with running_databases() as running:
        yield running


@pytest.fixture
def database(databases: Databases) -> Iterator[Database]:
    """A fresh, migrated database for one test."""
    fresh = databases.create()
    yield fresh
    databases.drop(fresh)


@pytest.fixture(scope="module")
def module_database(databases: Databases) -> Iterator[Database]:
    """A migrated database for one module, whose tests must not mind each other's rows."""
    fresh = databases.create()
    yield fresh
    databases.drop(fresh)
