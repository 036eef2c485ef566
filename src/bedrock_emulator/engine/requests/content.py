"""Reads Converse content blocks: what Bedrock takes is counted, what it refuses is refused."""

from __future__ import annotations

import json
import re
from typing import Any

from bedrock_emulator.engine import errors, media
from bedrock_emulator.engine.prompt import Prompt
from bedrock_emulator.engine.requests import cache_points, checks, shapes
from bedrock_emulator.engine.types import EmulatedError

_IMAGE_FORMATS = ("gif", "jpeg", "png", "webp")
_GUARDED_IMAGE_FORMATS = ("png", "jpeg")
_QUALIFIERS = ("grounding_source", "query", "guard_content")
# Service model, Message: of one message, and a document never without a text beside it.
_IMAGES_MAX = 20
_DOCUMENTS_MAX = 5
# Service model: VideoFormat, AudioFormat, ToolResultStatus.
_CLIP_FORMATS = {
    "video": ("mkv", "mov", "mp4", "webm", "flv", "mpeg", "mpg", "wmv", "three_gp"),
    "audio": (
        *("mp3", "opus", "wav", "aac", "flac", "mp4", "ogg", "mkv", "mka", "x-aac", "m4a"),
        *("mpeg", "mpga", "pcm", "webm"),
    ),
}
_STATUSES = ("success", "error")
_SOURCES = {
    "image": frozenset({"bytes", "s3Location"}),
    "document": frozenset({"bytes", "s3Location", "text", "content"}),
    "video": frozenset({"bytes", "s3Location"}),
    "audio": frozenset({"bytes", "s3Location"}),
}
_DOCUMENT_FORMATS = ("csv", "doc", "docx", "html", "md", "pdf", "txt", "xls", "xlsx")
_BLOCKS = frozenset(
    {
        *("text", "image", "document", "video", "audio", "toolUse", "toolResult", "guardContent"),
        *("cachePoint", "reasoningContent", "citationsContent", "searchResult"),
        *("toolAddition", "toolRemoval"),
    }
)
# Service model, DocumentBlock: letters, digits, single white space, hyphens, parentheses, brackets.
_DOCUMENT_NAME = re.compile(r"(?:[A-Za-z0-9()\[\]-]|\s(?!\s)){1,200}", re.ASCII)
_BLOCK_OVERHEAD = 4  # tokens around a tool use or result in the family's template


