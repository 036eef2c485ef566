"""The words of a streamed answer as they pass by, for whoever keeps them once it has ended."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any

import orjson

from tenantry.domain import errors
from tenantry.domain.eventstream import Frame
from tenantry.ports.model import StreamEnd, StreamEndKind, StreamReply


class Heard:
    """A `StreamReply` that remembers what was said in it."""

    def __init__(self, reply: StreamReply) -> None:
        self._reply = reply
        self._parts: list[str] = []
        self._stop_reason = ""

    @property
    def status(self) -> int:
        return self._reply.status

    @property
    def headers(self) -> Mapping[str, str]:
        return self._reply.headers

    @property
    def request_id(self) -> str | None:
        return self._reply.request_id

    @property
    def end(self) -> StreamEnd | None:
        return self._reply.end

    async def __aiter__(self) -> AsyncIterator[Frame]:
        async for frame in self._reply:
            if frame.event_type == "contentBlockDelta":
                self._parts.append(text_of_delta(frame, lenient=True))
            elif frame.event_type == "messageStop":
                self._stop_reason = stop_reason_of(frame)
            yield frame

    async def aclose(self) -> None:
        await self._reply.aclose()

    @property
    def text(self) -> str:
        """What was said so far."""
        return "".join(self._parts)

    @property
    def stop_reason(self) -> str:
        """Empty until the model has said that it ended."""
        return self._stop_reason

    @property
    def whole(self) -> tuple[str, str] | None:
        """Text and stop reason, where the answer came to its end."""
        end = self._reply.end
        if end is None or end.kind is not StreamEndKind.COMPLETE or not self._stop_reason:
            return None
        return self.text, self._stop_reason


def text_of_delta(frame: Frame, *, lenient: bool = False) -> str:
    """The text of a delta; none where it is of another kind (reasoning, a citation).

    Raises `UpstreamRubbish`, or is empty where it is `lenient`.
    """
    try:
        text = orjson.loads(frame.payload)["delta"].get("text", "")
    except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError):
        text = None
    if isinstance(text, str):
        return text
    if lenient:
        return ""
    raise errors.UpstreamRubbish


def stop_reason_of(frame: Frame) -> str:
    try:
        reason: Any = orjson.loads(frame.payload).get("stopReason")
    except (orjson.JSONDecodeError, AttributeError):
        return ""
    return reason if isinstance(reason, str) else ""
