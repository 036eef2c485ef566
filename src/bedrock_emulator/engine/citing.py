"""Where a quotation stands in the documents and search results that an answer is to cite.

Owns: which source of a prompt a quotation is from, and where in it.
Does not own: what is quoted (`models/`), and the shapes in which families show a citation.
Invariants: what is cited stands in its source word for word, but for white space.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from bedrock_emulator.engine.prompt import Prompt, Source


@dataclass(frozen=True, slots=True)
class Citation:
    """`start` and `end` (the first after it) count characters of a source that is one text, else
    its blocks; `texts` are what stands there."""

    source: Source
    texts: tuple[str, ...]
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Part:
    """A part of an answer's text, with what it is cited from."""

    text: str
    citations: tuple[Citation, ...] = ()


def cited(prompt: Prompt, quotes: Iterable[tuple[str, str]]) -> tuple[Part, ...]:
    """An answer of quotations, each with its label, in parts; none where nothing is to be cited.

    Only Claude cites. A quotation that is in no source keeps its label.
    """
    sources = [source for source in prompt.sources if source.cited]
    if not sources or prompt.model.native != "anthropic":
        return ()
    parts: list[Part] = []
    for quote, label in quotes:
        before = " " if parts else ""
        citation = next(filter(None, (_found(quote, source) for source in sources)), None)
        if citation is None:
            parts.append(Part(f"{before}{quote} [{label}]"))
        else:
            parts.append(Part(f"{before}{quote}", (citation,)))
    return tuple(parts)


def _found(quote: str, source: Source) -> Citation | None:
    whole = "\n".join(source.blocks)
    match = re.search(r"\s+".join(map(re.escape, quote.split())), whole) if quote.strip() else None
    if match is None:
        return None
    if source.one_text:
        return Citation(source, (match[0],), *match.span())
    return _of_blocks(source, *match.span())


def _of_blocks(source: Source, start: int, end: int) -> Citation:
    """The blocks that hold the characters from `start` to `end` of all of them, one a line."""
    held, at = [], 0
    for index, block in enumerate(source.blocks):
        if at < end and start < at + len(block):
            held.append(index)
        at += len(block) + 1
    first, last = held[0], held[-1] + 1
    return Citation(source, source.blocks[first:last], first, last)