class ContentReader:
    """Reads the blocks of one message into a prompt and gathers its text and tool ids."""

    def __init__(self, prompt: Prompt, path: str, role: str) -> None:
        self.prompt = prompt
        self.path = path
        self.role = role
        self.tool_uses: list[str] = []
        self.tool_results: list[str] = []
        self._kinds: list[str] = []

    def read(self, blocks: list[Any]) -> str:
        texts = [self._block(block, f"{self.path}.content.{i}") for i, block in enumerate(blocks)]
        self._check_texts(blocks)
        for kind, most in (("image", _IMAGES_MAX), ("document", _DOCUMENTS_MAX)):
            if self._kinds.count(kind) > most:
                raise errors.validation(
                    f"The message at {self.path} has more than {most} {kind} blocks. "
                    f"Remove {kind} blocks and try again."
                )
        if "document" in self._kinds and "text" not in self._kinds:
            raise errors.validation(
                f"The message at {self.path} has a document block and no text block. "
                "Add a text block and try again."
            )
        return "\n".join(text for text in texts if text)

    def _check_texts(self, blocks: list[Any]) -> None:
        """A text may be of white space, but not all that a message has."""
        places = [index for index, kind in enumerate(self._kinds) if kind == "text"]
        if places and all(blocks[index]["text"].isspace() for index in places):
            raise _blank("ContentBlock", f"{self.path}.content.{places[0]}")

    def _block(self, block: Any, path: str) -> str:
        kind, value = checks.only_member(block, path, "ContentBlock")
        if kind not in _BLOCKS:
            raise errors.extraneous_key("/" + path.replace(".", "/"), kind)
        self._kinds.append(kind)
        prompt, mark = self.prompt, f"{self.role}:"
        if kind == "text":
            text = checks.as_text(value, path.replace(".", "/") + "/text")
            if not text:
                raise _blank("ContentBlock", path)
            prompt.add_text(mark, text)
            return text
        if kind == "cachePoint":
            cache_points.read_cache_point(value, prompt)
            return ""
        if kind in ("image", "document", "video", "audio"):
            if kind == "document":
                self._name_once(checks.as_object(value, path))
            return self._media(kind, value, path)
        if kind in ("toolUse", "toolResult"):
            return self._tool(kind, checks.as_object(value, path), path)
        if kind == "searchResult":
            return self._search_result(value, f"{path}.{kind}", mark)
        text = _other_text(kind, value, path)
        prompt.add_text(f"{mark}{kind}:", text)
        return text if kind != "reasoningContent" else ""

    def _media(self, kind: str, value: Any, path: str) -> str:
        if kind not in self.prompt.model.blocks:
            raise errors.unsupported_block(kind)
        value = checks.as_object(value, path)
        path = f"{path}.{kind}"
        origin, source = _read_source(kind, value, path)
        if origin == "s3Location":
            if self.prompt.model.native != "nova":
                raise errors.unsupported_field("s3Uri")
            shapes.hold(source, shapes.S3_LOCATION, f"{path}.source.s3Location")
        mark = f"{self.role}:{kind}:{json.dumps(value, sort_keys=True)}"
        if kind == "document":
            return self._document(value, origin, source, mark, path)
        if kind == "image":
            tokens = media.IMAGE_TOKENS_MAX
            if origin == "bytes":
                tokens = _image_tokens(source, path)
            if value.get("format") not in _IMAGE_FORMATS:
                raise errors.not_in_set(f"{path}.format", value.get("format"), _IMAGE_FORMATS)
            self.prompt.add(mark, tokens)
        else:
            form = value.get("format")
            known = _CLIP_FORMATS[kind]
            # Nova, which alone takes videos, takes their media types too (recorded).
            if form not in (*known, *(f"video/{name}" for name in known if kind == "video")):
                raise errors.not_in_set(f"{path}.format", form, known)
            self.prompt.add(mark, media.clip_tokens(source if origin == "bytes" else b""))
        return ""

    def _name_once(self, value: dict[str, Any]) -> None:
        name = checks.as_text(value.get("name", ""), "document/name")
        if name in self.prompt.documents:
            raise errors.validation(
                f"Messages contain duplicate document names: {name}. Remove duplicate document "
                "names and try again."
            )
        self.prompt.documents.add(name)

    def _document(
        self, value: dict[str, Any], origin: str, source: Any, mark: str, path: str
    ) -> str:
        form = checks.given(value, "format", "txt")
        if form not in _DOCUMENT_FORMATS:
            raise errors.not_in_set(f"{path}.format", form, _DOCUMENT_FORMATS)
        if not _DOCUMENT_NAME.fullmatch(str(value.get("name", ""))):
            raise errors.validation(
                "The file name can only contain alphanumeric characters, whitespace characters, "
                "hyphens, parentheses, and square brackets. The name can't contain more than one "
                "consecutive whitespace character."
            )
        shapes.hold(value, shapes.DOCUMENT, path)
        data = source if origin == "bytes" else b""
        if len(data) > media.DOCUMENT_BYTES_MAX:
            raise errors.too_large("document", path, "4.5 MB")
        blocks = _document_texts(origin, source, f"{path}.source")
        if form in media.TEXT_FORMATS and data:
            blocks = [data.decode("utf-8", "replace")]
        self.prompt.add_source(
            "document",
            str(value.get("name", "")),
            blocks,
            one_text=origin != "content",
            cited=_is_cited(value),
        )
        if text := "\n".join(blocks):
            self.prompt.add(mark, self.prompt.tokeniser.count(text))
            return f'<document name="{value.get("name", "")}">\n{text}\n</document>'
        self.prompt.add(mark, media.document_tokens(data))
        return ""

    def _search_result(self, value: Any, path: str, mark: str) -> str:
        shapes.hold(value, shapes.SEARCH_RESULT, path)
        blocks = _texts_in(value)
        self.prompt.add_text(f"{mark}searchResult:", "\n".join(blocks))
        self.prompt.add_source(
            "search_result",
            value["title"],
            blocks,
            one_text=False,
            cited=_is_cited(value),
            origin=value["source"],
        )
        return search_passage(blocks)

    def _tool(self, kind: str, value: dict[str, Any], path: str) -> str:
        if not self.prompt.tools and not self.prompt.built_in_tools:
            raise errors.validation(
                "The toolConfig field must be defined when using toolUse and toolResult content "
                "blocks."
            )
        where = f"{path}.{kind}"
        identity = checks.word(value.get("toolUseId"), f"{where}.toolUseId", checks.TOOL_USE_ID)
        if kind == "toolUse":
            checks.word(value.get("name"), f"{where}.name", checks.TOOL_NAME)
            if "input" not in value:
                raise errors.missing(f"{where}.input")
            self.tool_uses.append(identity)
            self.prompt.called.append((str(value.get("name")), value.get("input")))
            text = json.dumps([value.get("name"), value.get("input")], ensure_ascii=False)
            self._count(f"toolUse:{identity}:", text)
            return ""
        status = value.get("status")
        if status is not None and status not in _STATUSES:
            raise errors.not_in_set(f"{where}.status", status, _STATUSES)
        if self.role == "assistant":
            self._settle(identity)
        else:
            self.tool_results.append(identity)
        inner = checks.list_in(value, "content", f"{path}.toolResult.content")
        if self.prompt.model.native == "nova" and any(map(_lies_in_s3, inner)):
            raise errors.from_model(errors.extraneous_key(f"/{path.replace('.', '/')}", kind))
        return "\n".join(
            self._result(entry, f"{where}.content.{index}") for index, entry in enumerate(inner)
        )

    def _settle(self, identity: str) -> None:
        """A built-in tool has run within the assistant's own turn."""
        if identity not in self.tool_uses:
            raise errors.validation(
                f"The toolResult block at {self.path}.content answers no toolUse block before it: "
                f"{identity}"
            )
        self.tool_uses.remove(identity)

    def _result(self, entry: Any, path: str) -> str:
        kind, value = checks.only_member(entry, path, "ToolResultContentBlock")
        if kind in ("image", "document", "video"):
            return self._media(kind, value, path)
        if kind == "searchResult":
            return self._search_result(value, f"{path}.{kind}", f"{self.role}:toolResult:")
        if kind == "text":
            text = checks.as_text(value, path.replace(".", "/") + "/text")
        elif kind == "json":
            text = json.dumps(value, ensure_ascii=False)
        else:
            raise errors.extraneous_key("/" + path.replace(".", "/"), kind)
        self._count("toolResult:", text)
        return text

    def _count(self, key: str, text: str) -> None:
        tokens = self.prompt.tokeniser.count(text) + _BLOCK_OVERHEAD
        self.prompt.add(f"{self.role}:{key}{text}", tokens)


