"""Where the bytes of a request's images and documents may come from: the request itself, alone.

What leaves is signed with the deployment's credentials. A reference to an object in S3, a file or
an address would be read with the deployment's rights, and not with the tenant's. So every source
that is not known to hold its bytes or text is refused by name: by lists of what is taken where a
body is known (blocks of content, embedding models), elsewhere by the names and the beginnings that
references have. What a client's own JSON says (arguments and results of tools, schemas) is text,
and is never looked at; it is known by where it stands.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from tenantry.domain.errors import BadRequest

_IMAGE_MEMBERS: Final = ("bytes",)
_DOCUMENT_MEMBERS: Final = ("bytes", "text", "content")
# Names are compared in lower case, without underscores and hyphens.
# Of members that are read from, or written to, elsewhere; so is each that begins with `s3`.
_REFERENCES: Final = frozenset(
    {"outputdataconfig", "mcpservers", "bucket", "bucketname", "bucketowner", "objectkey"}
    | {"fileid", "fileuri", "container"}  # a container keeps files from one call to the next
)
# Of members that hold a picture, a sound, a film or an address of one: so are those that end so.
_ADDRESSED: Final = frozenset(
    {"images", "videos", "audios", "source", "sources", "mediasource", "media", "file", "files"}
)
_ADDRESSED_ENDS: Final = ("uri", "uris", "url", "urls", "image", "video", "audio")
# Of members that hold words, which may begin as an address does.
_TEXTS: Final = frozenset(
    {"text", "texts", "inputtext", "prompt", "query", "system", "suffix", "prefix", "stop"}
    | {"stopsequence", "stopsequences", "content", "message", "preamble", "instructions", "title"}
    | {"description", "name", "user", "userid", "refusal", "reasoning", "reasoningcontent"}
    | {"thinking", "signature", "safetyidentifier", "promptcachekey", "guidedchoice"}
)
_ARNS: Final = frozenset({"guardrailidentifier", "model", "modelid"})  # what has one as its name
# At the top of a body, as they are spelled: members that hold a client's own JSON, in which any
# name may stand.
_OWN: Final = frozenset(
    {"tools", "toolConfig", "functions", "metadata", "requestMetadata", "promptVariables"}
    | {"response_format", "output_format", "output_config", "outputConfig", "guided_json"}
)
_FIELDS: Final = "additionalModelRequestFields"  # of Converse: members of the model's own body
# What has a place of its own, where it is looked at block by block.
BLOCKS: Final = frozenset({"messages", "system", "toolConfig", "tools"})
# Readers of addresses drop blanks, controls and invisible characters, in front and within.
_DROPPED: Final = r"[\s\x00-\x20\x7f-\xa0\xad\u180e\u200b-\u200f\u2028-\u202f\u2060-\u206f\ufeff]*+"


def _spaced(word: str) -> str:
    return "".join(f"{letter}{_DROPPED}" for letter in word)


_REMOTE: Final = re.compile(
    f"{_DROPPED}(?:{_spaced('s3')}[an]?{_DROPPED}|{_spaced('arn')}|{_spaced('http')}(?:{_spaced('s')})?):",
    re.IGNORECASE,
)
_SCHEME: Final = re.compile(
    f"{_DROPPED}(?!{_spaced('data')}:)[a-z](?:{_DROPPED}[a-z0-9+.-]){{0,31}}{_DROPPED}:",
    re.IGNORECASE,
)


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
        no_references(part, besides=frozenset({"source"}))
        return
    image = part.get("image_url")
    url = image.get("url") if isinstance(image, Mapping) else image
    if not isinstance(url, str) or not url[:5].lower() == "data:":
        raise BadRequest("`image_url.url` must be a data: URL; remote addresses are not fetched.")
    for name, value in part.items():
        _walk(name, value)


def no_references(body: Mapping[str, Any], besides: frozenset[str] = BLOCKS) -> None:
    """Refuses members of any depth that name something elsewhere, but for a client's own JSON at
    the top and for the members `besides`. Raises `BadRequest`."""
    for name, value in body.items():
        if name in besides or name in _OWN or not isinstance(value, (str, list, Mapping)):
            continue
        if name == _FIELDS and isinstance(value, Mapping):
            no_references(value, besides=frozenset())
        else:
            _walk(name, value)


def no_references_in_block(value: object, kind: str) -> None:
    """The same of a block of texts, whose `source` and `url` say where a text once came from."""
    _walk(kind, value, addresses=False)


def no_references_to_embed(body: Mapping[str, Any], family: str) -> None:
    """Of an embedding model's body: what is not known of its family is refused, of another family
    as `no_references` does. Raises `BadRequest`."""
    known = _EMBEDDING.get(family)
    if known is None:
        no_references(body, besides=frozenset())
    else:
        _only(body, known, "")


def _only(value: Any, known: Any, where: str) -> None:
    """`known`: an object's members, a list's one kind of item, words, or else anything that is no
    reference. What has another form than that is looked at as if nothing were known of it."""
    if isinstance(known, Mapping) and isinstance(value, Mapping):
        for name, inner in value.items():
            if name not in known:
                raise _unknown(f"{where}.{name}".lstrip("."), known)
            _only(inner, known[name], f"{where}.{name}".lstrip("."))
    elif isinstance(known, list) and isinstance(value, list):
        for inner in value:
            _only(inner, known[0], where)
    elif known is not _WORDS or not isinstance(value, str):
        _walk(where.rpartition(".")[2], value)


def _walk(name: str, value: object, *, addresses: bool = True) -> None:
    """`addresses` False: names alone are looked at, and no text."""
    pending = [(name, _short(name), value, False)]
    while pending:
        name, short, item, in_media = pending.pop()
        if item is None:
            continue
        if short in _REFERENCES or short.startswith("s3"):
            raise _elsewhere(name)
        if isinstance(item, str):
            if addresses and _is_reference(item, short, in_media):
                raise _elsewhere(name)
        elif isinstance(item, Mapping):
            inside = in_media or _is_addressed(short)
            pending.extend((inner, _short(inner), one, inside) for inner, one in item.items())
        elif isinstance(item, list):
            held = (one for one in item if isinstance(one, (str, Mapping, list)))
            pending.extend((name, short, one, in_media) for one in held)


def _is_reference(text: str, short: str, in_media: bool) -> bool:
    """Of a string of the member `short`; `in_media`: of a picture, a sound, a film or a source."""
    if _is_addressed(short):
        return _SCHEME.match(text) is not None
    if short == "text" or (short in _TEXTS and not in_media):
        return False
    found = _REMOTE.match(text)
    return found is not None and not (short in _ARNS and text.startswith("arn:"))


def _is_addressed(short: str) -> bool:
    return short in _ADDRESSED or short.endswith(_ADDRESSED_ENDS)


def _short(name: str) -> str:
    return name.replace("_", "").replace("-", "").lower()


def _unknown(member: str, known: Mapping[str, Any]) -> BadRequest:
    taken = ", ".join(known)
    return BadRequest(f"`{member[:128]}` is not taken here: this model's members are {taken}.")


def _elsewhere(member: str, known: tuple[str, ...] = ()) -> BadRequest:
    taken = " or ".join(known) or "bytes or text"
    return BadRequest(
        f"`{member[:128]}` is not taken here: nothing is read or written elsewhere for a request; "
        f"send {taken}."
    )


# Bodies of embedding models (Amazon Bedrock user guide: Titan Text Embeddings, Titan Multimodal
# Embeddings, Cohere Embed 3 and 4; Amazon Nova user guide, embeddings schema; 2026-11).
_WORDS: Final = "words"
_PLAIN: Final = None
_BYTES: Final = {"bytes": _PLAIN}
_NOVA_MEDIA: Final = {"format": _PLAIN, "source": _BYTES}
_EMBEDDING: Final[Mapping[str, Mapping[str, Any]]] = {
    "titan_embed": {
        "inputText": _WORDS,
        "inputImage": _PLAIN,
        "dimensions": _PLAIN,
        "normalize": _PLAIN,
        "embeddingTypes": _PLAIN,
        "embeddingConfig": {"outputEmbeddingLength": _PLAIN},
    },
    "cohere_embed": {
        "texts": [_WORDS],
        "images": _PLAIN,
        "inputs": [
            {
                "content": [
                    {
                        "type": _PLAIN,
                        "text": _WORDS,
                        "image_url": {"url": _PLAIN, "detail": _PLAIN},
                    }
                ]
            }
        ],
        "input_type": _PLAIN,
        "truncate": _PLAIN,
        "embedding_types": _PLAIN,
        "output_dimension": _PLAIN,
        "max_tokens": _PLAIN,
    },
    "nova_embed": {
        "schemaVersion": _PLAIN,
        "taskType": _PLAIN,
        "singleEmbeddingParams": {
            "embeddingPurpose": _PLAIN,
            "embeddingDimension": _PLAIN,
            "text": {"value": _WORDS, "truncationMode": _PLAIN, "source": _BYTES},
            "image": {**_NOVA_MEDIA, "detailLevel": _PLAIN},
            "audio": _NOVA_MEDIA,
            "video": {**_NOVA_MEDIA, "embeddingMode": _PLAIN},
        },
    },
}
