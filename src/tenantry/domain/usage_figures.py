"""A provider's usage figures, read strictly and made disjoint.

Owns: what counts as a count, whether figures add up, and how gross input is made net.
Does not own: where the figures stand in a response (`normalise`).
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import field
from typing import Final, TypeAlias

from tenantry.domain.record import record
from tenantry.domain.usage import TokenClass, Usage

NORMALISER_VERSION: Final = 1

# Families whose input figure includes cached tokens (OpenAI's convention); all others exclude
# them (Bedrock's prompt-caching documentation).
GROSS_FAMILIES: Final = frozenset({"openai"})

COUNT_MAX: Final = 10**12  # no window comes near; keeps sums within a 64-bit column
RAW_BYTES_MAX: Final = 2_048
_RAW_DEPTH_MAX: Final = 5
_RAW_NAME_CHARS_MAX: Final = 96
_NUMBER_LIKE = re.compile(r"[0-9][0-9a-zA-Z+.,_-]{0,31}|[+-]?(?:NaN|Infinity|inf|nan)", re.ASCII)

RawMembers: TypeAlias = Mapping[str, int | str]


class NotUsable(Exception):
    """The figures cannot be trusted; the message says why."""


@record
class Normalised:
    """Usage that adds up. `flags` name what had to be assumed."""

    usage: Usage
    raw: RawMembers
    flags: frozenset[str] = frozenset()
    version: int = NORMALISER_VERSION


@record
class Quarantined:
    """Usage that cannot be trusted, and why; budget stays held until somebody has looked."""

    reason: str
    raw: RawMembers
    version: int = NORMALISER_VERSION


WRITE_CLASS_ASSUMED: Final = "write_class_assumed"


@record
class Figures:
    """A response's own figures. `writes` are cache writes by class where it splits them."""

    input: int
    output: int = 0
    read: int = 0
    write: int = 0
    total: int | None = None
    writes: Mapping[TokenClass, int] = field(default_factory=dict)
    gross: bool = False


def count(members: Mapping[str, object], *names: str, default: int | None = None) -> int:
    """The count that stands under any of `names`, which are one figure and must agree.

    Raises NotUsable unless it is an integer of 0 to COUNT_MAX, or absent with a default.
    """
    found: int | None = None
    for name in names:
        value = members.get(name)
        if value is None:
            continue
        if type(value) is not int:
            raise NotUsable(f"{name} is not an integer")
        if not 0 <= value <= COUNT_MAX:
            raise NotUsable(f"{name} is out of range")
        if found is not None and found != value:
            raise NotUsable(f"{name} contradicts {names[0]}")
        found = value
    if found is not None:
        return found
    if default is None:
        raise NotUsable(f"{names[0]} is missing")
    return default


def header_count(headers: Mapping[str, str], name: str) -> int | None:
    """The count in a response header, None where there is none. Raises NotUsable."""
    text = headers.get(name)
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= 13):
        raise NotUsable(f"{name} is not a count")
    return count({name: int(text)}, name)


def disjoint(figures: Figures, write_class: TokenClass) -> tuple[Usage, frozenset[str]]:
    """The figures in disjoint classes. Raises NotUsable where they do not add up.

    `write_class` is where writes go that the response does not split.
    """
    cached = figures.read + figures.write
    uncached = figures.input - cached if figures.gross else figures.input
    if uncached < 0:
        raise NotUsable("the input is smaller than its cached part")
    sums = {figures.input + cached + figures.output}
    if figures.gross:  # seen both ways: cached tokens counted once, and counted twice
        sums.add(figures.input + figures.output)
    if figures.total is not None and figures.total not in sums:
        raise NotUsable("the total is not the sum of its parts")
    writes, flags = dict(figures.writes), frozenset[str]()
    if not writes and figures.write:
        writes, flags = {write_class: figures.write}, frozenset({WRITE_CLASS_ASSUMED})
    if sum(writes.values()) != figures.write:
        raise NotUsable("the cache write classes do not sum to the cache writes")
    usage = Usage(
        uncached_in=uncached,
        cache_read=figures.read,
        cache_write_5m=writes.get(TokenClass.CACHE_WRITE_5M, 0),
        cache_write_1h=writes.get(TokenClass.CACHE_WRITE_1H, 0),
        out=figures.output,
    )
    return usage, flags


def numeric_members(members: object) -> RawMembers:
    """The numbers (and texts that look like one) in a document, by dotted path, at most 2 KB.

    Floats are kept as text, so that the record is exact and holds no NaN; other texts, which may
    be a tenant's, are left out.
    """
    kept: dict[str, int | str] = {}
    left_bytes = RAW_BYTES_MAX
    for name, value in _leaves(members, "", 0):
        left_bytes -= len(name.encode(errors="replace")) + len(str(value)) + 8
        if left_bytes < 0:
            break
        kept[name if name.isprintable() else ascii(name)] = value  # no store takes a NUL
    return kept


def _leaves(members: object, path: str, depth: int) -> Iterator[tuple[str, int | str]]:
    if depth > _RAW_DEPTH_MAX or len(path) > _RAW_NAME_CHARS_MAX:
        return
    if isinstance(members, Mapping | list):
        for name, value in _entries(members):
            inner = f"{path}.{name}" if path else str(name)
            if type(value) is int and 0 <= value <= COUNT_MAX and len(inner) <= _RAW_NAME_CHARS_MAX:
                yield inner, value  # nearly every member, without a generator of its own
            else:
                yield from _leaves(value, inner, depth + 1)
    elif isinstance(members, int) and not isinstance(members, bool):
        yield path, members if abs(members) <= COUNT_MAX else "out of range"
    elif isinstance(members, float):
        yield path, repr(members)
    elif isinstance(members, str) and _NUMBER_LIKE.fullmatch(members):
        yield path, members


def _entries(members: Mapping[object, object] | list[object]) -> Iterable[tuple[object, object]]:
    return members.items() if isinstance(members, Mapping) else enumerate(members)
