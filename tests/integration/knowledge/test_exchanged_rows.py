"""Rows of one tenant that name one another's objects, as who can write its rows might have them:
who may not see a document reads nothing of it, whichever row leads there."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from tests.support import knowledge as support
from tests.support.postgres import Database
from tests.support.two_tenants import ALICE, BOB, A, B, process

from tenantry.application import documents, ingestion, retrieval
from tenantry.application.knowledge import Knowledge
from tenantry.domain.document import DocumentRow
from tenantry.domain.errors import Corrupt, NotFound, Unavailable
from tenantry.domain.ids import DocumentId, TenantId
from tenantry.domain.tenant import Principal
from tenantry.domain.upload import upload_from_text

HR = frozenset({"hr"})
SECRET = "salaries"  # in the restricted document's title, text and metadata, and in no other
PUBLIC = "canteen"
SIZES = {"small": 1, "with a card beside": 9_000}  # of the restricted one

# `$1` is the public document, `$2` the restricted one.
NAMED = "UPDATE tenantry.document d SET {} FROM tenantry.document r"
ONE = " WHERE d.document_id = $1 AND r.document_id = $2"
OBJECT = "original_id = r.original_id, original_bytes = r.original_bytes, card_bytes = r.card_bytes"
SEGMENT = "segment_id = r.segment_id, passages = r.passages"
EXCHANGES = {
    "original": [NAMED.format("original_id = r.original_id") + ONE],
    "original and sizes": [NAMED.format(OBJECT) + ONE],
    "segment": [NAMED.format(SEGMENT) + ONE],
    "both": [NAMED.format(f"{OBJECT}, {SEGMENT}") + ONE],
    "content": [
        "UPDATE tenantry.document SET content_hmac = sha256('x')"
        " WHERE document_id = $2 AND $1::text IS NOT NULL",
        NAMED.format(OBJECT) + ONE,
    ],
    "document ids": [
        "UPDATE tenantry.document SET document_id = $1 || 'x'"
        " WHERE document_id = $1 AND $2::text IS NOT NULL",
        "UPDATE tenantry.document SET document_id = $1 WHERE document_id = $2",
        "UPDATE tenantry.document SET document_id = $2 WHERE document_id = $1 || 'x'",
    ],
}


async def uploaded(
    deps: Knowledge, who: Principal, word: str, times: int = 1, **more: object
) -> str:
    text = f"All about {word}. " * times
    body = {"title": f"On {word}", "text": text, "metadata": {"of": word}, **more}
    return (await ingestion.ingest(deps, who, upload_from_text(body))).document.id


async def exchanged(database: Database, statements: list[str], *ids: str) -> None:
    """As the data plane's own role, which had the tenant taken up."""
    connection = await asyncpg.connect(database.dsn("app"))
    try:
        async with connection.transaction():
            await connection.execute("SELECT set_config('tenantry.tenant', $1, true)", A.id)
            for statement in statements:
                assert await connection.execute(statement, *ids) == "UPDATE 1"
            await connection.execute(
                "UPDATE tenantry.knowledge_partition SET generation = generation + 1"
            )
    finally:
        await connection.close()


async def all_that_is_read(
    deps: Knowledge, who: Principal, ids: tuple[str, ...], groups: frozenset[str] = frozenset()
) -> str:
    """By every door of a tenant's documents. A refusal reads nothing."""
    told: list[object] = []
    for name in ids:
        for door in (documents.get_document, documents.document_content):
            with suppress(NotFound, Corrupt, Unavailable):
                told.append(await door(deps, who, name, groups=groups))
    with suppress(Corrupt, Unavailable):
        told.append((await documents.list_documents(deps, who, groups=groups)).documents)
    for word in (SECRET, PUBLIC):
        with suppress(Corrupt, Unavailable):
            told.append(await retrieval.search(deps, who, word, top_k=9, groups=groups))
    return str(told)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("exchange", EXCHANGES)
