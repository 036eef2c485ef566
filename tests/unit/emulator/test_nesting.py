"""How deep a body may be nested, and what a call costs whose record cannot be written."""

from __future__ import annotations

from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import orjson
import pytest

from bedrock_emulator.engine.types import Answer, Call, EmulatedError, TokenUsage
from bedrock_emulator.log_settings import LogSettings
from bedrock_emulator.nesting import DEPTH_MAX, too_deep
from bedrock_emulator.wire.exchange import Request
from bedrock_emulator.wire.meter import Books, Meter
from bedrock_emulator.wire.profile_requests import json_object
from bedrock_emulator.wire.requests import json_body

WRITABLE = 254  # levels that the JSON writer takes


def nested(levels: int, *, inner: bytes = b"1") -> bytes:
    """A body of so many levels, by turns of objects and arrays."""
    content = inner
    for level in range(levels - 1):
        content = b"[" + content + b"]" if level % 2 else b'{"a":' + content + b"}"
    return b'{"b":' + content + b"}"


def request(body: bytes) -> Request:
    return Request("POST", "/", "", {}, body, from_loopback=True)


@pytest.mark.parametrize("operation", ["Converse", "InvokeModel", "Rerank"])
def test_a_body_that_could_not_be_logged_is_refused(operation) -> None:
    assert json_body(request(nested(DEPTH_MAX)), operation)
    for levels in (DEPTH_MAX + 1, WRITABLE, 900):
        with pytest.raises(EmulatedError, match="nested deeper than 200 levels") as refused:
            json_body(request(nested(levels)), operation)
        assert (refused.value.name, refused.value.status) == ("ValidationException", 400)


def test_a_body_of_the_control_plane_too() -> None:
    assert json_object(nested(DEPTH_MAX))
    with pytest.raises(EmulatedError, match="nested deeper"):
        json_object(nested(DEPTH_MAX + 1))


def test_many_brackets_are_not_depth() -> None:
    wide = b"[" + b",".join([b"[{}]"] * 1_000) + b"]"
    assert not too_deep(orjson.loads(wide), wide)
    empty = nested(DEPTH_MAX + 1, inner=b"[]")
    assert too_deep(orjson.loads(empty), empty)


class Noted:
    """A bill or a log that notes what comes."""

    def __init__(self) -> None:
        self.taken: list[Any] = []

    def append(self, one: Any) -> None:
        self.taken.append(one)


def test_what_cannot_be_logged_is_not_billed() -> None:
    bill, log = Noted(), Noted()
    settings = SimpleNamespace(get=lambda *_: LogSettings(text=True))
    released: list[TokenUsage] = []
    account = SimpleNamespace(log_dir="logs")
    meter = Meter(
        Books(bill, log, settings),  # type: ignore[arg-type]
        lambda: datetime(2026, 11, 23, tzinfo=UTC),
        principal=SimpleNamespace(account=account, arn="arn"),  # type: ignore[arg-type]
        request_id="r",
        call=Call("Converse", "m", "111111111111", "us-east-1", {"a": object()}),
        request_metadata={},
    )
    meter.reservation = SimpleNamespace(settle=released.append)  # type: ignore[assignment]
    with pytest.raises(TypeError):
        meter.generated(Answer(TokenUsage(input=1)), TokenUsage(input=1))
    assert (bill.taken, log.taken) == ([], [])
    assert released == [TokenUsage(input=1)]
