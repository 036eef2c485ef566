"""Content of OpenAI messages as Converse blocks. Pure."""

from __future__ import annotations

import re
from typing import Any, Final

from tenantry.domain.errors import BadRequest

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
_DOCUMENTS: Final = {
    "application/pdf": "pdf",
    "text/plain": "txt",
    "text/markdown": "md",
    "text/html": "html",
    "text/csv": "csv",
}
# Bedrock takes letters, digits, single spaces, hyphens, parentheses and brackets.
_NOT_IN_NAMES: Final = re.compile(r"[^A-Za-z0-9()\[\]-]+", re.ASCII)
_NAME_CHARS_MAX: Final = 200


def to_blocks(content: str | list[dict[str, Any]] | None, where: str) -> list[dict[str, Any]]:
    """Text, images and files. `where` names the message in an error."""
    if content is None:
        return []
    if isinstance(content, str):
        return [{"text": content}] if content else []
    return [_to_block(part, f"{where}.content[{i}]") for i, part in enumerate(content)]


def to_text(content: str | list[dict[str, Any]] | None, where: str) -> str:
    """What can be text only: system and tool messages."""
    blocks = to_blocks(content, where)
    for block in blocks:
        if "text" not in block:
            raise BadRequest(f"`{where}.content` takes text only.")
    return "".join(block["text"] for block in blocks)


def _to_block(part: dict[str, Any], where: str) -> dict[str, Any]:
    kind = part.get("type")
    match kind:
        case "text" | "refusal":
            text = part.get(kind)
            if not isinstance(text, str):
                raise BadRequest(f"`{where}.{kind}` must be a string.")
            return {"text": text}
        case "image_url":
            image = part.get("image_url")
            url = image.get("url") if isinstance(image, dict) else None
            media, data = _data_url(url, f"{where}.image_url.url")
            if media not in _IMAGES:
                raise BadRequest(f"`{where}` takes png, jpeg, gif and webp images.")
            return {"image": {"format": _IMAGES[media], "source": {"bytes": data}}}
        case "file":
            file = part.get("file")
            file = file if isinstance(file, dict) else {}
            media, data = _data_url(file.get("file_data"), f"{where}.file.file_data")
            if media not in _DOCUMENTS:
                raise BadRequest(f"`{where}` takes PDF and text files.")
            document = {"format": _DOCUMENTS[media], "name": _file_name(file.get("filename"))}
            return {"document": {**document, "source": {"bytes": data}}}
        case _:
            raise BadRequest(f"`{where}.type` must be `text`, `image_url` or `file`.")


def _data_url(url: Any, where: str) -> tuple[str, str]:
    match = _DATA_URL.fullmatch(url) if isinstance(url, str) else None
    if match is None:
        # Fetching addresses for a caller would let it reach what only the gateway can.
        raise BadRequest(f"`{where}` must be a base64 data: URL; remote addresses are not fetched.")
    return match[1].lower(), match[2]


def _file_name(name: Any) -> str:
    stem = name.rpartition(".")[0] or name if isinstance(name, str) else ""
    return _NOT_IN_NAMES.sub(" ", stem).strip()[:_NAME_CHARS_MAX] or "document"