def test_a_row_that_names_what_its_reader_may_not_see(
    database: Database, tmp_path: Path, exchange: str, size: str
) -> None:
    async def run() -> None:
        await support.add_tenants(database, A.id, B.id)
        async with process(database, tmp_path) as deps:
            public = await uploaded(deps, ALICE, PUBLIC)
            hidden = await uploaded(deps, ALICE, SECRET, SIZES[size], access=["hr"])
            theirs = await uploaded(deps, BOB, "of the other tenant")
            ids = public, hidden
            before = await all_that_is_read(deps, ALICE, ids)
            assert PUBLIC in before and SECRET not in before
            assert SECRET in await all_that_is_read(deps, ALICE, ids, HR)
            others = await all_that_is_read(deps, BOB, (theirs,))
            await exchanged(database, EXCHANGES[exchange], *ids)
            assert SECRET not in await all_that_is_read(deps, ALICE, ids)
            assert await all_that_is_read(deps, BOB, (theirs, *ids)) == others
        async with process(database, tmp_path) as deps:  # with nothing open yet
            assert SECRET not in await all_that_is_read(deps, ALICE, ids)

    asyncio.run(run())


def test_a_document_whose_row_names_a_strange_segment_is_replaced(
    database: Database, tmp_path: Path
) -> None:
    """It holds nothing of the old version, so all of the new one is embedded."""

    async def run() -> None:
        await support.add_tenants(database, A.id, B.id)
        async with process(database, tmp_path) as deps:
            public = await uploaded(deps, ALICE, PUBLIC)
            hidden = await uploaded(deps, ALICE, SECRET, access=["hr"])
            await exchanged(database, EXCHANGES["segment"], public, hidden)
            body = {"title": "New", "text": f"All about {PUBLIC}. "}
            await ingestion.replace_document(
                deps, ALICE, DocumentId(public), upload_from_text(body)
            )
            found = await documents.document_content(deps, ALICE, public)
            assert found.data.decode() == body["text"]

    asyncio.run(run())


def test_an_original_of_the_same_readers_is_not_another_document_s(
    database: Database, tmp_path: Path
) -> None:
    async def run() -> None:
        await support.add_tenants(database, A.id, B.id)
        async with process(database, tmp_path) as deps:
            one = await uploaded(deps, ALICE, "apples", access=["hr"])
            two = await uploaded(deps, ALICE, "pears", access=["hr"])
            await exchanged(database, EXCHANGES["original"], one, two)
            with pytest.raises(NotFound):
                await documents.document_content(deps, ALICE, one, groups=HR)
            found = await documents.document_content(deps, ALICE, two, groups=HR)
            assert b"pears" in found.data

    asyncio.run(run())


class Late:
    """A manifest whose first word on a document is of before it was replaced."""

    def __init__(self, manifest: Any, row: DocumentRow) -> None:
        self._manifest = manifest
        self._rows = [row]

    async def document(self, tenant_id: TenantId, document_id: DocumentId) -> DocumentRow | None:
        return self._rows.pop() if self._rows else await self._manifest.document(A.id, document_id)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._manifest, name)


@pytest.mark.parametrize("original", ["there still", "gone"])
def test_a_document_that_is_replaced_while_it_is_read(
    database: Database, tmp_path: Path, original: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its card is of the version for everybody by then, and the row of the one for a few."""

    async def nothing(*_: object) -> None: ...

    async def run() -> None:
        await support.add_tenants(database, A.id)
        async with process(database, tmp_path) as deps:
            name = DocumentId(await uploaded(deps, ALICE, SECRET, access=["hr"]))
            row = await deps.manifest.document(A.id, name)
            if original == "there still":
                monkeypatch.setattr(Knowledge, "delete_original", nothing)
            upload = upload_from_text({"title": f"On {PUBLIC}", "text": PUBLIC})
            by = ingestion.Caller(groups=HR)
            await ingestion.replace_document(deps, ALICE, name, upload, caller=by)
            for groups in (frozenset(), HR):
                late = replace(deps, manifest=Late(deps.manifest, row))
                found = await documents.document_content(late, ALICE, name, groups=groups)
                assert found.data == PUBLIC.encode() and found.card.title == f"On {PUBLIC}"

    asyncio.run(run())
