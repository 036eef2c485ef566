"""`python -m tools.ground_truth UNPACKED`: see the package's docstring."""

from __future__ import annotations

import gzip
import hashlib
import json
import lzma
import sys
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from tenantry.adapters.extraction.splitter import chunks_of
from tenantry.domain.chunk import Chunk
from tools.corpus.blocks import blocks_of
from tools.ground_truth.asked import Asked, Page, from_blocks, from_listing, merged

TARGET = Path(__file__).resolve().parents[2] / "benchmarks" / "ground_truth"
PAGES = Path(__file__).with_name("pages.toml")
PASSAGES, QUESTIONS, SOURCES = "passages.jsonl.xz", "questions.jsonl", "sources.json"
NAMES_OF_SET_MAX = 60  # so that the look-ups of one manual do not drown the others
HELD_OUT_OF = 2  # every second thing asked, by digest, is kept for the report
Numbered = list[tuple[int, Chunk]]
_SAME_CHARS_MIN = 40  # of an answer that a passage must hold to count as one that answers


def main(unpacked: Path) -> None:
    """Writes passages, questions and their sources."""
    sets = tomllib.loads(PAGES.read_text("utf-8"))
    pages = [page for name, chosen in sets.items() for page in _pages(name, chosen, unpacked)]
    passages, numbers = _split(pages)
    questions = list(_questions(pages, numbers))
    TARGET.mkdir(parents=True, exist_ok=True)
    lines = "".join(json.dumps(item, ensure_ascii=False) + "\n" for item in passages)
    (TARGET / PASSAGES).write_bytes(lzma.compress(lines.encode(), preset=9))
    asked = "".join(json.dumps(item, ensure_ascii=False) + "\n" for item in questions)
    (TARGET / QUESTIONS).write_text(asked, "utf-8")
    sources = {
        "packages": {
            name: {key: chosen[key] for key in ("package", "version", "licence")}
            for name, chosen in sets.items()
        },
        "passages_sha256": hashlib.sha256(lines.encode()).hexdigest(),
        "questions_sha256": hashlib.sha256(asked.encode()).hexdigest(),
    }
    (TARGET / SOURCES).write_text(json.dumps(sources, indent=1) + "\n", "utf-8")
    kinds = [item["kind"] for item in questions]
    sys.stderr.write(
        f"{len(pages)} pages, {len(passages)} passages, {kinds.count('question')} questions,"
        f" {kinds.count('name')} names\n"
    )


def _pages(name: str, chosen: Mapping[str, Any], unpacked: Path) -> Iterator[Page]:
    root = unpacked / chosen["root"]
    found = [path for pattern in chosen["pages"] for path in sorted(root.glob(pattern))]
    assert len(found) >= len(chosen["pages"]), f"a page of {name} is missing"
    for path in dict.fromkeys(found):
        file = path.relative_to(root).as_posix()
        raw = path.read_bytes()
        source = (gzip.decompress(raw) if path.suffix == ".gz" else raw).decode("utf-8", "replace")
        yield _page(name, chosen, file, source)


def _page(name: str, chosen: Mapping[str, Any], file: str, source: str) -> Page:
    label = f"{name}/{file}"
    if file in chosen.get("listing", ()):
        text, asked = from_listing(source)
        return Page(name, label, f"{name} FAQ", "text/plain", text, tuple(asked))
    if ".md" in file:
        title = source.lstrip("# \n").partition("\n")[0]
        return Page(name, label, title, "text/markdown", source, ())
    blocks = blocks_of(source, chosen["main"], titled=chosen["titled"])
    text, asked = from_blocks(blocks, numbered=file in chosen.get("entries", ()))
    return Page(name, label, blocks[0].text, "text/markdown", text, tuple(asked))


def _split(pages: Sequence[Page]) -> tuple[list[dict[str, Any]], dict[str, Numbered]]:
    """Passages as the product splits them, and each page's with their numbers."""
    passages: list[dict[str, Any]] = []
    numbers: dict[str, Numbered] = {}
    for page in pages:
        for chunk in chunks_of(page.text, page.content_type):
            numbers.setdefault(page.name, []).append((len(passages), chunk))
            passages.append({"page": page.name, "title": page.title, "text": chunk.text})
    return passages, numbers


def _questions(pages: Sequence[Page], numbers: Mapping[str, Numbered]) -> Iterator[dict[str, Any]]:
    names: dict[str, int] = {}
    things = sorted(merged(pages), key=lambda item: _digest(item[1]))
    for kind, words, places in things:
        if kind == "name":
            name_set = places[0][0].partition("/")[0]
            names[name_set] = names.get(name_set, 0) + 1
            if names[name_set] > NAMES_OF_SET_MAX:
                continue
        answers = sorted(
            {
                number
                for page, asked in places
                for number, chunk in numbers[page]
                if _answers(asked, chunk)
            }
        )
        assert answers, f"nothing answers {words!r}"
        held_out = _digest(words)[0] % HELD_OUT_OF == 0
        split = "report" if held_out else "choose"
        yield {"kind": kind, "split": split, "question": words, "passages": answers}


def _answers(asked: Asked, chunk: Chunk) -> bool:
    """Whether a chunk holds a good part of an answer; of a name, where its definition begins."""
    if asked.kind == "name":
        return chunk.start <= asked.start < chunk.end
    shared = min(chunk.end, asked.end) - max(chunk.start, asked.start)
    return shared >= min(_SAME_CHARS_MIN, asked.end - asked.start - 2)


def _digest(words: str) -> bytes:
    return hashlib.sha256(words.encode()).digest()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
