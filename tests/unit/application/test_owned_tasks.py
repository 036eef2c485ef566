"""Work that outlives its cause is bounded, waited for, and never silent when it fails."""

from __future__ import annotations

import asyncio
import logging

import pytest
from tests.support.skipping import run

from tenantry.application.owned_tasks import OwnedTasks
from tenantry.domain.errors import NotFound, Unavailable


def test_past_its_bound_work_is_refused_and_never_begun() -> None:
    async def walk() -> None:
        tasks, gate, begun = OwnedTasks(limit=2), asyncio.Event(), []

        async def work(number: int) -> None:
            begun.append(number)
            await gate.wait()

        for number in range(2):
            tasks.start(work(number), name="work")
        with pytest.raises(Unavailable):
            tasks.start(work(2), name="work")
        assert await tasks.drain(1_000) == 2
        gate.set()
        assert await tasks.drain(1_000) == 0
        tasks.start(work(3), name="work")
        assert await tasks.drain(1_000) == 0
        assert begun == [0, 1, 3]

    run(walk())


@pytest.mark.parametrize(
    ("failure", "level"), [(RuntimeError("ours"), logging.ERROR), (NotFound(), logging.DEBUG)]
)
def test_a_fault_of_ours_is_logged_with_its_place(
    failure: Exception, level: int, caplog: pytest.LogCaptureFixture
) -> None:
    async def walk() -> None:
        async def work() -> None:
            raise failure

        tasks = OwnedTasks()
        tasks.start(work(), name="the name")
        await tasks.drain(1_000)

    with caplog.at_level(logging.DEBUG, "tenantry"):
        run(walk())
    (record,) = [r for r in caplog.records if r.name.startswith("tenantry")]
    assert record.levelno == level
    assert "the name" in record.message
    assert type(failure).__name__ in record.message or record.exc_info
