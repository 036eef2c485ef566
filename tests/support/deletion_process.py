"""A process that deletes documents, uploads the same bytes again, sweeps, and is killed meanwhile.

    python -m tests.support.deletion_process <dsn> <root> <effect> <document id>…

It dies right after its effect of that number, or ends where there are fewer.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from tests.support import knowledge as support
from tests.support.knowledge_process import Doom, knowledge
from tests.support.pools import app_pool
from tests.support.restores import ALICE, A

from tenantry.application import documents, ingestion, tending
from tenantry.domain.document import home_of
from tenantry.domain.upload import upload_from_text


async def main(dsn: str, root: Path, doom: Doom, ids: list[str]) -> None:
    tending.DELETED_AGE_S = 0.0  # as a minute later
    async with app_pool(dsn, max_size=2) as pool:
        deps = knowledge(root, pool, doom)
        for document_id in ids:
            content = await documents.document_content(deps, ALICE, document_id)
            text = {"title": content.card.title, "text": content.data.decode()}
            await documents.delete_document(deps, ALICE, document_id)
            await ingestion.ingest(deps, ALICE, upload_from_text(text))
            await tending.delete_noted(home_of(A), deps.objects, deps.manifest, support.ours)
        await deps.vectors.settle()


if __name__ == "__main__":
    fate = Doom(int(sys.argv[3]), after=True)
    asyncio.run(main(sys.argv[1], Path(sys.argv[2]), fate, sys.argv[4:]))
