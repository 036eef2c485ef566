"""Fixtures of tests about the ledger."""

from collections.abc import Iterator

import pytest
from tests.support.s3_server import S3Server, s3_server


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[S3Server]:
    """An empty bucket that AWS clients of this process reach by their environment."""
    with s3_server() as server:
        for name, value in server.environment().items():
            monkeypatch.setenv(name, value)
        yield server