def search_passage(blocks: list[str]) -> str:
    """A search result as the models find passages."""
    text = "\n".join(blocks)
    return f"<search_result>\n{text}\n</search_result>" if text else ""


def _lies_in_s3(entry: Any) -> bool:
    """Whether a part of a tool's result is a document that is not sent along."""
    document = entry.get("document") if isinstance(entry, dict) else None
    source = document.get("source") if isinstance(document, dict) else None
    return isinstance(source, dict) and source.get("s3Location") is not None


def read_text(value: Any, path: str, shape: str) -> str:
    text = checks.as_text(value, path.replace(".", "/") + "/text")
    if not text.strip():
        raise _blank(shape, path)
    return text


def _blank(shape: str, path: str) -> EmulatedError:
    return errors.validation(
        f"The text field in the {shape} object at {path} is blank. Add text to the text field, "
        "and try again."
    )


def guarded_text(value: Any, path: str) -> str:
    """The text of a block that a guardrail looks at; of an image none."""
    kind, inner = checks.only_member(value, path, "GuardrailContentBlock")
    path = f"{path}.{kind}"
    if kind == "image":
        image = checks.as_object(inner, path.replace(".", "/"))
        if image.get("format") not in _GUARDED_IMAGE_FORMATS:
            form = image.get("format")
            raise errors.not_in_set(f"{path}.format", form, _GUARDED_IMAGE_FORMATS)
        origin, source = _read_source("image", image, path)
        if origin != "bytes":
            raise errors.extraneous_key(f"/{path.replace('.', '/')}/source", origin)
        _image_tokens(source, path)
        return ""
    if kind != "text":
        raise errors.extraneous_key("/" + path.replace(".", "/"), kind)
    block = checks.as_object(inner, path.replace(".", "/"))
    if block.get("qualifiers") is not None:
        name = f"{path}.qualifiers"
        for qualifier in checks.as_list(block["qualifiers"], name.replace(".", "/")):
            if qualifier not in _QUALIFIERS:
                raise errors.not_in_set(name, qualifier, _QUALIFIERS)
    return checks.as_text(block.get("text"), path.replace(".", "/") + "/text")


