"""An upload: what a client sends, checked before anything is done with it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from tenantry.domain.access import tags_from
from tenantry.domain.document import Card, MetadataValue, fits_64_bits
from tenantry.domain.errors import BadRequest, TooLarge
from tenantry.domain.one_form import in_nfc
from tenantry.domain.original import card_bytes

BODY_BYTES_MAX = 25_000_000  # of any request: Bedrock's limit for InvokeModel
UPLOAD_BYTES_MAX = BODY_BYTES_MAX  # less what the form or the JSON around it takes
READY_AT_ONCE_BYTES = 1024 * 1024  # smaller uploads answer `ready`
TITLE_CHARS_MAX = 512
METADATA_KEYS_MAX = 32
METADATA_KEY_CHARS_MAX = 100  # as a filter can name
METADATA_TEXT_CHARS_MAX = 1_024
METADATA_LIST_MAX = 32
CARD_BYTES_MAX = 16_384  # of all that is said of a document; Bedrock's own metadata file has 10 KB
# What Retrieve shows beside a document's own metadata, and what Bedrock's has there.
RESERVED_PREFIXES = ("x-tenantry-", "x-amz-bedrock-kb-")
_SURROGATE = re.compile("[\ud800-\udfff]")
CONTROLS = r"\u0000-\u001f\u007f-\u009f\u2028\u2029"  # and line ends: what no name holds
_CONTROLS = re.compile(f"[{CONTROLS}]+")

FILE_NAME_CHARS_MAX = 255
CONTENT_TYPE_CHARS_MAX = 255
STRING_TYPE = "text/plain; charset=utf-8"  # of text that came as a string of JSON, without a name


@dataclass(frozen=True, slots=True)
class Upload:
    """`card.content_type` is as declared: extraction decides what the bytes are."""

    card: Card
    data: bytes


def upload_from_text(body: object) -> Upload:
    """From the JSON body `{title, text, metadata, access}`. Else BadRequest, TooLarge."""
    if not isinstance(body, Mapping):
        raise BadRequest("The body must be a JSON object.")
    unknown = sorted(str(key) for key in set(body) - {"title", "text", "metadata", "access"})
    if unknown:
        raise BadRequest(f"Unknown field `{unknown[0][:80]}`.")
    text = body.get("text")
    if not isinstance(text, str):
        raise BadRequest("`text` must be a string.")
    check_text(text, "text")
    return upload_from_file(
        text.encode(),
        content_type=STRING_TYPE,
        file_name="",
        title=title_from(body.get("title")),
        metadata=body.get("metadata"),
        access=body.get("access"),
    )


def upload_from_file(
    data: bytes,
    *,
    content_type: str,
    file_name: str,
    title: object = None,
    metadata: object = None,
    access: object = None,
) -> Upload:
    """From a multipart file; without a title its file name is one, in which a blank stands for
    control characters. Else BadRequest, TooLarge."""
    check_size(len(data))
    for value, name in ((content_type, "content type"), (file_name, "file name")):
        check_text(value, name)
    if len(file_name) > FILE_NAME_CHARS_MAX or len(content_type) > CONTENT_TYPE_CHARS_MAX:
        raise BadRequest("The file name and the content type have at most 255 characters each.")
    file_name = " ".join(filter(None, _CONTROLS.split(file_name)))
    card = Card(
        title=title_from(title if title is not None else file_name),
        content_type=content_type,
        file_name=file_name,
        metadata=metadata_from(metadata),
        access=tags_from(access),
    )
    if card_bytes(card) > CARD_BYTES_MAX:
        raise BadRequest(
            "`title`, `metadata`, `access` and the file name take more than "
            f"{CARD_BYTES_MAX:,} bytes together."
        )
    return Upload(card, data)


def check_text(text: str, name: str) -> None:
    """NUL and lone surrogates are refused: no store and no model takes them faithfully."""
    if "\x00" in text:
        raise BadRequest(f"`{name}` holds a NUL character.")
    if _SURROGATE.search(text):
        raise BadRequest(f"`{name}` holds a lone surrogate, which is not valid Unicode.")


def title_from(value: object) -> str:
    """A title of 1 to 512 characters, trimmed, blanks for control characters. Else BadRequest."""
    if not isinstance(value, str):
        raise BadRequest("`title` must be a non-empty string.")
    check_text(value, "title")
    title = " ".join(_CONTROLS.sub(" ", value).split())
    if not title:
        raise BadRequest("`title` must be a non-empty string.")
    if len(title) > TITLE_CHARS_MAX:
        raise BadRequest(f"`title` is longer than {TITLE_CHARS_MAX} characters.")
    return title


def metadata_from(value: object) -> dict[str, MetadataValue]:
    """A flat object of strings, numbers, booleans and lists of strings, as it is given; filters
    compare it in NFC. Else BadRequest."""
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise BadRequest("`metadata` must be an object.")
    if len(value) > METADATA_KEYS_MAX:
        raise BadRequest(f"`metadata` holds at most {METADATA_KEYS_MAX} keys.")
    metadata = {_metadata_key(key): _metadata_value(key, item) for key, item in value.items()}
    if len(set(map(in_nfc, metadata))) < len(metadata):
        raise BadRequest("Two keys of `metadata` are the same to Unicode (NFC).")
    return metadata


def check_size(size_bytes: int) -> None:
    if size_bytes > UPLOAD_BYTES_MAX:
        raise TooLarge(f"The document is larger than {UPLOAD_BYTES_MAX:,} bytes.")


def _metadata_key(key: object) -> str:
    if not isinstance(key, str) or not 0 < len(key) <= METADATA_KEY_CHARS_MAX:
        raise BadRequest(f"A key of `metadata` has 1 to {METADATA_KEY_CHARS_MAX} characters.")
    check_text(key, "metadata")
    if _CONTROLS.search(key):
        raise BadRequest("A key of `metadata` holds a control character.")
    for prefix in RESERVED_PREFIXES:
        if key.startswith(prefix):
            raise BadRequest(f"Keys of `metadata` that begin with `{prefix}` are taken.")
    return key


def _metadata_value(key: str, value: object) -> MetadataValue:
    if isinstance(value, (bool, int, float)):
        if not fits_64_bits(value):
            raise BadRequest(f"`metadata.{key}` does not fit 64 bits.")
        return value
    if isinstance(value, str):
        return _metadata_text(key, value)
    if isinstance(value, (list, tuple)) and len(value) <= METADATA_LIST_MAX:
        return tuple(_metadata_text(key, item) for item in value)
    raise BadRequest(
        f"`metadata.{key}` must be a string, a finite number, a boolean or a short list of strings."
    )


def _metadata_text(key: str, value: object) -> str:
    if not isinstance(value, str) or len(value) > METADATA_TEXT_CHARS_MAX:
        raise BadRequest(
            f"`metadata.{key}` holds strings of at most {METADATA_TEXT_CHARS_MAX} characters."
        )
    check_text(value, "metadata")
    return value
