"""Processes that upload, replace and delete, each killed around its n-th effect on the world.

    python -m tests.support.knowledge_process <dsn> before|after

forks one for each line `<effect> <root>` that it is given. It writes `acknowledged <document id>`,
`replacing <id>`, `replaced <id>`, `deleting <id>` and `deleted <id>` lines, each flushed at once;
after its end `ended <status>` follows.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import traceback
from pathlib import Path
from typing import Any

from tests.support import knowledge as support
from tests.support.pools import app_pool

from tenantry.adapters.extraction.extractor import FileExtractor
from tenantry.adapters.extraction.splitter import SemanticSplitter
from tenantry.adapters.postgres.manifest import PostgresManifest
from tenantry.adapters.postgres.noted_keys import PostgresNotedKeys
from tenantry.adapters.postgres.unit_of_work import TenantWork
from tenantry.application import documents, ingestion
from tenantry.application.indexing_tasks import IndexingTasks
from tenantry.application.knowledge import Knowledge
from tenantry.domain.upload import upload_from_text

TENANT = "tnt_" + "k" * 26
UPLOADS = 5
REPLACED = 1  # the number of the one that is replaced once it is there
NEW_WORD = "replacement"
_EFFECTS = frozenset(
    {"put", "delete", "discard", "insert", "publish", "remove", "merge", "create", "replace"}
    | {"forget_deletions"}
)


class Doom:
    """Kills this process, as the kernel would, around effect number `at`."""

    def __init__(self, at: int, *, after: bool) -> None:
        self.left = at
        self.after = after

    def wrap(self, part: object) -> Any:
        return _Doomed(part, self)

    def strike(self) -> None:
        os.kill(os.getpid(), signal.SIGKILL)


class _Doomed:
    def __init__(self, part: object, doom: Doom) -> None:
        self._part = part
        self._doom = doom

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._part, name)
        if name not in _EFFECTS:
            return method

        async def doomed(*given: Any, **named: Any) -> Any:
            self._doom.left -= 1
            if self._doom.left == 0 and not self._doom.after:
                self._doom.strike()
            result = await method(*given, **named)
            if self._doom.left == 0:
                self._doom.strike()
            return result

        return doomed


def knowledge(root: Path, pool: Any, doom: Doom) -> Knowledge:
    work = TenantWork(pool)
    own = support.parts(root, PostgresNotedKeys(work))
    manifest = doom.wrap(PostgresManifest(work))
    own.objects = doom.wrap(own.objects)
    return Knowledge(
        manifest=manifest,
        objects=own.objects,
        keys=own.keys,
        sealer=own.sealer,
        vectors=support.partitions(own, manifest, segments_max=2),
        extractor=FileExtractor(),
        splitter=SemanticSplitter(),
        embedder=support.WordEmbedder(),
        clock=own.clock,
        tasks=IndexingTasks(),
    )


async def main(dsn: str, root: Path, doom: Doom) -> None:
    def say(*words: str) -> None:
        sys.stdout.write(" ".join(words) + "\n")
        sys.stdout.flush()

    who = support.principal(support.tenant(TENANT))
    async with app_pool(dsn, max_size=2) as pool:
        deps = knowledge(root, pool, doom)
        for number in range(UPLOADS):
            upload = upload_from_text({"title": f"T{number}", "text": f"word{number} common"})
            done = await ingestion.ingest(deps, who, upload)
            say("acknowledged", done.document.id, str(number))
            await deps.vectors.settle()  # so that effects come in one order
            if number == REPLACED:
                again = upload_from_text({"title": "R", "text": f"{NEW_WORD} common"})
                say("replacing", done.document.id)
                await ingestion.replace_document(deps, who, done.document.id, again)
                await deps.vectors.settle()
                say("replaced", done.document.id)
        say("deleting", done.document.id)
        await documents.delete_document(deps, who, done.document.id)
        say("deleted", done.document.id)
        await deps.vectors.settle()


def forked(dsn: str, root: Path, doom: Doom) -> int:
    """The exit status of a process of its own, which has nothing left to import."""
    pid = os.fork()
    if pid:
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    try:
        asyncio.run(main(dsn, root, doom))
    except BaseException:
        traceback.print_exc()
        os._exit(1)
    os._exit(0)


if __name__ == "__main__":
    for line in sys.stdin:
        effect, _, folder = line.rstrip("\n").partition(" ")
        fate = Doom(int(effect), after=sys.argv[2] == "after")
        status = forked(sys.argv[1], Path(folder), fate)
        sys.stdout.write(f"ended {status}\n")
        sys.stdout.flush()
