"""What a page's headings ask, and where the text under them stands."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from tools.corpus.blocks import Block
from tools.corpus.render import to_markdown

Kind = Literal["question", "name"]

_ASKS = re.compile(
    r"^(?:how|why|when|what|where|which|who|is|are|am|can|do|does|should|will|i|my)\b", re.I
)
_WORDS_MIN = 3
_ITEM = re.compile(r"^ {0,3}(\d+\.\d+(?:\.\d+)?|\d+\.) (?=\S)")
_RULE = re.compile(r"^[=\-*_ ]{20,}$")
_NAMES = (
    re.compile(r"^(?:class |exception )?([a-zA-Z_]\w*(?:\.[a-zA-Z_]\w*)+)\(.{0,160}\)$"),
    re.compile(r"^([a-z]+(?:_[a-z0-9]+)+) \((?:boolean|integer|enum|string|floating point)\)$"),
    re.compile(r"^\(\d+\) (SQLITE_[A-Z0-9_]+)$"),
)


@dataclass(frozen=True, slots=True)
class Asked:
    """`text[start:end]` of its page answers it."""

    kind: Kind
    words: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Page:
    set: str
    name: str
    title: str
    content_type: str
    text: str
    asked: tuple[Asked, ...]


def from_blocks(blocks: Sequence[Block], *, numbered: bool) -> tuple[str, list[Asked]]:
    """The Markdown without the headings that ask, and what was asked.

    `numbered`: the page is a list of entries that begin like `(12) Is it fast?` in plain text.
    """
    blocks = [_entry(block) for block in blocks] if numbered else list(blocks)
    headings = {number for number, block in enumerate(blocks) if number and _asks(block)}
    asking = {_plain(blocks[number].text) for number in headings}
    kept: list[Block] = []
    places: list[tuple[str, int, Block]] = []  # the question, where its answer begins in `kept`
    for number, block in enumerate(blocks):
        if number in headings:
            places.append((block.text, len(kept), block))
        elif _plain(block.text) not in asking:  # also not in a table of contents
            kept.append(block)
    text = to_markdown(kept)
    offsets = _offsets(kept)
    asked = []
    for question, first, heading in places:
        ends = [place for _, place, _ in places if place > first]
        ends += [
            number
            for number in range(first, len(kept))
            if kept[number].kind.startswith("h") and kept[number].kind <= heading.kind
        ]
        last = min(ends, default=len(kept))
        if last > first:
            asked.append(Asked("question", question, offsets[first], offsets[last]))
    for number, block in enumerate(kept):
        if name := _defined(block):
            asked.append(Asked("name", name, offsets[number], offsets[number] + len(name)))
    return text, asked


def from_listing(source: str) -> tuple[str, list[Asked]]:
    """The same for an FAQ in plain text, whose entries begin like ` 4.2 How …?` or ` 12. Is it …`.

    An entry's words may run over several lines, up to the first empty one. A table of contents
    before the entries is left out.
    """
    lines = source.splitlines()
    heads = [number for number, line in enumerate(lines) if _ITEM.match(line)]
    seen: dict[str, int] = {}
    for number in heads:  # an entry named twice is in the contents first
        seen[lines[number].split()[0]] = number
    parts: list[str] = []
    asked: list[Asked] = []
    position = 0
    chosen = sorted(seen.values())
    for number, following in zip(chosen, [*chosen[1:], len(lines)], strict=True):
        body = number
        while body < len(lines) and lines[body].strip():
            body += 1
        words = " ".join(" ".join(lines[number:body]).split()[1:])
        text = "\n".join(line for line in lines[body:following] if not _RULE.match(line)).strip()
        if not text:
            continue
        if words.count(" ") + 1 >= _WORDS_MIN:
            asked.append(Asked("question", words, position, position + len(text)))
        parts.append(text)
        position += len(text) + 2
    return "\n\n".join(parts), asked


def _entry(block: Block) -> Block:
    found = re.match(r"^\(\d+\) (.+)$", block.text)
    return Block("h3", found.group(1)) if found and block.kind == "p" else block


def _asks(block: Block) -> bool:
    if not block.kind.startswith("h") or block.text.count(" ") + 1 < _WORDS_MIN:
        return False
    return block.text.endswith("?") or _ASKS.match(block.text) is not None


def _defined(block: Block) -> str:
    if block.kind not in ("p", "h3", "h4"):
        return ""
    for form in _NAMES:
        if found := form.match(block.text):
            return found.group(1)
    return ""


def _plain(text: str) -> str:
    return re.sub(r"\W+", " ", text).strip().lower()


def _offsets(blocks: Sequence[Block]) -> list[int]:
    """Where each block begins in the Markdown, and where the last one ends."""
    offsets = [0]
    for count in range(1, len(blocks)):
        before = blocks[: count + 1]
        offsets.append(len(to_markdown(before)) - len(to_markdown([blocks[count]])))
    return [*offsets, len(to_markdown(blocks))]


def merged(pages: Sequence[Page]) -> Iterator[tuple[Kind, str, list[tuple[str, Asked]]]]:
    """Each thing asked with every place that answers it: one question may stand in two pages."""
    places: dict[tuple[Kind, str], list[tuple[str, Asked]]] = {}
    words: dict[tuple[Kind, str], str] = {}
    for page in pages:
        for asked in page.asked:
            exact = asked.words if asked.kind == "name" else _plain(asked.words)
            key = (asked.kind, exact)
            words.setdefault(key, asked.words)
            places.setdefault(key, []).append((page.name, asked))
    for key, found in places.items():
        yield key[0], words[key], found
