"""One stand-in for AWS for all tests of keys in a worker."""

from collections.abc import Iterator

import pytest
from tests.support.aws_server import AwsServer, aws_server


@pytest.fixture(scope="session")
def aws() -> Iterator[AwsServer]:
    with aws_server() as server:
        yield server
