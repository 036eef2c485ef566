"""How many pages of a document held no text, through a reindex, which reads it anew."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import asyncpg
from tests.support.page_files import SCANNED, upload
from tests.support.postgres import Database
from tests.support.reindexes import ALICE, BOB, NEW, Process, Scene

from tenantry.application import documents, ingestion
from tenantry.domain.document import PageCount
from tenantry.domain.tenant import Principal
from tenantry.domain.upload import Upload, upload_from_text
from tenantry.ports.reindexing import ReindexState

PART = PageCount(6, 5)


async def add(one: Process, who: Principal, of: Upload) -> str:
    return str((await ingestion.ingest(one.deps, who, of)).document.id)


async def pages(one: Process, who: Principal, document_id: str) -> PageCount | None:
    return (await documents.get_document(one.deps, who, document_id)).pages


async def behind_its_back(database: Database, sql: str, *values: Any) -> None:
    superuser = await asyncpg.connect(database.dsn("superuser"))
    try:
        await superuser.execute(sql, *values)
    finally:
        await superuser.close()


def test_a_document_of_before_says_its_pages_from_its_reindex_on(
    played: Callable[[Scene], None], database: Database
) -> None:
    async def scene(one: Process) -> None:
        pdf = await add(one, ALICE, upload(SCANNED))
        note = await add(one, ALICE, upload_from_text({"title": "N", "text": "a note"}))
        of_bob = await add(one, BOB, upload(SCANNED))
        await behind_its_back(
            database, "UPDATE tenantry.document SET pages = NULL, pages_without_text = NULL"
        )
        for cancelled in (True, False):
            reached, go = one.held(NEW)
            await one.start(ALICE)
            await reached.wait()
            if cancelled:
                await one.reindexing.cancel(ALICE)
            go.set()
            await one.deps.tasks.settle()
            expected = None if cancelled else PART
            assert await pages(one, ALICE, pdf) == expected
        assert (await one.state(ALICE)).state is ReindexState.DONE
        assert await pages(one, ALICE, note) is None
        assert await pages(one, BOB, of_bob) is None, "it was not reindexed"

    played(scene)


def test_the_pages_are_those_of_the_index_that_is_searched(
    played: Callable[[Scene], None], database: Database
) -> None:
    """A reading that found more counts from the switch on, and not where it is given up."""

    async def scene(one: Process) -> None:
        first = await add(one, ALICE, upload(SCANNED))
        last = await add(one, ALICE, upload(SCANNED + b"\n"))
        of_bob = await add(one, BOB, upload(SCANNED))
        await behind_its_back(database, "UPDATE tenantry.document SET pages_without_text = 6")
        of_before = PageCount(6, 6)
        switch, waits = asyncio.Event(), asyncio.Event()
        reindexes = one.reindexing._reindexes
        held = reindexes.switch

        async def late(*given: Any, **named: Any) -> Any:
            waits.set()
            await switch.wait()
            return await held(*given, **named)

        reindexes.switch = late  # type: ignore[method-assign]
        await one.start(ALICE)
        await waits.wait()
        assert await pages(one, ALICE, first) == await pages(one, ALICE, last) == of_before
        await one.replace(ALICE, first, "no PDF any more")
        assert await pages(one, ALICE, first) is None
        switch.set()
        await one.deps.tasks.settle()
        assert (await one.state(ALICE)).state is ReindexState.DONE
        assert await pages(one, ALICE, first) is None
        assert await pages(one, ALICE, last) == PART
        assert await pages(one, BOB, of_bob) == of_before

    played(scene)
