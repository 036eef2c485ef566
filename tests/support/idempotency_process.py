"""A worker process that runs one implied key over PostgreSQL.

    python -m tests.support.idempotency_process <dsn> <invocation id>

Says `running` and answers when it gets a line, or says `joined` when another process runs; then
`answered`, `replayed` or the code of the refusal.
"""

from __future__ import annotations

import asyncio
import sys
import uuid

import asyncpg
from tests.support.http_services import key_of
from tests.support.idempotency import idempotent_over

from tenantry.adapters.postgres.idempotency import PostgresIdempotency
from tenantry.application.context import Idempotency
from tenantry.application.idempotency import Made, Whole
from tenantry.application.owned_tasks import OwnedTasks
from tenantry.domain.errors import TenantryError
from tenantry.ports.idempotency import Claim, ClaimResult, Running


class Telling(PostgresIdempotency):
    """Says when it finds the key running elsewhere."""

    told = False

    async def claim(self, claim: Claim) -> ClaimResult:
        found = await super().claim(claim)
        if isinstance(found, Running) and not self.told:
            self.told = True
            say("joined")
        return found


async def main(dsn: str, invocation: str) -> None:
    tasks = OwnedTasks()
    async with asyncpg.create_pool(dsn, min_size=1, max_size=2) as pool:
        worker = idempotent_over(Telling(pool), tasks)

        async def make() -> Made:
            say("running")
            await asyncio.to_thread(sys.stdin.readline)
            return Made(Whole(200, {}, f"of {uuid.getnode()}".encode()), spent=True)

        given = Idempotency(invocation, bytes(32), implied=True)
        try:
            answer = await worker.run(key_of("acme").principal, uuid.uuid4(), given, make)
        except TenantryError as refusal:
            say(refusal.code)
        else:
            say("replayed" if answer.replayed else "answered")
        await tasks.drain(10_000)


def say(word: str) -> None:
    sys.stdout.write(f"{word}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
