"""One stand-in for AWS, of the pool's account, for all tests of shreds in a worker."""

from collections.abc import Iterator

import pytest
from tests.support.aws_server import AwsServer, aws_server
from tests.support.keys_in_aws import POOL


@pytest.fixture(scope="session")
def aws() -> Iterator[AwsServer]:
    with aws_server(POOL) as server:
        yield server
