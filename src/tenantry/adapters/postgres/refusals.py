"""What the database's own checks refuse, told in their words."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import asyncpg

from tenantry.domain.errors import BadRequest, Conflict


@contextmanager
def archived_is_refused() -> Iterator[None]:
    """`BadRequest` for what needs rows that lie in the archive."""
    try:
        yield
    except asyncpg.ObjectNotInPrerequisiteStateError as refused:
        raise BadRequest(_sentence(refused)) from None


@contextmanager
def refusals_are_conflicts() -> Iterator[None]:
    """`Conflict` for what does not go with what is stored, or with what others do."""
    try:
        yield
    except asyncpg.LockNotAvailableError:  # a kind of the next
        raise Conflict("Another process is invoicing this tenant at the moment.") from None
    except asyncpg.ObjectNotInPrerequisiteStateError as refused:
        raise Conflict(_sentence(refused)) from None
    except asyncpg.UniqueViolationError:
        raise Conflict("It was done by somebody else at the same moment.") from None


def _sentence(refused: BaseException) -> str:
    words = str(refused)
    return f"{words[:1].upper()}{words[1:]}."
