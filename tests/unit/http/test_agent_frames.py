"""The frames of an answer in a session: the last one waits for the turn to have ended."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from decimal import Decimal
from uuid import UUID

import botocore.session
import orjson
import pytest
from tests.support.skipping import run

from tenantry.application.answers import Answer
from tenantry.domain.chunk import Passage
from tenantry.domain.errors import TenantryError, Unavailable, UpstreamTimeout
from tenantry.domain.eventstream import Decoder
from tenantry.domain.ids import DocumentId
from tenantry.domain.usage import NO_USAGE
from tenantry.entrypoints.http.bedrock_agent.answers import frames_of

PASSAGE = Passage(DocumentId("doc_1"), "One", "first", 0.9, 0, 5)


class Stream:
    """Says its parts, then breaks or ends; its turn ends when it is told to."""

    def __init__(self, *parts: str, breaks: TenantryError | None = None) -> None:
        self.parts = parts
        self.breaks = breaks
        self.passages = [PASSAGE]
        self.max_tokens = None
        self.result: Answer | None = None
        self.ended = asyncio.Event()

    @property
    async def texts(self) -> AsyncIterator[str]:
        for part in self.parts:
            yield part
        await self.ended.wait()
        if self.breaks is not None:
            raise self.breaks
        text = "".join(self.parts)
        self.result = Answer(text, [], NO_USAGE, Decimal(1), "USD", UUID(int=0))

    def leave(self) -> None: ...


def kinds(raw: list[bytes]) -> list[str | None]:
    frames = Decoder().feed(b"".join(raw))
    return [frame.event_type or frame.exception_type for frame in frames]


def test_the_last_frame_waits_for_the_end_of_the_turn() -> None:
    async def go() -> None:
        stream, seen = Stream("It is ", "first [1]. ", "More"), []

        async def read() -> None:
            async for raw in frames_of(stream, guarded=True):
                seen.append(raw)

        reader = asyncio.create_task(read())
        for _ in range(50):
            await asyncio.sleep(0)
        assert kinds(seen).count("citation") == 1
        early = len(seen)
        stream.ended.set()
        await reader
        assert kinds(seen)[early:] == ["output", "guardrail"]
        last = Decoder().feed(seen[-1])[0]
        assert last.headers["x-tenantry-charge"] == "1 USD"
        assert orjson.loads(last.payload) == {"action": "NONE"}

    run(go())


def test_an_answer_of_nothing_still_says_its_charge() -> None:
    async def go() -> None:
        stream = Stream()
        stream.ended.set()
        (raw,) = [raw async for raw in frames_of(stream, guarded=False)]
        frame = Decoder().feed(raw)[0]
        assert (frame.event_type, orjson.loads(frame.payload)) == ("output", {"text": ""})
        assert frame.headers["x-tenantry-charge"] == "1 USD"

    run(go())


@pytest.mark.parametrize(
    ("trouble", "kind"),
    [
        (UpstreamTimeout(), "dependencyFailedException"),
        (Unavailable(), "internalServerException"),
        (TenantryError(), "internalServerException"),
    ],
)
def test_what_breaks_off_says_so_last(trouble: TenantryError, kind: str) -> None:
    """By an exception that the SDK's model of this stream has, else it would raise none of ours."""
    model = botocore.session.get_session().get_service_model("bedrock-agent-runtime")
    shape = model.operation_model("RetrieveAndGenerateStream").output_shape
    assert shape is not None and kind in shape.members["stream"].members

    async def go() -> None:
        stream = Stream("It ", breaks=trouble)
        stream.ended.set()
        frames = [raw async for raw in frames_of(stream, guarded=False)]
        assert kinds(frames) == ["output", kind]
        assert b"x-tenantry-charge" not in b"".join(frames)

    run(go())
