"""What the log holds of uploads that could not be indexed: one line for an outage, however many."""

from __future__ import annotations

import logging

import pytest
from tests.support.skipping import run

from tenantry.application.indexing_tasks import IndexingTasks
from tenantry.bootstrap.logs import Folded
from tenantry.domain.errors import BadRequest, Unavailable


def test_uploads_that_fail_alike_are_told_in_one_line(caplog: pytest.LogCaptureFixture) -> None:
    async def fails(failure: Exception) -> None:
        raise failure

    async def walk() -> None:
        tasks = IndexingTasks()
        for tenant in ("tnt_acme", "tnt_bolt"):
            for number in range(3):
                full = Unavailable("The disk is full; nothing was stored.")
                tasks.start(fails(full), f"index {tenant[4:]}-{number}", tenant)
        tasks.start(fails(BadRequest("of a tenant")), "reindex 9")
        await tasks.settle()

    with caplog.at_level(logging.WARNING, "tenantry.application.indexing_tasks"):
        run(walk())
    told = [(record.getMessage(), vars(record)["about"]) for record in caplog.records]
    line = "index ended: Unavailable: The disk is full; nothing was stored."
    names = [(f"index {who}-{n}", f"tnt_{who}") for who in ("acme", "bolt") for n in range(3)]
    assert sorted(told) == [
        *((line, f"{name} tenant {tenant}") for name, tenant in names),
        ("reindex ended: BadRequest", "reindex 9"),
    ]
    folded = Folded(lambda _: None, later=lambda *_: None)
    assert sum(folded.filter(record) for record in caplog.records) == 2
