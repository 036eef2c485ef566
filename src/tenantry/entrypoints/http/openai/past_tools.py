"""Tools of the past told in words, for a model that is to answer without any. Pure.

Converse takes `toolUse` and `toolResult` blocks only where tools are offered, and a model that is
offered tools may call one. Where the client offers none, or says `tool_choice: "none"`, no call may
come back: what was called and returned stands in the conversation as text.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tenantry.application import exact_json

Block = dict[str, Any]


def in_words(turns: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The turns of a Converse body with each such block as a text, in its place."""
    names = {
        use["toolUseId"]: use["name"]
        for turn in turns
        for use in (block["toolUse"] for block in turn["content"] if "toolUse" in block)
    }
    return [
        {**turn, "content": [_in_words(block, names) for block in turn["content"]]}
        for turn in turns
    ]


def _in_words(block: Block, names: dict[str, str]) -> Block:
    if "toolUse" in block:
        use = block["toolUse"]
        arguments = exact_json.write(use["input"]).decode()
        return {"text": f"Called the tool {use['name']} ({use['toolUseId']}) with {arguments}"}
    if "toolResult" in block:
        result = block["toolResult"]
        identity = result["toolUseId"]
        named = f"The tool {names[identity]}" if identity in names else "A tool"
        said = "\n".join(part["text"] for part in result["content"])
        return {"text": f"{named} ({identity}) returned:\n{said}"}
    return block
