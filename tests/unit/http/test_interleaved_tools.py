"""Tool calls of one stream whose blocks come by turns: each word belongs to its own block."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenantry.domain import eventstream
from tenantry.domain.eventstream import Decoder, Frame
from tenantry.domain.usage import Usage
from tenantry.entrypoints.http.openai.chunks import ChunkMaker

ARGUMENTS = ('{"city": "Brno"}', '{"city": "Oslo", "days": 3}', "")


def frame(kind: str, payload: Any) -> Frame:
    return Decoder().feed(eventstream.encode_event(kind, orjson.dumps(payload)))[0]


def block(index: int, name: str, arguments: str) -> list[Frame]:
    """The frames of one tool call, its arguments by the letter."""
    at = {"contentBlockIndex": index}
    start = {"toolUse": {"toolUseId": f"id-{name}", "name": name}}
    deltas = [{"delta": {"toolUse": {"input": letter}}, **at} for letter in arguments]
    return [
        frame("contentBlockStart", {"start": start, **at}),
        *(frame("contentBlockDelta", delta) for delta in deltas),
        frame("contentBlockStop", at),
    ]


def told(frames: Sequence[Frame], *, one_call: bool = False) -> dict[int, dict[str, str]]:
    """What a client makes of the chunks: id, name and arguments by the call's index."""
    maker = ChunkMaker(
        completion_id="c", created=1, model="m", include_usage=False, one_call=one_call
    )
    found: dict[int, dict[str, str]] = {}
    for each in frames:
        for chunk in maker.feed(each, Usage(), None):
            for call in chunk["choices"][0]["delta"].get("tool_calls", ()):
                one = found.setdefault(call["index"], {"arguments": ""})
                one["arguments"] += call["function"]["arguments"]
                if "id" in call:
                    assert one == {"arguments": ""}
                    one |= {"id": call["id"], "name": call["function"]["name"]}
    return found


def expected(*names: str) -> list[dict[str, str]]:
    by_name = dict(zip("abc", ARGUMENTS, strict=True))
    return [{"id": f"id-{n}", "name": n, "arguments": by_name[n] or "{}"} for n in names]


def by_turns(order: Sequence[int]) -> tuple[list[Frame], list[str]]:
    """Frames of three blocks, the next of that block which `order` names; then what is left. And
    the names in the order in which they began."""
    left = [block(i + 1, n, a) for i, (n, a) in enumerate(zip("abc", ARGUMENTS, strict=True))]
    frames, began = [], []
    for which in [*order, *(i for i in range(3) for _ in range(99))]:
        if left[which]:
            frames.append(left[which].pop(0))
            if frames[-1].event_type == "contentBlockStart":
                began.append("abc"[which])
    return frames, began


@given(st.lists(st.integers(0, 2), max_size=60))
def test_each_call_has_its_own_arguments(order: list[int]) -> None:
    frames, began = by_turns(order)
    assert list(told(frames).values()) == expected(*began)


@given(st.lists(st.integers(0, 2), max_size=60))
def test_of_one_call_nothing_is_told_that_another_said(order: list[int]) -> None:
    frames, began = by_turns(order)
    assert list(told(frames, one_call=True).values()) == expected(began[0])


def test_an_event_of_tomorrow_may_be_anything() -> None:
    assert told([frame("an event of tomorrow", ["of no shape"])]) == {}


@pytest.mark.parametrize("index", [{}, {"contentBlockIndex": 0}])
def test_blocks_of_one_index_come_one_after_the_other(index: dict[str, int]) -> None:
    frames = []
    for each in (*block(0, "a", ARGUMENTS[0]), *block(0, "b", ARGUMENTS[1])):
        payload = orjson.loads(each.payload)
        del payload["contentBlockIndex"]
        assert each.event_type is not None
        frames.append(frame(each.event_type, {**payload, **index}))
    assert list(told(frames).values()) == expected("a", "b")
