"""Two tenants of the shared stack, and a stack that tests may kill: whole again before each."""

from collections.abc import Iterator

import pytest
from tests.support.stack import Stack, Tenant, running_stack
from tests.support.traffic import Traffic, running_traffic

RESTARTS_LEFT_TO_A_TEST = 2


@pytest.fixture
def tenants(stack: Stack) -> Iterator[tuple[Tenant, Tenant]]:
    """Two of them. At the end the books agree, and the other one paid nothing."""
    anna, bert = stack.tenants()
    yield anna, bert
    stack.wait_settled(anna, bert)
    assert stack.ledger(bert) == {}
    assert stack.violations() == []


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
