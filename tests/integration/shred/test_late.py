"""A shred that waits for longer than a day is told to operators, with what it waits for."""

from __future__ import annotations

import logging
import time
from pathlib import Path

import pytest
from tests.support.postgres import Database
from tests.support.shredding import Ground, begun, is_untouched, on_ground

from tenantry.application import shredding
from tenantry.application.shredding import shred_round


def test_a_shred_that_waits_for_a_lost_process_is_told_once_a_day(
    database: Database, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def body(at: Ground) -> None:
        at.born[11] = 11
        await at.process("here", 11)
        work = shred_round(await begun(at), time.monotonic).work

        def said() -> list[str]:
            lines = [each.getMessage() for each in caplog.records]
            caplog.clear()
            return lines

        await work()
        assert said() == []
        await at.world.as_superuser(
            "UPDATE tenantry.shred SET asked_at = asked_at - interval '25 hours'"
        )
        await work()
        [line] = said()
        assert line.startswith(f"alert: the shred of {at.anna.tenant_id}, asked for on ")
        assert line.endswith("waits for processes to make place for others: here gateway 11")
        await work()
        assert said() == []
        at.born.clear()
        await at.holders("here").look()
        await work()
        assert said() == []
        shred = await at.shredder().book.get(at.anna.tenant_id)
        assert shred is not None
        assert shred.step == "certified"
        await is_untouched(at)

    caplog.set_level(logging.WARNING, shredding.__name__)
    on_ground(database, tmp_path, body)
