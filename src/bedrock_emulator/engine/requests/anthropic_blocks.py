"""Reads the blocks of Anthropic's Messages bodies."""

from __future__ import annotations

import json
from typing import Any

from bedrock_emulator.engine import errors, media
from bedrock_emulator.engine.prompt import Prompt
from bedrock_emulator.engine.requests import checks
from bedrock_emulator.engine.requests.anthropic_members import as_dict, as_list, hold, missing, tag
from bedrock_emulator.engine.requests.cache_points import mark_cache
from bedrock_emulator.engine.requests.content import search_passage

_BLOCK_TYPES = (
    *("document", "image", "redacted_thinking", "search_result", "text", "thinking"),
    *("tool_result", "tool_use"),
)
_RESULT_TYPES = ("document", "image", "search_result", "text", "tool_reference")
_SOURCE_TYPES = {"image": ("base64",), "document": ("base64", "content", "text")}
# Blocks that are counted and not read.
_THOUGHTS: dict[str, dict[str, type]] = {
    "thinking": {"thinking": str, "signature": str},
    "redacted_thinking": {"data": str},
}
_IMAGE_TYPES = ("image/gif", "image/jpeg", "image/png", "image/webp")
_ENCODED_IMAGE_MAX = 5_242_880  # characters of base64, which are 3.75 MB of bytes
_BLOCK_OVERHEAD = 4  # tokens around a tool use or result in the family's template


class BlockReader:
    """Reads the blocks of one message into a prompt and gathers its tool ids."""

    def __init__(self, prompt: Prompt, role: str) -> None:
        self.prompt = prompt
        self.role = role
        self.tool_uses: list[str] = []
        self.tool_results: list[tuple[str, str]] = []  # an id and the path of its block

    def read(self, block: dict[str, Any], path: str) -> str:
        """The block's text."""
        kind = tag(block, _BLOCK_TYPES, path)
        if kind == "text":
            text = text_of(block, path)
            if not text.strip():
                raise errors.validation("messages: text content blocks must be non-empty")
            self.prompt.add_text(f"{self.role}:", text)
        elif kind in ("image", "document"):
            text = self._media(kind, block, path)
        elif kind == "tool_result":
            text = self._tool_result(block, path)
        elif kind == "search_result":
            blocks = self._search_result(block, path)
            self._count(kind, "\n".join(blocks))
            text = search_passage(blocks)
        else:
            if kind == "tool_use":
                self._tool_use(block, path)
            else:
                members = _THOUGHTS[kind]
                hold(block, members, f"{path}.{kind}", tuple(members))
            self._count(kind, _inner_text(kind, block))
            text = ""
        mark(block, self.prompt)
        return text

    def _count(self, kind: str, text: str) -> None:
        tokens = self.prompt.tokeniser.count(text) + _BLOCK_OVERHEAD
        self.prompt.add(f"{self.role}:{kind}:{text}", tokens)

    def _tool_use(self, block: dict[str, Any], path: str) -> None:
        if self.role != "assistant":
            raise errors.validation(
                f"{path}: `tool_use` blocks can only be in `assistant` messages"
            )
        if not isinstance(block.get("id"), str):
            raise errors.validation(f"{path}.tool_use.id: Field required")
        hold(block, {"name": str, "input": dict}, f"{path}.tool_use", ("name", "input"))
        self.tool_uses.append(block["id"])
        self.prompt.called.append((block["name"], block["input"]))

    def _tool_result(self, block: dict[str, Any], path: str) -> str:
        """Its parts are read as they are read outside of it, only that its texts may be blank."""
        if self.role != "user":
            raise errors.validation(f"{path}: `tool_result` blocks can only be in `user` messages")
        identity = block.get("tool_use_id")
        if not isinstance(identity, str):
            raise errors.validation(f"{path}.tool_result.tool_use_id: Field required")
        hold(block, {"is_error": bool}, f"{path}.tool_result")
        self.tool_results.append((identity, path))
        content = [] if block.get("content") is None else block["content"]
        path = f"{path}.tool_result.content"
        parts = [{"type": "text", "text": content}] if isinstance(content, str) else content
        texts, said = [], []
        for index, part in enumerate(as_list(parts, path)):
            where = f"{path}.{index}"
            kind = tag(as_dict(part, where), _RESULT_TYPES, where)
            if kind in ("image", "document"):
                said.append(self._media(kind, part, where))
                continue
            if kind == "search_result":
                blocks = self._search_result(part, where)
                texts += blocks
                said.append(search_passage(blocks))
                continue
            texts.append(text_of(part, where) if kind == "text" else _inner_text(kind, part))
            said.append(texts[-1])
        self._count("tool_result", "\n".join(texts))
        return "\n".join(said)

    def _media(self, kind: str, block: dict[str, Any], path: str) -> str:
        prompt = self.prompt
        source = as_dict(block.get("source"), f"{path}.source")
        if source.get("type") == "url":
            raise errors.validation(f"{path}.source: URL sources are not supported")
        path, of_block = f"{path}.{kind}.source", path
        tag(source, _SOURCE_TYPES[kind], path)
        if kind == "document":
            hold(block, {"title": str, "context": str}, f"{of_block}.document")
        texts: list[str] | None = None
        if kind == "image":
            tokens = _image_tokens(source, path)
        elif source.get("type") == "text":
            texts = [_plain_text(source, f"{path}.text")]
            tokens = prompt.tokeniser.count(texts[0])
        elif source.get("type") == "content":
            texts, tokens = _custom_content(source.get("content"), f"{path}.content", prompt)
        else:
            tokens = media.document_tokens(_bytes_of(source, path))
        prompt.add(f"{self.role}:{kind}:{json.dumps(source, sort_keys=True)}", tokens)
        if kind == "document":
            prompt.add_source(
                "document",
                block.get("title"),
                texts or (),
                one_text=source.get("type") != "content",
                cited=_is_cited(block, of_block),
            )
        return "" if texts is None else "<document>\n{}\n</document>".format("\n".join(texts))

    def _search_result(self, block: dict[str, Any], path: str) -> list[str]:
        where = f"{path}.search_result"
        members = {"source": str, "title": str, "content": list}
        hold(block, members, where, tuple(members))
        texts = []
        for index, part in enumerate(block["content"]):
            place = f"{where}.content.{index}"
            tag(as_dict(part, place), ("text",), place)
            texts.append(text_of(part, place))
        self.prompt.add_source(
            "search_result",
            block["title"],
            texts,
            one_text=False,
            cited=_is_cited(block, path),
            origin=block["source"],
        )
        return texts


