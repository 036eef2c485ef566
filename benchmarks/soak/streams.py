"""What a streamed answer says, whichever API streams it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from botocore.eventstream import EventStreamBuffer, ParserError

RUBBISH: Final = "unreadable"
# Exceptions of Bedrock's streams, as the codes of the refusals that they stand for.
_EXCEPTIONS: Final[Mapping[str, frozenset[str]]] = {
    "throttlingException": frozenset({"upstream_throttled"}),
    "serviceUnavailableException": frozenset({"upstream_unavailable", "unavailable"}),
    "internalServerException": frozenset({"upstream_unavailable", "internal"}),
    "modelTimeoutException": frozenset({"upstream_timeout"}),
    "modelStreamErrorException": frozenset({"upstream_rubbish", "upstream_failed"}),
    "validationException": frozenset({"upstream_refused"}),
    RUBBISH: frozenset({"upstream_rubbish"}),
}


@dataclass(frozen=True, slots=True)
class Streamed:
    """`is_whole`: it came to its proper end. `codes`: what an error in it can mean; `error` names
    one, also one that is not known."""

    text: str
    is_whole: bool
    charge: str | None = None
    error: str | None = None
    codes: frozenset[str] = frozenset()


def of_bedrock(body: bytes) -> Streamed:
    """Frames of ConverseStream; it ends with `metadata`, whose header has the charge."""
    buffer = EventStreamBuffer()
    buffer.add_data(body)
    text, charge, is_whole, error = [], None, False, None
    try:
        for message in buffer:
            kind = message.headers.get(":event-type")
            if kind == "contentBlockDelta":
                text.append(json.loads(message.payload)["delta"].get("text", ""))
            elif kind == "metadata":
                is_whole, charge = True, message.headers.get("x-tenantry-charge")
            elif kind is None:
                error = message.headers.get(":exception-type") or message.headers.get(":error-code")
    except (ValueError, ParserError):
        error = RUBBISH  # what the model sent is passed on as it is
    found = _EXCEPTIONS.get(error, frozenset()) if error else frozenset()
    return Streamed("".join(text), is_whole, charge, error, found)


def of_openai(body: bytes) -> Streamed:
    """Server-sent events of chat completions; they end with `[DONE]`."""
    text, charge, is_whole, error = [], None, False, None
    for line in body.split(b"\n"):
        if not line.startswith(b"data: "):
            continue
        if line == b"data: [DONE]":
            is_whole = True
            continue
        try:
            data = json.loads(line[6:])
        except ValueError:
            continue  # cut off in the middle
        if "error" in data:
            error = data["error"].get("code") or "nameless"
        text += [choice["delta"].get("content") or "" for choice in data.get("choices", ())]
        if "tenantry" in data:
            charge = data["tenantry"].get("charge")
    codes = frozenset({error}) if error else frozenset()
    return Streamed("".join(text), is_whole, charge, error, codes)
