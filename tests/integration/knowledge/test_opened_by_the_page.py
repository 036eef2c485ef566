"""A home and its database as they are left, opened by a reader that knows the page alone: with the
manifest's rows, the KMS keys and the objects, everything that a tenant wrote comes back."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import asyncpg
import numpy as np
import pytest
from cryptography.exceptions import InvalidTag
from tests.support import by_the_page
from tests.support import knowledge as support
from tests.support.postgres import Database
from tests.support.two_tenants import ALICE, A, process

from tenantry.application import documents, ingestion
from tenantry.domain.upload import upload_from_file, upload_from_text

OWN = support.tenant("tnt_" + "s" * 26, silo=True)  # whose KMS key is its own
SILO = support.principal(OWN)
LARGE = "\n\n".join(f"Paragraph {n} of word{n}. " + "x" * 900 for n in range(90)).encode()
SMALL = b"# \xc3\x84pfel\n\nThey are red."


async def rows_of(database: Database, query: str, tenant_id: str) -> list[Any]:
    connection = await asyncpg.connect(database.dsn("superuser"))
    try:
        return await connection.fetch(query, tenant_id)
    finally:
        await connection.close()


@pytest.mark.parametrize("merged", [False, True])
def test_a_small_home_opens_by_the_page(database: Database, tmp_path: Path, merged: bool) -> None:
    async def left() -> dict[str, dict[str, bytes]]:
        """By tenant: of each document what was uploaded."""
        await support.add_tenants(database, A.id, OWN.id)
        kept: dict[str, dict[str, bytes]] = {}
        async with process(database, tmp_path) as deps:
            for who in (ALICE, SILO):
                more = [b"of number %d" % n for n in range(4 if merged else 0)]
                for data in (LARGE, SMALL, *more):
                    upload = upload_from_file(data, content_type="text/markdown", file_name="a.md")
                    done = await ingestion.ingest(deps, who, upload)
                    kept.setdefault(who.tenant_id, {})[done.document.id] = data
                gone = upload_from_text({"title": "Gone", "text": "gone"})
                removed = (await ingestion.ingest(deps, who, gone)).document.id
                await documents.delete_document(deps, who, removed)
            await deps.tasks.settle()
            await deps.vectors.settle()
        return kept

    async def run() -> None:
        kept = await left()
        for tenant in (A, OWN):
            home = by_the_page.Home(tmp_path / "accounts", tenant.placement.account, tenant.id)
            manifest = await rows_of(
                database, "SELECT * FROM tenantry.document WHERE tenant_id = $1", tenant.id
            )
            assert {row["document_id"] for row in manifest} == set(kept[tenant.id])
            segments = await rows_of(
                database, "SELECT * FROM tenantry.segment WHERE tenant_id = $1", tenant.id
            )
            assert (len(segments) < len(manifest)) is merged
            opened = {row["segment_id"]: _segment(home, row) for row in segments}
            for row in manifest:
                _check_document(home, row, kept[tenant.id][row["document_id"]])
                _check_passages(opened[row["segment_id"]], row)
        _check_that_nothing_opens_elsewhere(tmp_path / "accounts")

    asyncio.run(run())


def _check_that_nothing_opens_elsewhere(accounts: Path) -> None:
    """Each original of one tenant, put into the other's folder."""
    one, other = (by_the_page.Home(accounts, t.placement.account, t.id) for t in (A, OWN))
    for path in list(one.folder.glob("originals/*")):
        moved = other.folder / "originals" / path.name
        moved.write_bytes(path.read_bytes())
        with pytest.raises(InvalidTag):
            other.blob("originals", path.name)


def _segment(home: by_the_page.Home, row: Any) -> by_the_page.Segment:
    assert len(home.object("segments", row["segment_id"])) == row["size_bytes"]
    segment = home.segment(row["segment_id"], row["generation"])
    assert (len(segment.passages), segment.dimensions) == (row["row_count"], row["dimensions"])
    for (*_, text), vector in zip(segment.passages, segment.vectors, strict=True):
        assert vector == pytest.approx(np.array(support.vector_of(text)), abs=1e-3)
    return segment


def _check_document(home: by_the_page.Home, row: Any, data: bytes) -> None:
    card, found = by_the_page.original_of(home.blob("originals", row["original_id"]))
    assert found == data and len(data) == row["original_bytes"]
    assert (card["content_type"], card["file_name"]) == ("text/markdown", "a.md")
    beside = row["card_bytes"] > 0 and row["original_bytes"] > 64 * 1024
    assert beside is (data == LARGE)
    if beside:
        assert by_the_page.original_of(home.blob("cards", row["original_id"])) == (card, b"")


def _check_passages(segment: by_the_page.Segment, row: Any) -> None:
    own = [passage for passage in segment.passages if passage[0] == row["document_id"]]
    assert len(own) == row["passages"] > 0
    assert segment.cards[row["document_id"]][2] == "a.md"
