"""What the client of an outside service says when it fails, cut down to what a person reads."""

from __future__ import annotations

import re
from typing import Final

CHARS_MAX: Final = 300
_URL: Final = re.compile(r"https?://[^ ]+")
_CODE: Final = re.compile(r"<Code>([A-Za-z0-9.]{1,100})</Code>")  # of S3's XML
_XML: Final = re.compile(r"[ :]*<(\?xml|Error|Code)")


def first_words(problem: BaseException) -> str:
    """Its first line, without a URL: one may carry a signature, and says what was asked for. Of XML
    that S3 answered its code alone, on whichever line."""
    text, code = str(problem), code_of(problem)
    first = text.partition("\n")[0]
    xml = _XML.search(first)
    first = _URL.sub("…", (first[: xml.start()] if xml else first).strip())
    if code is None:
        return (first or type(problem).__name__)[:CHARS_MAX]
    return f"{first[: CHARS_MAX - len(code) - 2]}: {code}" if first else code


def code_of(problem: BaseException) -> str | None:
    """S3's own word for what is wrong, as `NoSuchBucket`; None where it said none."""
    found = _CODE.search(str(problem))
    return None if found is None else found[1]
