"""The product at synthetic prices, shared by tests of metering and of bad input."""

from collections.abc import Iterator

import pytest
from tests.support.metered import MeteredStack
from tests.support.postgres import scratch_folder
from tests.support.stack import Tenant

pytest.register_assert_rewrite("tests.integration.bad_input", "tests.support.refusals")


@pytest.fixture(scope="session")
def metered() -> Iterator[MeteredStack]:
    """Each test makes its own tenants, rules for those alone, and leaves nothing open."""
    with scratch_folder() as folder, MeteredStack(folder) as started:
        yield started


@pytest.fixture(scope="session")
def fragile() -> Iterator[MeteredStack]:
    """One of its own for tests that take something away from it, and give it back."""
    with scratch_folder() as folder, MeteredStack(folder) as started:
        yield started


@pytest.fixture(scope="session")
def uploader(metered: MeteredStack) -> Tenant:
    """One for all uploads that leave nothing behind."""
    return metered.tenant()
