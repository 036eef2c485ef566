"""Bodies of Anthropic's Messages on InvokeModel."""

from __future__ import annotations

from typing import Any


def body(*contents: Any, **more: Any) -> dict[str, Any]:
    """Turns of user and assistant in their order."""
    roles = ("user", "assistant")
    messages = [
        {"role": roles[index % 2], "content": content} for index, content in enumerate(contents)
    ] or [{"role": "user", "content": "a"}]
    made = {"anthropic_version": "bedrock-2023-05-31", "max_tokens": 2_000, "messages": messages}
    return made | more