def _is_cited(block: dict[str, Any], path: str) -> bool:
    """Whether a document or search result asks to be cited where it is quoted."""
    if block.get("citations") is None:
        return False
    path = f"{path}.citations"
    citations = as_dict(block["citations"], path)
    hold(citations, {"enabled": bool}, path)
    return bool(citations.get("enabled"))


def text_of(block: dict[str, Any], path: str) -> str:
    text = block.get("text")
    if not isinstance(text, str):
        raise missing(f"{path}.text")
    return text


def _bytes_of(source: dict[str, Any], path: str) -> bytes:
    data = media.decode(source.get("data"))
    if not data:
        raise errors.no_base64(f"{path}.base64")
    return data


def _image_tokens(source: dict[str, Any], path: str) -> int:
    size = media.image_size(_bytes_of(source, path))
    if size is None:
        raise errors.no_image(f"{path}.base64")
    encoded = len(source["data"])
    if encoded > _ENCODED_IMAGE_MAX:
        raise errors.validation(
            f"{path}.base64: image exceeds 5 MB maximum: {encoded} bytes > "
            f"{_ENCODED_IMAGE_MAX} bytes"
        )
    if max(size) > media.IMAGE_SIDE_MAX:
        raise errors.validation(
            f"{path}.base64.data: At least one of the image dimensions exceed max allowed size: "
            f"{media.IMAGE_SIDE_MAX} pixels"
        )
    if source.get("media_type") not in _IMAGE_TYPES:
        names = ", ".join(f"'{name}'" for name in _IMAGE_TYPES)
        raise errors.validation(f"{path}.base64.media_type: Input should be one of {names}")
    return media.image_tokens(size)


def _plain_text(source: dict[str, Any], path: str) -> str:
    """A document that is one text. Its type is said beside it and can be one alone."""
    if source.get("media_type") != "text/plain":
        raise errors.validation(f"{path}.media_type: Input should be 'text/plain'")
    text = source.get("data")
    if not isinstance(text, str):
        raise errors.validation(f"{path}.data: Input should be a valid string")
    return text


def _custom_content(content: Any, path: str, prompt: Prompt) -> tuple[list[str], int]:
    """Texts and tokens of a document in blocks, which answers cite one by one; or of one text."""
    texts, tokens = [], 0
    blocks = [{"type": "text", "text": content}] if isinstance(content, str) else content
    for index, block in enumerate(as_list(blocks, path)):
        where = f"{path}.{index}"
        kind = tag(as_dict(block, where), ("image", "text"), where)
        if kind == "image":
            tokens += _image_tokens(as_dict(block.get("source"), f"{where}.source"), where)
        else:
            texts.append(text_of(block, where))
            tokens += prompt.tokeniser.count(texts[-1])
    return texts, tokens


def _inner_text(kind: str, block: dict[str, Any]) -> str:
    if kind == "tool_use":
        return json.dumps([block.get("name"), block.get("input")], ensure_ascii=False)
    if kind in ("thinking", "redacted_thinking"):
        return str(block.get("thinking") or block.get("data") or "")
    content = block.get("content")
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else []
    return "\n".join(str(part.get("text", "")) for part in parts if isinstance(part, dict))


def mark(block: dict[str, Any], prompt: Prompt) -> None:
    """Sets a checkpoint where the block asks for one and the model has a cache."""
    if block.get("cache_control") is None:
        return
    control = as_dict(block["cache_control"], "cache_control")
    tag(control, ("ephemeral",), "cache_control")
    if prompt.model.cache_min:
        mark_cache(checks.given(control, "ttl", "5m"), prompt)
