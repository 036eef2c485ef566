"""A stream written down as it passes: what is held, in which order, at whose pace."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from tenantry.application import recording
from tenantry.application.recording import Flow, RecordedBytes, Recording


class Source:
    def __init__(self, *chunks: bytes) -> None:
        self.chunks = chunks
        self.given = 0
        self.left = False

    def flow(self) -> Flow:
        return Flow({"a": "b"}, self._read(), self._leave)

    def _leave(self) -> None:
        self.left = True

    async def _read(self) -> AsyncIterator[bytes]:
        for chunk in self.chunks:
            await asyncio.sleep(0)
            self.given += 1
            yield chunk


class Kept:
    def __init__(self) -> None:
        self.bodies: list[bytes | None] = []
        self.may_finish = asyncio.Event()

    async def __call__(self, body: bytes | None) -> None:
        await self.may_finish.wait()
        self.bodies.append(body)


async def settle() -> None:
    for _ in range(200):
        await asyncio.sleep(0)


@pytest.mark.parametrize("hold", [False, True])
def test_who_holds_has_kept_before_the_end_is_read(hold: bool) -> None:
    async def scene() -> None:
        source, kept, seen = Source(b"one", b"two", b"three"), Kept(), []
        passing = Recording(source.flow(), RecordedBytes(), 100)

        async def read() -> None:
            async for chunk in passing.flow.chunks:
                seen.append(chunk)
            seen.append(b"end")

        reader = asyncio.create_task(read())
        run = asyncio.create_task(passing.run(kept, hold=hold))
        await settle()
        assert seen == [b"one", b"two"] + ([] if hold else [b"three", b"end"])
        kept.may_finish.set()
        await asyncio.gather(run, reader)
        assert seen == [b"one", b"two", b"three", b"end"]
        assert kept.bodies == [b"onetwothree"]

    asyncio.run(scene())


@pytest.mark.parametrize("size", [10, 11])
def test_what_is_too_large_still_reaches_its_client(size: int) -> None:
    async def scene() -> None:
        total, kept = RecordedBytes(), Kept()
        kept.may_finish.set()
        passing = Recording(Source(*[b"x"] * size).flow(), total, 10)
        run = asyncio.create_task(passing.run(kept, hold=True))
        body = b"".join([chunk async for chunk in passing.flow.chunks])
        await run
        assert body == b"x" * size
        assert kept.bodies == [b"x" * 10 if size == 10 else None]
        assert total.held == 0

    asyncio.run(scene())


def test_all_recordings_together_are_bounded() -> None:
    async def scene() -> None:
        total, kept = RecordedBytes(recording.RECORDED_BYTES_MAX), Kept()
        kept.may_finish.set()
        passing = Recording(Source(b"x").flow(), total, 10)
        await passing.run(kept, hold=False)
        assert kept.bodies == [None]
        assert total.held == recording.RECORDED_BYTES_MAX

    asyncio.run(scene())


def test_a_slow_client_holds_back_only_what_is_not_kept() -> None:
    async def scene() -> None:
        kept = Kept()
        kept.may_finish.set()
        source = Source(*[b"x"] * 200)
        passing = Recording(source.flow(), RecordedBytes(), 10)
        run = asyncio.create_task(passing.run(kept, hold=False))
        for _ in range(10):
            await settle()
        assert source.given < 200, "what nobody keeps was read ahead of its client"
        assert len([chunk async for chunk in passing.flow.chunks]) == 200
        await run

    asyncio.run(scene())


@pytest.mark.parametrize("limit", [10, 1_000])
def test_a_client_that_leaves_is_told_of_and_the_rest_is_read(limit: int) -> None:
    async def scene() -> None:
        kept = Kept()
        kept.may_finish.set()
        source = Source(*[b"x"] * 200)
        passing = Recording(source.flow(), RecordedBytes(), limit)
        run = asyncio.create_task(passing.run(kept, hold=True))
        await settle()
        passing.flow.leave()
        await run
        assert source.left
        assert source.given == 200
        assert kept.bodies == [b"x" * 200 if limit == 1_000 else None]

    asyncio.run(scene())
