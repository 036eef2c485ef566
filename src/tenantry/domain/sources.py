"""Where the bytes of a request's images and documents may come from: the request itself, alone.

What leaves is signed with the deployment's credentials. A reference to an object in S3, a file or
an address would be read with the deployment's rights, and not with the tenant's. So every source
that is not known to hold its bytes or text is refused by name. What a client's own JSON says
(arguments and results of tools, schemas) is text, and is never looked at.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from tenantry.domain.errors import BadRequest

_IMAGE_MEMBERS: Final = ("bytes",)
_DOCUMENT_MEMBERS: Final = ("bytes", "text", "content")
# Names of members that are read from, or written to, elsewhere: lower case, without underscores.
_REFERENCES: Final = frozenset(
    {"s3location", "s3uri", "s3", "s3outputdataconfig", "outputdataconfig", "mcpservers"}
    | {"fileid", "fileuri", "container"}  # a container keeps files from one call to the next
)
_ADDRESSED: Final = frozenset(
    {"uri", "url", "imageurl", "image", "images", "inputimage", "source", "mediasource"}
)
# Members that hold a client's own JSON, in which any name may stand.
_OWN: Final = frozenset(
    {"tools", "toolconfig", "toolcalls", "functions", "arguments", "parameters", "properties"}
    | {"schema", "jsonschema", "inputschema", "responseformat", "outputformat", "outputconfig"}
    | {"metadata", "requestmetadata", "promptvariables"}
)
# What has a place of its own, where it is looked at block by block.
BLOCKS: Final = frozenset({"messages", "system", "toolConfig", "tools"})
_SCHEME: Final = re.compile(r"(?!data:)[a-z][a-z0-9+.-]{0,31}:", re.ASCII | re.IGNORECASE)


def image_source(image: Any, where: str = "image") -> None:
    """Of an image block of Converse, of a guardrail or of a Nova body. Raises `BadRequest`."""
    if not isinstance(image, Mapping):
        raise BadRequest(f"`{where}` must be an object")
    _known(image, ("format", "source", "error"), where)
    source: Any = image.get("source")
    _only_member(source, _IMAGE_MEMBERS, where)
    if not isinstance(source["bytes"], str):
        raise BadRequest("bytes must be base64 text")


def document_source(document: Mapping[str, Any]) -> str:
    """The one member that a document's source has. Raises `BadRequest`."""
    _known(document, ("format", "name", "source", "context", "citations"), "document")
    source: Any = document.get("source")
    member = _only_member(source, _DOCUMENT_MEMBERS, "document")
    if member == "bytes" and not isinstance(source["bytes"], str):
        raise BadRequest("bytes must be base64 text")
    return member


def _known(block: Mapping[str, Any], members: tuple[str, ...], where: str) -> None:
    for member in block:
        if member not in members:
            raise _elsewhere(f"{where}.{member}", ("source",))


def _only_member(source: Any, known: tuple[str, ...], where: str) -> str:
    if not isinstance(source, Mapping):
        raise BadRequest(f"`{where}.source` must be an object")
    for member in source:
        if member not in known:
            raise _elsewhere(f"{where}.source.{member}", known)
    if len(source) != 1:
        raise BadRequest(f"`{where}.source` must hold one of {', '.join(known)}")
    return str(next(iter(source)))


def anthropic_source(source: object, kinds: tuple[str, ...], where: str) -> Mapping[str, Any]:
    """A source of an Anthropic body, of one of `kinds` of it. Raises `BadRequest`."""
    if not isinstance(source, Mapping):
        raise BadRequest("source must be an object")
    if source.get("type") not in kinds:
        raise _elsewhere(f"{where}.source.type {str(source.get('type'))[:32]}", kinds)
    for member in source:
        if member not in ("type", "media_type", "data", "content"):
            raise _elsewhere(f"{where}.source.{member}", kinds)
    if not isinstance(source.get("data", ""), str):
        raise BadRequest(f"`{where}.source.data` must be a string")
    return source


def image_part(part: Mapping[str, Any]) -> None:
    """An image of a body in OpenAI's words, or of one in Anthropic's. Raises `BadRequest`."""
    if part.get("type") == "image":
        anthropic_source(part.get("source"), ("base64",), "image")
        return
    image = part.get("image_url")
    url = image.get("url") if isinstance(image, Mapping) else image
    if not isinstance(url, str) or not url[:5].lower() == "data:":
        raise BadRequest("`image_url.url` must be a data: URL; remote addresses are not fetched.")


def no_references(body: Mapping[str, Any], besides: frozenset[str] = BLOCKS) -> None:
    """Refuses members of any depth that name something elsewhere, but for a client's own JSON and
    for the members `besides`. Raises `BadRequest`."""
    for name, value in body.items():
        if name not in besides and isinstance(value, (str, list, dict)):
            _walk(name, value, addresses=True)


def no_references_in_block(value: object, kind: str) -> None:
    """The same of a block of texts, whose `source` and `url` say where a text once came from."""
    _walk(kind, value, addresses=False)


def _walk(name: str, value: object, *, addresses: bool) -> None:
    pending = [(name, value)]
    while pending:
        name, item = pending.pop()
        short = _short(name)
        if short in _OWN or item is None:
            continue
        if short in _REFERENCES:
            raise _elsewhere(name)
        if isinstance(item, str):
            if addresses and short in _ADDRESSED and _SCHEME.match(item):
                raise _elsewhere(name)
        elif isinstance(item, Mapping):
            pending.extend(item.items())
        elif isinstance(item, list):
            own = short in _ADDRESSED
            pending.extend((name, one) for one in item if own or isinstance(one, (Mapping, list)))


def _short(name: object) -> str:
    return str(name).replace("_", "").lower()


def _elsewhere(member: str, known: tuple[str, ...] = ()) -> BadRequest:
    taken = " or ".join(known) or "bytes or text"
    return BadRequest(
        f"`{member[:128]}` is not taken here: nothing is read or written elsewhere for a request; "
        f"send {taken}."
    )
