"""`multipart/form-data` uploads (RFC 7578): one file and a few short fields."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import unquote

from multipart import (
    MultipartError,
    MultipartSegment,
    PushMultipartParser,
    parse_options_header,
)

from tenantry.domain.errors import BadRequest

PARTS_MAX: Final = 64
FIELD_BYTES_MAX: Final = 65_536
BOUNDARY_CHARS_MAX: Final = 70  # RFC 2046 §5.1.1
_EXTENDED: Final = re.compile(r";\s*filename\*=utf-8'[a-z-]*'([^;\s]+)", re.IGNORECASE)  # RFC 5987


@dataclass(slots=True)
class Form:
    """Fields in order of arrival, and the file."""

    fields: dict[str, list[str]] = field(default_factory=dict)
    data: bytes | None = None
    content_type: str = "application/octet-stream"
    file_name: str = ""

    def one(self, name: str) -> str | None:
        values = self.fields.get(name, [])
        if len(values) > 1:
            raise BadRequest(f"The field `{name}` was sent twice.")
        return values[0] if values else None


def parse_form(body: bytes, content_type: str) -> Form:
    """Raises `BadRequest` for what is malformed, too many parts, or not exactly one `file`."""
    _, options = parse_options_header(content_type)
    boundary = options.get("boundary", "")
    if not 0 < len(boundary) <= BOUNDARY_CHARS_MAX or not boundary.isascii():
        raise BadRequest("The multipart boundary is missing or malformed.")
    form = Form()
    try:
        with PushMultipartParser(
            boundary, max_segment_count=PARTS_MAX, max_segment_size=len(body)
        ) as parser:
            _read(parser, body, form)
    except (MultipartError, UnicodeDecodeError):
        raise BadRequest("The multipart body is malformed or incomplete.") from None
    if form.data is None:
        raise BadRequest("The multipart body has no part `file` with a file name.")
    return form


def _read(parser: PushMultipartParser, body: bytes, form: Form) -> None:
    part: MultipartSegment | None = None
    pieces: list[bytes] = []
    for item in parser.parse(body):
        if isinstance(item, MultipartSegment):
            part, pieces = item, []
        elif item is not None:
            pieces.append(bytes(item))
        elif part is not None:
            _end(part, b"".join(pieces), form)


def _file_name(part: MultipartSegment) -> str | None:
    """Also of `filename*=utf-8''…`, which RFC 7578 forbids and older clients send all the same."""
    name: str | None = part.filename
    if name is not None:
        return name
    found = _EXTENDED.search(part.header("Content-Disposition", ""))
    return None if found is None else unquote(found[1], errors="strict")


def _end(part: MultipartSegment, data: bytes, form: Form) -> None:
    file_name = _file_name(part)
    if file_name is None:
        if len(data) > FIELD_BYTES_MAX:
            raise BadRequest(f"A form field is larger than {FIELD_BYTES_MAX:,} bytes.")
        form.fields.setdefault(part.name or "", []).append(data.decode())
        return
    if part.name != "file" or form.data is not None:
        raise BadRequest("Send exactly one file, as the part `file`.")
    form.data = data
    form.file_name = file_name
    if part.content_type:
        charset = f"; charset={part.charset}" if part.charset else ""
        form.content_type = f"{part.content_type}{charset}"
