"""Content of OpenAI messages as Converse blocks. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from tenantry.entrypoints.http.openai.refusing import refused, unknown

# A media type's parameters say nothing that is asked for here.
_DATA_URL: Final = re.compile(
    r"data:([a-z]+/[a-z0-9.+-]+)(?:;[a-z0-9-]+=[^;,]*){0,4};base64,([a-z0-9+/]+={0,2})",
    re.ASCII | re.IGNORECASE,
)
_IMAGES: Final = {
    "image/png": "png",
    "image/jpeg": "jpeg",
    "image/jpg": "jpeg",  # which is no media type, and what many programs say
    "image/gif": "gif",
    "image/webp": "webp",
}
_OFFICE: Final = "application/vnd.openxmlformats-officedocument"
_DOCUMENTS: Final = {
    "application/pdf": "pdf",
    "text/plain": "txt",
    "text/markdown": "md",
    "text/html": "html",
    "text/csv": "csv",
    "application/msword": "doc",
    f"{_OFFICE}.wordprocessingml.document": "docx",
    "application/vnd.ms-excel": "xls",
    f"{_OFFICE}.spreadsheetml.sheet": "xlsx",
}
# What a part may hold beside its type and a cache mark. An answer's parts come back with what they
# cite; `detail` of an image and what is null promise nothing.
_MEMBERS: Final[Mapping[str, frozenset[str]]] = {
    "text": frozenset({"text", "annotations"}),
    "refusal": frozenset({"refusal"}),
    "image_url": frozenset({"image_url"}),
    "file": frozenset({"file"}),
}
_OF_ALL: Final = frozenset({"type", "cache_control"})
_OF_IMAGES: Final = frozenset({"url", "detail", "format"})
_OF_FILES: Final = frozenset({"file_data", "filename"})
# Bedrock takes letters, digits, single spaces, hyphens, parentheses and brackets.
_NOT_IN_NAMES: Final = re.compile(r"[^A-Za-z0-9()\[\]-]+", re.ASCII)
_NAME_CHARS_MAX: Final = 200

Block = dict[str, Any]


def to_blocks(content: str | list[dict[str, Any]] | None, where: str) -> list[Block]:
    """Text, images, files, and a `cachePoint` behind each part that asks for one. `where` names the
    message in an error."""
    if content is None:
        return []
    if isinstance(content, str):
        return [{"text": content}] if content else []
    blocks: list[Block] = []
    for number, part in enumerate(content):
        at = f"{where}.content[{number}]"
        blocks.append(_to_block(part, at))
        blocks += cache_point(part.get("cache_control"), f"{at}.cache_control")
    return blocks


def to_texts(content: str | list[dict[str, Any]] | None, where: str) -> list[Block]:
    """What can be text only, system and tool messages: one block each, and cache points."""
    blocks = to_blocks(content, where)
    for block in blocks:
        if "text" not in block and "cachePoint" not in block:
            raise refused(f"{where}.content", "takes text only.")
    return blocks


def cache_point(control: Any, where: str) -> list[Block]:
    """`{"type": "ephemeral"}`, the mark that OpenAI's clients set for other providers' caches, with
    its time to live; nothing where there is none."""
    if control is None:
        return []
    if not isinstance(control, Mapping) or control.get("type") != "ephemeral":
        raise refused(where, 'must be {"type": "ephemeral"}.')
    _refuse_others(control, frozenset({"type", "ttl"}), where)
    ttl = control.get("ttl")
    if ttl not in (None, "5m", "1h"):
        raise refused(f"{where}.ttl", "must be 5m or 1h.")
    return [{"cachePoint": {"type": "default"} | ({} if ttl is None else {"ttl": ttl})}]


def marked(blocks: Sequence[Block], point: Sequence[Block]) -> list[Block]:
    """`blocks` with a cache point at their end, where one is asked for, and never two."""
    if not blocks or "cachePoint" in blocks[-1]:
        return list(blocks)
    return [*blocks, *point]


def without_blanks(blocks: Sequence[Block]) -> list[Block]:
    """Without texts that say nothing. A cache point behind one is behind what stands before it."""
    kept: list[Block] = []
    for block in blocks:
        blank = "text" in block and not block["text"].strip()
        idle = "cachePoint" in block and (not kept or "cachePoint" in kept[-1])
        if not (blank or idle):
            kept.append(block)
    return kept


def _to_block(part: dict[str, Any], where: str) -> Block:
    kind = part.get("type")
    if isinstance(kind, str) and kind in _MEMBERS:
        _refuse_others(part, _OF_ALL | _MEMBERS[kind], where)
    match kind:
        case "text" | "refusal":
            text = part.get(kind)
            if not isinstance(text, str):
                raise refused(f"{where}.{kind}", "must be a string.")
            return {"text": text}
        case "image_url":
            image = _object(part.get("image_url"), _OF_IMAGES, f"{where}.image_url")
            media, data = _data_url(image.get("url"), f"{where}.image_url.url")
            if media not in _IMAGES:
                raise refused(where, "takes png, jpeg, gif and webp images.")
            if image.get("format") not in (None, media):
                raise refused(f"{where}.image_url.format", f"must be {media}, as its URL says.")
            return {"image": {"format": _IMAGES[media], "source": {"bytes": data}}}
        case "file":
            file = _object(part.get("file"), _OF_FILES, f"{where}.file")
            media, data = _data_url(file.get("file_data"), f"{where}.file.file_data")
            if media not in _DOCUMENTS:
                raise refused(where, "takes PDF, Word, Excel and text files.")
            document = {"format": _DOCUMENTS[media], "name": _file_name(file.get("filename"))}
            return {"document": {**document, "source": {"bytes": data}}}
        case _:
            raise refused(f"{where}.type", "must be `text`, `image_url` or `file`.")


def _object(value: Any, known: frozenset[str], where: str) -> Mapping[str, Any]:
    found = value if isinstance(value, Mapping) else {}
    _refuse_others(found, known, where)
    return found


def _refuse_others(value: Mapping[str, Any], known: frozenset[str], where: str) -> None:
    """What nobody here reads, unless it says nothing: the client meant something by it."""
    for name, member in value.items():
        if name not in known and member is not None:
            raise unknown(f"{where}.{name}")


def _data_url(url: Any, where: str) -> tuple[str, str]:
    match = _DATA_URL.fullmatch(url) if isinstance(url, str) else None
    if match is None:
        # Fetching addresses for a caller would let it reach what only the gateway can.
        raise refused(where, "must be a base64 data: URL; remote addresses are not fetched.")
    return match[1].lower(), match[2]


def _file_name(name: Any) -> str:
    stem = name.rpartition(".")[0] or name if isinstance(name, str) else ""
    return _NOT_IN_NAMES.sub(" ", stem).strip()[:_NAME_CHARS_MAX] or "document"
