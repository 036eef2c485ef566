"""A stack that tests may kill, apart from the shared one: whole again before each test."""

from collections.abc import Iterator

import pytest
from tests.support.stack import Stack, running_stack
from tests.support.traffic import Traffic, running_traffic

RESTARTS_LEFT_TO_A_TEST = 2


@pytest.fixture(scope="session")
def mortal() -> Iterator[Stack]:
    with running_stack() as started:
        yield started


@pytest.fixture
def doomed(mortal: Stack) -> Iterator[Stack]:
    """The stack to kill, up and without faults at the test's begin."""
    mortal.emulator.clear_rules()
    mortal.revive()
    if mortal.database_status().restarts > RESTARTS_LEFT_TO_A_TEST:
        mortal.restart()  # its guardian gives up, and with it `serve`, after five in a row
    yield mortal
    mortal.emulator.clear_rules()


@pytest.fixture(scope="session")
def traffic() -> Iterator[Traffic]:
    """For the tests of one worker (`xdist_group("traffic")`), which leave it as it is."""
    with running_traffic() as started:
        yield started
