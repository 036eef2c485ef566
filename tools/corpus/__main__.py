"""`python -m tools.corpus UNPACKED`: see the package's docstring."""

from __future__ import annotations

import hashlib
import json
import sys
import tomllib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tools.corpus.binary import to_docx, to_pdf
from tools.corpus.blocks import Block, blocks_of
from tools.corpus.render import to_html, to_markdown, to_text

TARGET = Path(__file__).resolve().parents[2] / "src" / "tenantry" / "data" / "corpus"
SETS = Path(__file__).with_name("sets.toml")

_WRITERS: dict[str, Callable[[Sequence[Block]], bytes]] = {
    "md": lambda blocks: to_markdown(blocks).encode(),
    "html": lambda blocks: to_html(blocks).encode(),
    "txt": lambda blocks: to_text(blocks).encode(),
    "pdf": to_pdf,
    "docx": to_docx,
}


def main(unpacked: Path) -> None:
    """Writes every set and the index."""
    index = []
    for name, chosen in tomllib.loads(SETS.read_text("utf-8")).items():
        folder = TARGET / name
        folder.mkdir(parents=True, exist_ok=True)
        for form, write in _WRITERS.items():
            for page in chosen[form]:
                index.append(_page(name, chosen, unpacked, page, form, write))
    text = json.dumps(index, indent=1, ensure_ascii=False) + "\n"
    (TARGET / "corpus.json").write_text(text, "utf-8")
    sys.stderr.write(f"{len(index)} documents\n")


def _page(
    name: str,
    chosen: Mapping[str, Any],
    unpacked: Path,
    page: str,
    form: str,
    write: Callable[[Sequence[Block]], bytes],
) -> dict[str, str]:
    source = unpacked / chosen["root"] / f"{page}.html"
    blocks = blocks_of(source.read_text("utf-8"), chosen["main"], titled=chosen["titled"])
    if named := chosen.get("titles", {}).get(page):
        blocks[0] = Block("h1", named)
    file = f"{page.replace('/', '-')}.{form}"
    content = write(blocks)
    (TARGET / name / file).write_bytes(content)
    return {
        "set": name,
        "file": file,
        "title": blocks[0].text,
        "licence": chosen["licence"],
        "source": f"{chosen['package']} {chosen['version']}",
        "sha256": hashlib.sha256(content).hexdigest(),
    }


if __name__ == "__main__":
    main(Path(sys.argv[1]))
