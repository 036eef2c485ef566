"""Blocks as Markdown, plain text and HTML."""

from __future__ import annotations

import html
import textwrap
from collections.abc import Sequence

from tools.corpus.blocks import Block

_WIDTH_CHARS = 96
_MARKDOWN = {"h1": "# ", "h2": "## ", "h3": "### ", "h4": "#### ", "li": "- "}


def to_markdown(blocks: Sequence[Block]) -> str:
    """Headings, lists, fenced code and tables; items and rows of one list stand together."""
    return _joined(blocks, [_markdown(block) for block in blocks])


def to_text(blocks: Sequence[Block]) -> str:
    """Wrapped lines, the title underlined."""
    parts = []
    for block in blocks:
        if block.kind == "pre":
            parts.append(textwrap.indent(block.text, "    "))
        elif block.kind == "h1":
            parts.append(f"{block.text}\n{'=' * len(block.text)}")
        elif block.kind == "li":
            parts.append(textwrap.fill(f"* {block.text}", _WIDTH_CHARS, subsequent_indent="  "))
        else:
            parts.append(textwrap.fill(block.text, _WIDTH_CHARS))
    return _joined(blocks, parts)


def to_html(blocks: Sequence[Block]) -> str:
    """A whole page without styles or scripts."""
    lines = [
        "<!doctype html>",
        '<html lang="en"><head><meta charset="utf-8">',
        f"<title>{html.escape(blocks[0].text)}</title></head><body>",
    ]
    last = ""
    for block in blocks:
        lines += _turn(last, block.kind)
        last = block.kind
        text = html.escape(block.text, quote=False)
        if block.kind == "row":
            cells = "".join(f"<td>{cell}</td>" for cell in text.split(" | "))
            lines.append(f"<tr>{cells}</tr>")
        else:
            lines.append(f"<{block.kind}>{text}</{block.kind}>")
    return "\n".join([*lines, *_turn(last, ""), "</body></html>"]) + "\n"


def _turn(last: str, now: str) -> list[str]:
    """The tags that close one run of items or rows and open the next."""
    if last == now:
        return []
    tags = {"li": "ul", "row": "table"}
    closing = [f"</{tags[last]}>"] if last in tags else []
    return closing + ([f"<{tags[now]}>"] if now in tags else [])


def _markdown(block: Block) -> str:
    if block.kind == "pre":
        return f"```\n{block.text}\n```"
    if block.kind == "row":
        return f"| {block.text} |"
    return _MARKDOWN.get(block.kind, "") + block.text


def _joined(blocks: Sequence[Block], parts: Sequence[str]) -> str:
    text = parts[0]
    for before, block, part in zip(blocks, blocks[1:], parts[1:], strict=False):
        together = before.kind == block.kind and block.kind in ("li", "row")
        text += ("\n" if together else "\n\n") + part
    return text + "\n"
