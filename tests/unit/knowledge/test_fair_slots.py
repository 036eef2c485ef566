"""Places to read documents in: owners take turns, and one never has them all."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from tenantry.adapters.extraction.fair_slots import LIMIT, FairSlots
from tenantry.domain.errors import ConcurrencyLimited, Unavailable


class Readers:
    """Owners at work, in the order in which they got a place."""

    def __init__(self, slots: FairSlots) -> None:
        self.slots = slots
        self.order: list[str] = []
        self.gates: list[asyncio.Event] = []
        self.tasks: list[asyncio.Task[None]] = []

    async def arrive(self, *owners: str) -> None:
        for owner in owners:
            self.tasks.append(asyncio.create_task(self._read(owner)))
            await asyncio.sleep(0)

    async def finish(self, number: int) -> None:
        self.gates[number].set()
        for _ in range(3):
            await asyncio.sleep(0)

    async def finish_all(self) -> Sequence[str]:
        number = 0
        while number < len(self.gates):
            await self.finish(number)
            number += 1
        await asyncio.gather(*self.tasks)
        return self.order

    async def _read(self, owner: str) -> None:
        async with self.slots.slot(owner):
            self.order.append(owner)
            gate = asyncio.Event()
            self.gates.append(gate)
            await gate.wait()


def test_owners_take_turns_whoever_came_first() -> None:
    async def run() -> None:
        readers = Readers(FairSlots(1))
        await readers.arrive("a", "a", "a", "a", "b", "c", "b")
        assert await readers.finish_all() == ["a", "a", "b", "c", "a", "b", "a"]

    asyncio.run(run())


def test_one_owner_leaves_a_place_to_the_others() -> None:
    async def run() -> None:
        readers = Readers(FairSlots(3))
        await readers.arrive("a", "a", "a", "a")
        assert readers.order == ["a", "a"]
        await readers.arrive("b")
        assert readers.order == ["a", "a", "b"]
        await readers.finish(2)
        assert readers.order == ["a", "a", "b"], "the place is not a's either"
        assert await readers.finish_all() == ["a", "a", "b", "a", "a"]

    asyncio.run(run())


def test_who_waits_is_bounded_and_who_leaves_makes_room() -> None:
    async def run() -> None:
        readers = Readers(FairSlots(1, waiting_max=3, waiting_of_one_max=2))
        await readers.arrive("a", "a", "a")
        with pytest.raises(ConcurrencyLimited) as caught:
            await readers._read("a")
        assert caught.value.limit == LIMIT
        await readers.arrive("b")
        with pytest.raises(Unavailable):
            await readers._read("c")
        readers.tasks[1].cancel()
        await asyncio.sleep(0)
        await readers.arrive("c")
        with pytest.raises(asyncio.CancelledError):
            await readers.tasks[1]
        del readers.tasks[1]
        assert await readers.finish_all() == ["a", "a", "b", "c"]
        assert await Readers(readers.slots).finish_all() == []

    asyncio.run(run())


def test_a_turn_that_comes_as_its_owner_leaves_goes_to_the_next() -> None:
    async def run() -> None:
        readers = Readers(FairSlots(1))
        await readers.arrive("a", "b", "c")
        readers.gates[0].set()
        await asyncio.sleep(0)  # a has left, and b's turn has come, but b has not seen it
        readers.tasks[1].cancel()
        await asyncio.gather(*readers.tasks[:2], return_exceptions=True)
        await asyncio.sleep(0)
        assert readers.order in (["a", "c"], ["a", "b", "c"])
        await readers.arrive("d")
        readers.gates[-1].set()
        await asyncio.gather(readers.tasks[2])
        await asyncio.sleep(0)
        assert readers.order[-1] == "d"
        readers.gates[-1].set()
        await readers.tasks[3]

    asyncio.run(run())
