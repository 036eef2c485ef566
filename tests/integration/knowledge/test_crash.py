"""`kill -9` around effects: no acknowledged document is lost, no deleted one returns."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest
from tests.support import knowledge as support
from tests.support.knowledge_process import NEW_WORD, TENANT, UPLOADS, Doom, knowledge
from tests.support.pools import app_pool
from tests.support.postgres import Database

from tenantry.application import documents, indexing, retrieval
from tenantry.application.knowledge import Knowledge
from tenantry.application.tending import sweep_orphans
from tenantry.domain.document import DocumentState, Home, home_of
from tenantry.ports.objects import ObjectKind

NEVER = 1_000_000
WHO = support.principal(support.tenant(TENANT))
ROOT = Path(__file__).parents[3]
# Five uploads of put, insert, put, publish; one replaced by as many; merges of put, merge, deletes;
# one document deleted.
STEPS = range(1, 42, 3)


@pytest.mark.parametrize("side", ["before", "after"])
def test_a_kill_at_any_step_loses_nothing_acknowledged(
    database: Database, tmp_path: Path, side: str
) -> None:
    async def run() -> None:
        await support.add_tenants(database, TENANT)
        killed = 0
        async with _processes(database, side) as process:
            for step in STEPS:
                root = tmp_path / str(step)
                lines, status = await _killed(process, step, root)
                killed += status == -signal.SIGKILL
                await _verify(database, root, lines)
                await _as_superuser(
                    database, "DELETE FROM tenantry.tenant_key"
                )  # a root of its own
        assert killed >= len(STEPS) - 3, "the kills must hit the work, not its end"

    asyncio.run(run())


@contextlib.asynccontextmanager
async def _processes(database: Database, side: str) -> AsyncIterator[asyncio.subprocess.Process]:
    module = "tests.support.knowledge_process"
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", module, database.dsn("app"), side),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        cwd=ROOT,
    )
    try:
        yield process
    finally:
        assert process.stdin is not None
        process.stdin.close()
        await process.wait()  # it ends with its input


async def _killed(
    process: asyncio.subprocess.Process, step: int, root: Path
) -> tuple[list[list[str]], int]:
    """What one said, and how it ended."""
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(f"{step} {root}\n".encode())
    lines: list[list[str]] = []
    while not lines or lines[-1][0] != "ended":
        lines.append((await process.stdout.readline()).decode().split())
        assert lines[-1], "the process that forks them has ended"
    return lines[:-1], int(lines[-1][1])


async def _verify(database: Database, root: Path, lines: list[list[str]]) -> None:
    acknowledged = {words[1]: words[2] for words in lines if words[0] == "acknowledged"}
    deleting = {words[1] for words in lines if words[0] == "deleting"}
    deleted = {words[1] for words in lines if words[0] == "deleted"}
    async with app_pool(database.dsn("app"), max_size=2) as pool:
        deps = knowledge(root, pool, Doom(NEVER, after=False))
        home = home_of(WHO.tenant)
        await _expire_claims(database)
        await indexing.resume_indexing(deps, [WHO.tenant])
        await deps.tasks.settle()
        replacing = {words[1] for words in lines if words[0] == "replacing"}
        replaced = {words[1] for words in lines if words[0] == "replaced"}
        for document_id, number in acknowledged.items():
            if document_id in replacing:
                await _verify_one_version(deps, document_id, number, document_id in replaced)
                continue
            found = await retrieval.search(deps, WHO, f"word{number} common", top_k=1)
            if document_id in deleted:
                assert [p.document_id for p in found if p.document_id == document_id] == []
            elif document_id not in deleting:
                assert [p.document_id for p in found] == [document_id]
                assert (await documents.document_content(deps, WHO, document_id)).data
        await deps.vectors.settle()
        await sweep_orphans(home, deps.objects, deps.manifest, support.ours, age_s=0.0)
        await _no_orphans(deps, home)
        listed = (await documents.list_documents(deps, WHO, limit=UPLOADS + 1)).documents
        assert all(item.status is DocumentState.READY for item in listed)
        for item in listed:
            await documents.delete_document(deps, WHO, item.id)
        await deps.vectors.settle()
        await _no_orphans(deps, home)


async def _verify_one_version(
    deps: Knowledge, document_id: str, number: str, acknowledged: bool
) -> None:
    """The old version or the new one, and never both; the new one where that was acknowledged."""
    content = (await documents.document_content(deps, WHO, document_id)).data.decode()
    assert content in (f"{NEW_WORD} common", f"word{number} common")
    assert not acknowledged or content.startswith(NEW_WORD)
    found = await retrieval.search(deps, WHO, "common", top_k=UPLOADS + 1)
    assert [passage.text for passage in found if passage.document_id == document_id] == [content]
    assert (await documents.get_document(deps, WHO, document_id)).replacement is None


async def _no_orphans(deps: object, home: Home) -> None:
    stored = {
        entry.object_id
        for kind in (ObjectKind.ORIGINAL, ObjectKind.SEGMENT)
        for entry in await deps.objects.list(home, kind)
    }
    assert stored == await deps.manifest.objects(home.tenant_id)


async def _expire_claims(database: Database) -> None:
    await _as_superuser(
        database,
        "UPDATE tenantry.document SET claimed_until = now() - interval '1 s'"
        " WHERE state = 'indexing'",
    )


async def _as_superuser(database: Database, statement: str) -> None:
    connection = await asyncpg.connect(database.dsn("superuser"))
    await connection.execute(statement)
    await connection.close()
