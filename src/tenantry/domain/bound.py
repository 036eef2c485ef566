"""The most input tokens that a request body can be, before any model has seen it.

The bound is min(window, UTF-8 bytes of all text and tool JSON + 16 per message and block + the
catalogue's bound per image and document page): no byte-level tokeniser makes more tokens than
bytes. What a family's template says unasked, most of all where tools are offered, is added. A kind
of block or tool without a bound is refused by name, because what cannot be bounded cannot be
reserved.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Callable, Mapping
from typing import Any

from tenantry.domain.catalogue import Model
from tenantry.domain.errors import BadRequest
from tenantry.domain.record import record
from tenantry.domain.shape import check_blocks
from tenantry.domain.sources import (
    anthropic_source,
    document_source,
    image_part,
    image_source,
    no_references,
    no_references_in_block,
    no_references_to_embed,
)

TOKENS_PER_BLOCK = 16  # what a message or block adds around its text
# Instructions that a template adds once where tools are offered: 346 to 530 tokens for Claude, 400
# for Nova (recorded exchanges; Anthropic, "Tool use with Claude", pricing, 2026-11).
TOOLS_TEMPLATE_TOKENS = 1_024
OWN_TOOL_TOKENS = 1_024  # a tool that Anthropic defines: at most 735, computer use (same page)
# What a template puts before any prompt where blocks do not cover it: 67 for gpt-oss (recorded).
_PROMPT_TEMPLATE_TOKENS: Mapping[str, int] = {"openai": 96}
# Anthropic's own tools that the client runs. Those that run at the provider loop there, unbounded.
_OWN_TOOLS = ("bash_", "text_editor_", "computer_", "memory_")
PAGES_MAX = 100  # pages that Bedrock reads of one document (Converse API reference, 2026-11)
NESTING_MAX = 8  # tool results and search results inside one another
# In JSON that `json.dumps` made; in a text its quotes would stand escaped.
_MARKER = re.compile(r'(?<!\\)"(?:cache_control|cachePoint)": \{')
_ONE_HOUR = '"ttl": "1h"'
# What is looked at block by block, and a client's own JSON.
_OF_MESSAGES = frozenset({"content", "tool_calls", "function_call"})
_TEXT_FORMATS = frozenset({"txt", "md", "csv", "html"})


@record
class InputBound:
    tokens: int
    cache_writes_5m: bool = False
    cache_writes_1h: bool = False

    @property
    def has_cache_marker(self) -> bool:
        return self.cache_writes_5m or self.cache_writes_1h


class _Tally:
    """Adds up one body. `marker` notes a cache point with its time to live."""

    def __init__(self, model: Model) -> None:
        self.model = model
        self.blocks_met = 0
        self.tokens = _PROMPT_TEMPLATE_TOKENS.get(model.family, 0)
        self.writes_5m = False
        self.writes_1h = False

    def text(self, value: object) -> None:
        if not isinstance(value, str):
            raise BadRequest("text must be a string")
        self.tokens += len(value.encode("utf-8", "surrogatepass"))

    def json(self, value: object) -> None:
        try:
            text = json.dumps(value, ensure_ascii=False)
        except RecursionError:
            raise BadRequest("content is nested too deeply") from None
        self.tokens += len(text.encode("utf-8", "surrogatepass"))
        if _MARKER.search(text):  # a cache marker where none is looked for: inside a tool, say
            self.writes_5m = True
            self.writes_1h = self.writes_1h or _ONE_HOUR in text

    def marker(self, ttl: object) -> None:
        if ttl == "1h":
            self.writes_1h = True
        elif ttl in (None, "5m"):
            self.writes_5m = True
        else:
            raise BadRequest("a cache point's ttl is 5m or 1h")

    def tools(self, tools: object) -> None:
        """What offering tools costs besides their JSON, which the caller counts."""
        offered = _list_of_objects(tools, "tools")
        if offered:
            self.tokens += TOOLS_TEMPLATE_TOKENS + TOKENS_PER_BLOCK * len(offered)
        for tool in offered:
            if "systemTool" in tool:  # runs at the provider, and is billed besides its tokens
                raise BadRequest("a tool of kind systemTool has no bound")
            kind = tool.get("type")
            if kind in (None, "custom", "function"):
                continue
            if not isinstance(kind, str) or not kind.startswith(_OWN_TOOLS):
                raise BadRequest(f"a tool of type {str(kind)[:64]} has no bound")
            self.tokens += OWN_TOOL_TOKENS

    def image(self) -> None:
        if not self.model.image_tokens_max:
            raise BadRequest(f"model {self.model.id} takes no block of kind image", of="messages")
        self.tokens += self.model.image_tokens_max

    def document(self, fmt: str | None, document: Mapping[str, Any]) -> None:
        self.takes_documents()
        member, source = document_source(document), document["source"]
        if member == "text":
            self.text(source["text"])
        elif member == "content":
            self.blocks(source["content"], {"text": _text})
        elif fmt in _TEXT_FORMATS:
            self.tokens += _decoded_length(source["bytes"])
        else:
            self.pages()

    def pages(self) -> None:
        """A document whose pages are read, of which nobody knows how many it has."""
        self.tokens += PAGES_MAX * self.model.page_tokens_max

    def takes_documents(self) -> None:
        if not self.model.page_tokens_max:
            said = f"model {self.model.id} takes no block of kind document"
            raise BadRequest(said, of="messages")

    def blocks(self, blocks: object, kinds: Mapping[str, Any], depth: int = 0) -> None:
        if depth > NESTING_MAX:
            raise BadRequest("content is nested too deeply")
        for block in self.counted(blocks):
            self.tokens += TOKENS_PER_BLOCK
            for kind, value in block.items():
                handler: Callable[[_Tally, Any, int], None] | None = kinds.get(kind)
                if handler is None:
                    raise BadRequest(f"content block of kind {kind[:64]} is not supported")
                handler(self, value, depth)

    def counted(self, blocks: object) -> list[Mapping[str, Any]]:
        """The blocks, which are no more than may be, those at other depths included."""
        found = _list_of_objects(blocks, "content")
        self.blocks_met += len(found)
        check_blocks(self.blocks_met)
        return found

    def bound(self) -> InputBound:
        tokens = min(self.model.window, self.tokens)
        return InputBound(tokens, self.writes_5m or self.writes_1h, self.writes_1h)


def bound_of_converse(body: Mapping[str, Any], model: Model) -> InputBound:
    """Bound of a Converse body, or of a Nova native one, which has the same blocks."""
    tally = _Tally(model)
    no_references(body)
    tally.blocks(body.get("system") or [], _CONVERSE_BLOCKS)
    for message in _list_of_objects(body.get("messages") or [], "messages"):
        tally.tokens += TOKENS_PER_BLOCK
        tally.blocks(message.get("content") or [], _CONVERSE_BLOCKS)
    tools = body.get("toolConfig")
    if tools is not None:
        tally.json(tools)
        offered = _object(tools, "toolConfig").get("tools") or []
        tally.tools(offered)
        for tool in offered:
            if "cachePoint" in tool:
                tally.marker(_object(tool["cachePoint"], "cachePoint").get("ttl"))
    fields = body.get("additionalModelRequestFields")
    if isinstance(fields, Mapping):  # where Converse takes Anthropic's own tools
        tally.tools(fields.get("tools") or [])
        _refuse_content(fields)
    for member in ("additionalModelRequestFields", "outputConfig", "promptVariables"):
        if body.get(member) is not None:
            tally.json(body[member])
    return tally.bound()


def bound_of_anthropic(body: Mapping[str, Any], model: Model) -> InputBound:
    """Bound of an Anthropic messages body."""
    tally = _Tally(model)
    no_references(body)
    _anthropic_marker(tally, body)  # of the whole body: the provider places the marks
    system = body.get("system") or []
    _anthropic_content(tally, system, 0)
    for message in _list_of_objects(body.get("messages") or [], "messages"):
        tally.tokens += TOKENS_PER_BLOCK
        _anthropic_content(tally, message.get("content") or [], 0)
    tools = body.get("tools") or []
    tally.tools(tools)
    for tool in tools:
        tally.json(tool)
        _anthropic_marker(tally, tool)
    if body.get("tool_choice") is not None:
        tally.json(body["tool_choice"])
    return tally.bound()


def bound_of_text_body(body: Mapping[str, Any], model: Model) -> InputBound:
    """Bound of any other native body: every byte of it, which holds its texts, and its images."""
    tally = _Tally(model)
    if model.kind == "embedding":
        no_references_to_embed(body, model.family)
    else:
        no_references(body, besides=frozenset({"messages"}))
    tally.json(body)
    tally.tokens += TOKENS_PER_BLOCK
    tally.tools(body.get("tools") or [])
    messages = body.get("messages")
    for message in _list_of_objects(messages, "messages") if messages is not None else ():
        tally.tokens += TOKENS_PER_BLOCK
        no_references(message, besides=_OF_MESSAGES)
        content = message.get("content")
        if isinstance(content, Mapping):
            raise BadRequest("a message's content must be a text or a list of objects")
        for block in tally.counted(content) if isinstance(content, list) else ():
            tally.tokens += TOKENS_PER_BLOCK
            _text_body_block(tally, block)
    images = body.get("images")
    for _ in images if isinstance(images, list) else ():
        tally.image()
    return tally.bound()


def _text_body_block(tally: _Tally, block: Mapping[str, Any]) -> None:
    kind = block.get("type")
    if kind in ("image_url", "image"):
        tally.image()
        return image_part(block)
    if kind not in ("text", "refusal"):
        raise BadRequest(f"content block of kind {str(kind)[:64]} is not supported")
    return no_references_in_block(block, str(kind))


def _anthropic_content(tally: _Tally, content: object, depth: int) -> None:
    if isinstance(content, str):
        tally.tokens += TOKENS_PER_BLOCK
        return tally.text(content)
    if depth > NESTING_MAX:
        raise BadRequest("content is nested too deeply")
    for block in tally.counted(content):
        tally.tokens += TOKENS_PER_BLOCK
        _anthropic_block(tally, block, depth)
    return None


def _anthropic_block(tally: _Tally, block: Mapping[str, Any], depth: int) -> None:
    _anthropic_marker(tally, block)
    kind = block.get("type")
    if kind == "image":
        tally.image()
        anthropic_source(block.get("source"), ("base64",), "image")
        return None
    if kind == "document":
        return _anthropic_document(tally, block, depth)
    if kind == "tool_result":
        return _anthropic_content(tally, block.get("content") or [], depth + 1)
    if kind in ("text", "tool_use", "thinking", "redacted_thinking", "search_result"):
        if kind == "search_result":
            no_references_in_block(block, kind)
        return tally.json(block)
    raise BadRequest(f"content block of kind {str(kind)[:64]} is not supported")


def _anthropic_document(tally: _Tally, block: Mapping[str, Any], depth: int) -> None:
    for member in ("title", "context"):
        if block.get(member) is not None:
            tally.text(block[member])
    tally.takes_documents()
    source = anthropic_source(block.get("source"), ("base64", "text", "content"), "document")
    kind = source["type"]
    if kind == "content":  # blocks that are cited one by one, or one text
        return _anthropic_content(tally, source.get("content") or [], depth + 1)
    if kind == "text":
        return tally.text(source.get("data", ""))
    return tally.pages()


def _anthropic_marker(tally: _Tally, block: Mapping[str, Any]) -> None:
    if block.get("cache_control") is not None:
        tally.marker(_object(block["cache_control"], "cache_control").get("ttl"))


def _refuse_content(fields: Mapping[str, Any]) -> None:
    """What Converse has members of its own for, where its blocks and tools are looked at."""
    for name in ("messages", "system", "toolConfig"):
        if fields.get(name) is not None:
            raise BadRequest(f"additionalModelRequestFields.{name} is not taken: send {name}")


def _text(tally: _Tally, value: object, depth: int) -> None:
    tally.text(value)


def _json(tally: _Tally, value: object, depth: int) -> None:
    tally.json(value)


def _texts(tally: _Tally, value: object, depth: int) -> None:
    no_references_in_block(value, "content")
    tally.json(value)


def _guarded(tally: _Tally, value: object, depth: int) -> None:
    if isinstance(value, Mapping) and "image" in value:
        image_source(value["image"], "guardContent.image")
    _texts(tally, value, depth)


def _image(tally: _Tally, value: object, depth: int) -> None:
    tally.image()
    image_source(value)


def _document(tally: _Tally, value: object, depth: int) -> None:
    document = _object(value, "document")
    tally.tokens += len(str(document.get("name", "")).encode())
    if document.get("context") is not None:
        tally.text(document["context"])
    fmt = document.get("format")
    if fmt is not None and not isinstance(fmt, str):
        raise BadRequest("a document's format must be a string")
    tally.document(fmt, document)


def _tool_result(tally: _Tally, value: object, depth: int) -> None:
    result = _object(value, "toolResult")
    tally.text(result.get("toolUseId", ""))
    tally.blocks(result.get("content") or [], _CONVERSE_BLOCKS, depth + 1)


def _cache_point(tally: _Tally, value: object, depth: int) -> None:
    tally.marker(_object(value, "cachePoint").get("ttl"))


# Kinds whose members are all text: every byte of their JSON counts. Video and audio have no bound.
_CONVERSE_BLOCKS: Mapping[str, Any] = {
    "text": _text,
    "json": _json,
    "guardContent": _guarded,
    "toolUse": _json,
    "reasoningContent": _json,
    "citationsContent": _texts,
    "searchResult": _texts,
    "toolAddition": _json,
    "toolRemoval": _json,
    "toolResult": _tool_result,
    "image": _image,
    "document": _document,
    "cachePoint": _cache_point,
}


def _list_of_objects(value: object, name: str) -> list[Mapping[str, Any]]:
    if not isinstance(value, list) or not all(isinstance(item, Mapping) for item in value):
        raise BadRequest(f"{name} must be a list of objects")
    return value


def _object(value: object, name: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise BadRequest(f"{name} must be an object")
    return value


def _decoded_length(value: object) -> int:
    if not isinstance(value, str):
        raise BadRequest("bytes must be base64 text")
    try:
        return len(base64.b64decode(value, validate=True))
    except (binascii.Error, ValueError):
        raise BadRequest("bytes must be base64 text") from None
