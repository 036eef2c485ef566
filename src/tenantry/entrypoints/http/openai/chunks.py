"""Frames of ConverseStream as `chat.completion.chunk` objects. Pure, one object a stream.

The chunk with `finish_reason` waits for the frame that carries usage, because the last data object
of a stream says what it cost.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from tenantry.domain.eventstream import Frame
from tenantry.domain.usage import Usage
from tenantry.entrypoints.http.chats import Grounds
from tenantry.entrypoints.http.openai.from_converse import finish_reason, tier_name, to_usage


class ChunkMaker:
    """Feed it frames; it gives chunks. `finished` once the frame with usage has come."""

    def __init__(
        self,
        *,
        completion_id: str,
        created: int,
        model: str,
        include_usage: bool,
        one_call: bool = False,
    ) -> None:
        """`one_call`: of several tool calls the first alone is told."""
        self._base = {
            "id": completion_id,
            "object": "chat.completion.chunk",
            "created": created,
            "model": model,
        }
        self._include_usage = include_usage
        self._one_call = one_call
        self._finish = "stop"
        self._tools = -1  # index of the last tool call
        # By the block that it is in, for blocks may come by turns; None: nothing is told of it.
        self._calls: dict[int | None, int | None] = {}
        self._unsaid: set[int | None] = set()  # blocks under way, without any of their arguments
        self.finished = False

    def feed(
        self, frame: Frame, usage: Usage, charge: str | None, grounds: Grounds | None = None
    ) -> list[dict[str, Any]]:
        """All but the frame is looked at with the last frame only."""
        payload = orjson.loads(frame.payload)
        match frame.event_type:
            case "messageStart":
                return [self._chunk({"role": "assistant", "content": ""})]
            case "contentBlockStart":
                return self._started(_block(payload), payload.get("start", {}))
            case "contentBlockDelta":
                return self._delta(_block(payload), payload.get("delta", {}))
            case "contentBlockStop":
                return self._stopped(_block(payload))
            case "messageStop":
                self._finish = finish_reason(payload.get("stopReason"))
                return []
            case "metadata":
                self.finished = True
                told: dict[str, Any] = {} if charge is None else {"charge": charge}
                told |= {} if grounds is None else grounds()
                return self._last(usage, told, tier_name(payload.get("serviceTier")))
            case _:
                return []

    def _started(self, block: int | None, start: dict[str, Any]) -> list[dict[str, Any]]:
        use = start.get("toolUse")
        if use is None:
            return []
        if self._one_call and self._tools >= 0:
            self._calls[block] = None
            return []
        self._tools += 1
        self._calls[block] = self._tools
        self._unsaid.add(block)
        call = {
            "index": self._tools,
            "id": use["toolUseId"],
            "type": "function",
            "function": {"name": use["name"], "arguments": ""},
        }
        return [self._chunk({"tool_calls": [call]})]

    def _delta(self, block: int | None, delta: dict[str, Any]) -> list[dict[str, Any]]:
        if "text" in delta:
            return [self._chunk({"content": delta["text"]})]
        if "toolUse" in delta:
            return self._arguments(block, delta["toolUse"].get("input", ""))
        thought = delta.get("reasoningContent", {}).get("text")
        return [self._chunk({"reasoning_content": thought})] if thought else []

    def _arguments(self, block: int | None, said: str) -> list[dict[str, Any]]:
        index = self._calls.get(block, max(self._tools, 0))
        if index is None:
            return []
        if said:
            self._unsaid.discard(block)
        call = {"index": index, "function": {"arguments": said}}
        return [self._chunk({"tool_calls": [call]})]

    def _stopped(self, block: int | None) -> list[dict[str, Any]]:
        """A tool without parameters may be streamed without a word; OpenAI's always are JSON."""
        return self._arguments(block, "{}") if block in self._unsaid else []

    def _last(
        self, usage: Usage, told: Mapping[str, Any], tier: str | None
    ) -> list[dict[str, Any]]:
        chunks = [self._chunk({}, self._finish)]
        if self._include_usage:
            chunks.append({**self._base, "choices": [], "usage": to_usage(usage)})
        if tier is not None:
            chunks[0]["service_tier"] = tier
        if told:
            chunks[-1]["tenantry"] = told
        return chunks

    def _chunk(self, delta: dict[str, Any], finish: str | None = None) -> dict[str, Any]:
        choice = {"index": 0, "delta": delta, "finish_reason": finish, "logprobs": None}
        chunk = {**self._base, "choices": [choice]}
        if self._include_usage:
            chunk["usage"] = None
        return chunk


def _block(payload: Mapping[str, Any]) -> int | None:
    """None where a stream does not say; its blocks come one after the other then."""
    return payload.get("contentBlockIndex")
