"""Batch inference: many records, one job, each record metered by itself.

A record is a call of the batch's request: its number is the call's, and its `recordId` says so.
Pure: lines in and lines out, and what a line of output means.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from tenantry.domain import normalise
from tenantry.domain.errors import BadRequest
from tenantry.domain.normalise import Reading
from tenantry.domain.usage import TokenClass

RECORDS_MIN: Final = 100  # of a job: Bedrock's default quota
RECORDS_MAX: Final = 5_000  # each is an intent, and the ledger numbers calls to 32,767
BUCKET_PATTERN: Final = (  # no segment is `.` or `..`
    r"^s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](/[A-Za-z0-9_-][A-Za-z0-9._-]{0,127}){0,8}(?!\n)$"
)
ROLE_PATTERN: Final = (
    r"^arn:aws(-[a-z-]{1,16})?:iam::[0-9]{12}:role/[A-Za-z0-9_+=,.@/-]{1,512}(?!\n)$"
)
CODE_CHARACTERS_MAX: Final = 64
_SAID: Final = "; Bedrock says: "
_SAID_MAX: Final = 500  # characters of a provider's words
_RECORD_ID: Final = re.compile(r"R([0-9]{10})", re.ASCII)  # 11 letters and digits, as Bedrock's
# Families whose InvokeModel body tells usage: a batch's answer has no headers to tell it.
NATIVE_FAMILIES: Final = frozenset({"anthropic", "nova", "openai", "qwen", "llama", "titan_embed"})


@dataclass(frozen=True, slots=True)
class Answered:
    """A record that the model answered, and what it used."""

    call: int
    reading: Reading


@dataclass(frozen=True, slots=True)
class Failed:
    """A record that was not answered, which costs nothing. `code` is Bedrock's."""

    call: int
    code: str


def record_id(call: int) -> str:
    return f"R{call:010d}"


def input_lines(bodies: Sequence[Mapping[str, Any]]) -> bytes:
    """The JSONL of a job; the n-th body is the record of call n. Raises `BadRequest`."""
    return b"".join(_input_line(call, body) for call, body in enumerate(bodies))


def _input_line(call: int, body: Mapping[str, Any]) -> bytes:
    record = {"recordId": record_id(call), "modelInput": body}
    try:
        return f"{json.dumps(record, ensure_ascii=False, allow_nan=False)}\n".encode()
    except (ValueError, RecursionError):  # NaN, half a surrogate pair, or too deep
        raise BadRequest(f"record {call + 1}: it cannot be written as JSON") from None


def read_record(
    line: bytes, operation: str, family: str, write_class: TokenClass
) -> Answered | Failed | None:
    """What a line of output says; None where it is none of ours."""
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(record, dict):
        return None
    name = record.get("recordId")
    found = _RECORD_ID.fullmatch(name) if isinstance(name, str) else None
    if found is None:
        return None
    call = int(found[1])
    output = record.get("modelOutput")
    if output is None and "error" in record:
        error = record["error"]
        code = error.get("errorCode") if isinstance(error, dict) else None
        return Failed(call, printable(code)[:CODE_CHARACTERS_MAX])
    if operation == "Converse":
        usage = output.get("usage") if isinstance(output, dict) else None
        return Answered(call, normalise.from_converse(usage, family, write_class))
    return Answered(call, normalise.from_invoke({}, output, family, write_class))


def printable(said: object) -> str:
    """What a provider said, as every store takes it: no control character, no half of a pair."""
    if not isinstance(said, str | int | float | None):
        return type(said).__name__
    return "".join(each if each.isprintable() else "?" for each in str(said)[:_SAID_MAX])


def with_words(message: str, said: object) -> str:
    """What became of a job, and what the provider said of it, if anything."""
    return f"{message}{_SAID}{printable(said)}" if said else message


def without_words(message: str) -> str:
    """As its tenant may read it: a provider's words may name account, role and bucket."""
    return message.partition(_SAID)[0]


def records_uri(output_uri: str, job_arn: str, input_uri: str) -> str:
    """Where Bedrock writes a job's records: below the job's id, under its input's name."""
    job_id = job_arn.rpartition("/")[2]
    return f"{output_uri.rstrip('/')}/{job_id}/{input_uri.rpartition('/')[2]}.out"