def _read_source(kind: str, value: dict[str, Any], path: str) -> tuple[str, Any]:
    """Where a block's data comes from, and that; bytes are decoded."""
    path = f"{path}.source"
    origin, source = checks.only_member(value.get("source"), path, f"{kind.title()}Source")
    if origin not in _SOURCES[kind]:
        raise errors.extraneous_key("/" + path.replace(".", "/"), origin)
    if origin != "bytes":
        return origin, source
    data = media.decode(checks.as_text(source, path.replace(".", "/") + "/bytes"))
    if data is None:
        raise errors.no_base64(f"{path}.bytes")
    if not data:
        raise errors.too_short(f"{path}.bytes")
    return origin, data


def _image_tokens(data: bytes, path: str) -> int:
    size = media.image_size(data)
    if size is None:
        raise errors.no_image(f"{path}.source.bytes")
    if len(data) > media.IMAGE_BYTES_MAX:
        raise errors.too_large("image", path, "3.75 MB")
    if max(size) > media.IMAGE_SIDE_MAX:
        raise errors.too_large("image", path, f"{media.IMAGE_SIDE_MAX} px on a side")
    return media.image_tokens(size)


def _document_texts(origin: str, source: Any, path: str) -> list[str]:
    """The texts of a document that comes as such."""
    if origin == "text":
        return [checks.as_text(source, path.replace(".", "/") + "/text")]
    if origin != "content":
        return []
    shapes.hold(source, shapes.DOCUMENT_CONTENT, f"{path}.content")
    return [str(entry["text"]) for entry in source]


def _is_cited(value: dict[str, Any]) -> bool:
    """Whether a document or search result asks to be cited where it is quoted."""
    return bool((value.get("citations") or {}).get("enabled"))


def match_tool_results(pending: list[str], answered: list[str], path: str) -> None:
    """Every tool use of a turn is answered in the next, and nothing else is."""
    if len(answered) > len(pending):
        raise errors.validation(
            f"The number of toolResult blocks at {path}.content exceeds the number of toolUse "
            "blocks of previous turn."
        )
    missing = [identity for identity in pending if identity not in answered]
    if missing:
        raise errors.validation(
            f"Expected toolResult blocks at {path}.content for the following Ids: "
            f"{', '.join(missing)}"
        )


def _texts_in(value: dict[str, Any]) -> list[str]:
    return [str(part["text"]) for part in value.get("content") or ()]


def _other_text(kind: str, value: Any, path: str) -> str:
    if kind == "guardContent":
        return guarded_text(value, path)
    shapes.hold(value, shapes.BLOCKS[kind], f"{path}.{kind}")
    if kind == "reasoningContent":
        return str((value.get("reasoningText") or {}).get("text", ""))
    if kind == "citationsContent":
        return "\n".join(_texts_in(value))
    return json.dumps(value, ensure_ascii=False)
