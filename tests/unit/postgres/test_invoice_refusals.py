"""What the database refuses an invoice with is told in words for whoever invoices."""

import asyncpg
import pytest

from tenantry.adapters.postgres.refusals import refusals_are_conflicts
from tenantry.domain.errors import Conflict


@pytest.mark.parametrize(
    ("refused", "told"),
    [
        (asyncpg.LockNotAvailableError("canceling statement due to lock timeout"), "Another proc"),
        (asyncpg.ObjectNotInPrerequisiteStateError("the invoice has notes"), "The invoice has n"),
        (asyncpg.UniqueViolationError("duplicate key"), "It was done by somebody else"),
    ],
)
def test_a_lock_that_is_not_had_is_told_as_somebody_elses(refused: Exception, told: str) -> None:
    with pytest.raises(Conflict, match=told), refusals_are_conflicts():
        raise refused
