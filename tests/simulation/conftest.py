"""One emulator and one server of workers for all seeds of a test process."""

from collections.abc import Iterator

import pytest
from tests.support.simulated.theatre import Theatre, open_theatre


@pytest.fixture(scope="session")
def theatre() -> Iterator[Theatre]:
    with open_theatre() as opened:
        yield opened
