"""Numbers of documents that were given, and a database that does not know them."""

from __future__ import annotations

import re
from collections.abc import Mapping

from tenantry.domain.invoice import number_of

_NUMBER = re.compile(r"((?:INV|CN)-[0-9]{4})-([0-9]{6,12})")


def parts_of(number: str) -> tuple[str, int]:
    """`INV-2026-000003`: `("INV-2026", 3)`. Raises `ValueError`."""
    found = _NUMBER.fullmatch(number)
    if found is None or int(found[2]) < 1:
        raise ValueError(f"{number!r} is no number of a document, as INV-2026-000041 is")
    return found[1], int(found[2])


def unknown_to(database: Mapping[str, int], given: Mapping[str, int]) -> dict[str, int]:
    """Series with their last given number, where the database's last one is before it."""
    return {name: last for name, last in sorted(given.items()) if database.get(name, 0) < last}


def raised(told: Mapping[str, int], given: Mapping[str, int]) -> dict[str, int]:
    """Of each series the greater of two last numbers."""
    names = sorted({*told, *given})
    return {name: max(told.get(name, 0), given.get(name, 0)) for name in names}


def refusal(unknown: Mapping[str, int]) -> str:
    """Why no number is given, and what to do. `unknown`: not empty."""
    last = ", ".join(number_of(name, count) for name, count in unknown.items())
    return (
        f"Numbers up to {last} were given that this database does not know: was it restored? No"
        " document is made final until `tenantry invoices numbers --continue-after` says which of"
        " them stay a gap."
    )
