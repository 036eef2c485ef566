"""What became of one root key that was in several places."""

from __future__ import annotations

from collections.abc import Iterable

from tenantry.ports.keys import Retirement


def together(found: Iterable[Retirement | None]) -> Retirement | None:
    """None: it was in none of them."""
    there = [each for each in found if each is not None]
    if not there:
        return None
    deletions = [each.deletion_at for each in there if each.deletion_at is not None]
    left = tuple(sorted({arn for each in there for arn in each.left}))
    return Retirement(any(each.disabled for each in there), max(deletions, default=None), left)
