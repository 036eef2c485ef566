"""What of a call's body a guardrail looks at: one rule for Converse and the families' own bodies.

It looks at the texts and images in the messages of user and assistant, or where some are marked as
`guardContent` at those alone; in system prompts at what is so marked; and in a body without
messages at its prompt and images. It does not look at definitions, inputs and results of tools
(Bedrock user guide, "Include a guardrail with the Converse API"), documents, search results and
reasoning. What is masked is what was looked at.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from bedrock_emulator.engine.guardrail import Guardrail, Looked, mask

Block = Mapping[str, Any]
_SPEAKERS = ("user", "assistant")
_IMAGES = ("image", "image_url")  # types of blocks that say one


def looked_at(body: Mapping[str, Any]) -> Looked:
    """The parts of a valid body that a guardrail judges."""
    found: list[Block] = []

    def note(block: Block) -> Block:
        found.append(_guarded(block))
        return block

    _each(body, note)
    return looked_of(found)


def masked_body(body: Mapping[str, Any], guardrail: Guardrail) -> dict[str, Any]:
    """The body as the model gets it, where the guardrail anonymises the prompt."""

    def masked(block: Block) -> Block:
        if isinstance(block.get("text"), str):
            return {**block, "text": mask(guardrail, "input", block["text"])}
        inner = _guarded(block).get("text")
        if inner is None or not _judged(inner.get("qualifiers") or ()):
            return block
        text = mask(guardrail, "input", inner["text"])
        return {**block, "guardContent": {"text": {**inner, "text": text}}}

    return _each(body, masked)


def looked_of(blocks: Sequence[Block]) -> Looked:
    """Of blocks `{"text": {"text", "qualifiers"}}` and `{"image"}`, as ApplyGuardrail has them."""
    texts: list[str] = []
    sources: list[str] = []
    queries: list[str] = []
    for text, qualifiers in _texts(blocks):
        if "grounding_source" in qualifiers:
            sources.append(text)
        elif "query" in qualifiers:
            queries.append(text)
        if _judged(qualifiers):
            texts.append(text)
    return Looked(texts, sum(block.get("image") is not None for block in blocks), sources, queries)


def _judged(qualifiers: Sequence[str]) -> bool:
    return not qualifiers or "guard_content" in qualifiers


def _texts(blocks: Sequence[Block]) -> Iterator[tuple[str, Sequence[str]]]:
    for block in blocks:
        entry = block.get("text")
        if isinstance(entry, dict) and isinstance(entry.get("text"), str):
            yield entry["text"], entry.get("qualifiers") or ()


def _guarded(block: Block) -> Block:
    """A block as ApplyGuardrail has it."""
    if block.get("guardContent") is not None:
        inner: Block = block["guardContent"]
        return inner
    if isinstance(block.get("text"), str):
        return {"text": {"text": block["text"]}}
    return {"image": block}


def _each(body: Mapping[str, Any], act: Callable[[Block], Block]) -> dict[str, Any]:
    """The body with each block that is looked at replaced by what is made of it."""
    made = dict(body)
    if isinstance(body.get("system"), list):
        made["system"] = [act(b) if _is_seen(b, marked=True) else b for b in body["system"]]
    messages = body.get("messages")
    if isinstance(messages, list):
        marked = any(_is_marked(b) for message in messages for b in _blocks(message.get("content")))
        made["messages"] = [_message(message, act, marked=marked) for message in messages]
    elif isinstance(body.get("prompt"), str):
        made["prompt"] = act({"text": body["prompt"]})["text"]
        for image in body.get("images") or ():
            act({"image": image})
    return made


def _message(message: Block, act: Callable[[Block], Block], *, marked: bool) -> Block:
    content = message.get("content")
    marked = marked or message.get("role") not in _SPEAKERS
    if isinstance(content, str):
        return message if marked else {**message, "content": act({"text": content})["text"]}
    blocks = [act(b) if _is_seen(b, marked=marked) else b for b in _blocks(content)]
    return message if content is None else {**message, "content": blocks}


def _blocks(content: Any) -> list[Any]:
    return content if isinstance(content, list) else []


def _is_marked(block: Any) -> bool:
    return isinstance(block, dict) and block.get("guardContent") is not None


def _is_seen(block: Any, *, marked: bool) -> bool:
    """Whether a block is looked at; where some are `marked`, the others are not."""
    if marked or not isinstance(block, dict):
        return _is_marked(block)
    kind = block.get("type")
    is_text = kind in (None, "text") and isinstance(block.get("text"), str)
    is_image = kind in _IMAGES or (kind is None and block.get("image") is not None)
    return is_text or is_image or _is_marked(block)
