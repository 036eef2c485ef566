"""Numbers of documents that were given, and a database that does not know them, or has another
document of theirs."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from tenantry.domain.invoice import number_of

_NUMBER = re.compile(r"((?:INV|CN)-[0-9]{4})-([0-9]{6,12})")


@dataclass(frozen=True, slots=True)
class Given:
    """The last number of a series that was given, and its document's digest in hexadecimal; None:
    it is not known, or the number stays a gap."""

    last: int
    sha256: str | None = None


def parts_of(number: str) -> tuple[str, int]:
    """`INV-2026-000003`: `("INV-2026", 3)`. Raises `ValueError`."""
    found = _NUMBER.fullmatch(number)
    if found is None or int(found[2]) < 1:
        raise ValueError(f"{number!r} is no number of a document, as INV-2026-000041 is")
    return found[1], int(found[2])


def unknown_to(database: Mapping[str, int], given: Mapping[str, Given]) -> dict[str, int]:
    """Series with their last given number, where the database's last one is before it."""
    return {
        name: each.last for name, each in sorted(given.items()) if database.get(name, 0) < each.last
    }


def given_again(digests: Mapping[str, str], given: Mapping[str, Given]) -> list[str]:
    """Numbers whose document in the database is another than the one that was given. `digests`: of
    the database's documents by their numbers; what it lacks is a told gap."""
    numbers = {number_of(name, each.last): each.sha256 for name, each in given.items()}
    return sorted(
        number
        for number, sha256 in numbers.items()
        if sha256 is not None and digests.get(number, sha256) != sha256
    )


def raised(told: Mapping[str, Given], given: Mapping[str, Given]) -> dict[str, Given]:
    """Of each series the later of two last numbers; of one number the digest that is known first,
    and of those `told`'s."""
    later = dict(sorted({**told, **given}.items()))
    for name, old in told.items():
        new = later[name]
        if old.last > new.last or (old.last == new.last and old.sha256 is not None):
            later[name] = old
    return later


def refusal(unknown: Mapping[str, int], again: Iterable[str] = ()) -> str:
    """Why no number is given, and what to do. One of both is not empty; the first is told first."""
    if unknown:
        last = ", ".join(number_of(name, count) for name, count in unknown.items())
        return (
            f"Numbers up to {last} were given that this database does not know: was it restored? No"
            " document is made final until `tenantry invoices numbers --continue-after` says which"
            " of them stay a gap."
        )
    return (
        f"{', '.join(again)}: this database has another document of that number than the one that"
        " was given. Two customers may hold it, where the database was restored and a number given"
        " again. No document is made final here until `tenantry invoices numbers --continue-after`"
        " a later number says that this is known."
    )
