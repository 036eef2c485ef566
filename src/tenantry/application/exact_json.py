"""JSON whose integers may be beyond 64 bits, which orjson reads as the nearest double. Pure.

What orjson reads as infinite it refuses, so that no integer has more than 309 digits here.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, Final

import orjson

_NUMBER: Final = re.compile(rb"[-+.\deE]{19,}+")  # whole, so that no digit is looked at twice
_LONG_RUN: Final = b"0" * 19  # the fewest digits that 64 bits may not hold
_TO_ZEROS: Final = bytes.maketrans(b"123456789", b"0" * 9)


def long_integers(body: bytes) -> Iterator[bytes]:
    """The integers of valid JSON that have 19 digits or more."""
    if _has_long_run(body):
        for match in _NUMBER.finditer(without_strings(body)):
            number = match[0]
            if number.removeprefix(b"-").isdigit():
                yield number


def without_strings(body: bytes) -> bytes:
    """What stands outside of the strings of valid JSON, each of them a `"`. A string may be any
    length: escapes are taken out all at once, where a pattern would look at one by one."""
    if b"\\" in body:
        body = body.replace(b"\\\\", b"").replace(b'\\"', b"")
    return b'"'.join(body.split(b'"')[::2])


def fits(integer: int) -> bool:
    """Whether orjson reads and writes it as it is: 64 bits, with a sign or without."""
    return -(2**63) <= integer < 2**64


def read(body: bytes) -> Any:
    """JSON with all of its integers' digits. Raises `orjson.JSONDecodeError`, and `RecursionError`
    for what nests deeper than Python calls."""
    value = orjson.loads(body)  # it refuses what `json` takes: NaN, lone surrogates
    return exactly(value, body)


def exactly(value: Any, body: bytes) -> Any:
    """What `orjson.loads` made of `body`, with all digits. Raises `RecursionError` as `read`."""
    return json.loads(body) if _has_long_run(body) else value


def write(value: Any) -> bytes:
    """The JSON of what `read` gave."""
    try:
        return orjson.dumps(value)
    except orjson.JSONEncodeError:  # an integer beyond 64 bits
        text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        return text.encode()


def _has_long_run(body: bytes) -> bool:
    """A pattern takes thirty times as long, which of files in base64 would be felt."""
    return _LONG_RUN in body.translate(_TO_ZEROS)
