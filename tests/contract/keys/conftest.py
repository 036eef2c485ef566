"""One stand-in for AWS for all tests of keys in a worker."""

from collections.abc import Iterator

import pytest
from tests.support.aws_server import AwsServer, aws_server


@pytest.fixture(scope="session")
def aws() -> Iterator[AwsServer]:
    with aws_server() as server:
        yield server


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """All tests that use it run in one worker, so that it is started once."""
    for item in items:
        if "aws" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.xdist_group("aws"))
