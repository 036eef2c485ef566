"""Two tenants with content over one database and one disk, of which one is to be shredded."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.knowledge_process import Doom, knowledge
from tests.support.ledger import World, open_world
from tests.support.local_keyring import LocalKeyring
from tests.support.postgres import Database

from tenantry.adapters.batch_buckets.buckets import UriBuckets
from tenantry.adapters.clock import SystemClock
from tenantry.adapters.keys.control_plane import ControlPlaneKey
from tenantry.adapters.keys.local_kms import LocalKms
from tenantry.adapters.keys.wrapped_key import kms_key_of
from tenantry.adapters.objects.disk import DiskObjects
from tenantry.adapters.objects.durable_file import DurableFiles
from tenantry.adapters.postgres.content import PostgresContent
from tenantry.adapters.postgres.key_holders import Host, PostgresKeyHolders
from tenantry.adapters.postgres.noted_keys import PostgresNotedKeys
from tenantry.adapters.postgres.shreds import PostgresShreds
from tenantry.adapters.postgres.vector_rooms import PostgresVectorRooms
from tenantry.application import ingestion, retrieval
from tenantry.application.knowledge import Knowledge
from tenantry.application.root_keys import RootKeys
from tenantry.application.shredding import Shredder, begin_shred
from tenantry.domain.document import Home, home_of
from tenantry.domain.shred import InvocationLog
from tenantry.domain.tenant import Principal
from tenantry.domain.upload import upload_from_text
from tenantry.ports.keys import KmsKeys
from tenantry.ports.objects import ObjectKind

BY = "a test"
Body = Callable[["Ground"], Awaitable[None]]


@dataclass(slots=True)
class Ground:
    """A world whose tenants have content; `born` is what is said of processes by their pid."""

    world: World
    root: Path
    knowledge: Knowledge
    born: dict[int, int]

    @property
    def anna(self) -> Principal:
        return self.world.anna

    @property
    def bert(self) -> Principal:
        return self.world.bert

    def home(self, who: Principal) -> Home:
        return home_of(who.tenant)

    def holders(self, host: str) -> PostgresKeyHolders:
        pool = self.world.databases.control
        return PostgresKeyHolders(pool, Host(host, host), self.born.get)

    async def process(self, host: str, pid: int, kind: str = "gateway") -> Any:
        """A process of a host, as it registers."""
        self.born[pid] = pid
        rows = await self.world.databases.control.fetch(
            "INSERT INTO tenantry.key_holder (host, host_name, pid, born, kind)"
            " VALUES ($1, $1, $2, $3, $4) RETURNING holder_id",
            host,
            pid,
            pid,
            kind,
        )
        return rows[0]["holder_id"]

    async def another(self) -> Principal:
        """A further tenant, with one document."""
        tenant = await self.world.control.create_tenant(
            f"another {secrets.token_hex(4)}", plan=self.anna.tenant.plan.name
        )
        key = await self.world.control.create_key(tenant.id)
        who = Principal(tenant, key.id)
        await self.upload(who, "plums are blue")
        return who

    async def upload(self, who: Principal, text: str, deps: Knowledge | None = None) -> str:
        upload = upload_from_text({"title": f"About {text}", "text": text})
        return (await ingestion.ingest(deps or self.knowledge, who, upload)).document.id

    def keys(self, accounts: Path | None = None, kms: KmsKeys | None = None) -> LocalKeyring:
        """As of a process that has just begun; `accounts`: another key store than theirs."""
        here, files = self.root / "accounts", DurableFiles()
        noted = PostgresNotedKeys(self.world.work)
        kms = kms or LocalKms(here, files)
        return LocalKeyring(accounts or here, files, kms, SystemClock().monotonic, noted)

    def shredder(
        self, wrap: Callable[[Any], Any] = lambda part: part, kms: KmsKeys | None = None
    ) -> Shredder:
        """What a command line or worker has; `wrap` goes around each port."""
        accounts, files = self.root / "accounts", DurableFiles()
        keys = wrap(self.keys(kms=kms))
        databases = self.world.databases
        return Shredder(
            control=self.world.control,
            book=wrap(PostgresShreds(databases.control)),
            holders=wrap(self.holders("here")),
            content=wrap(PostgresContent(self.world.work)),
            keys=keys,
            roots=RootKeys(
                self.world.control, keys, wrap(kms or LocalKms(accounts, files)), own_id
            ),
            objects=wrap(DiskObjects(accounts, files)),
            vectors=wrap(self.knowledge.vectors),
            rooms=PostgresVectorRooms(self.world.work),
            buckets=wrap(UriBuckets({}, self.root / "s3")),
            signer=ControlPlaneKey(b"k" * 32).archive_signer,
            log_of=lambda account, told: InvocationLog(account, told or "s3://logs/bedrock"),
        )


@contextlib.asynccontextmanager
async def ground(
    database: Database, root: Path, texts: Sequence[str] = ("apples are red", "pears are green")
) -> AsyncIterator[Ground]:
    """Both tenants with these documents and an answer each; nobody holds a key but this process."""
    async with open_world(database) as world:
        deps = knowledge(root, world.databases.app, Doom(1_000_000, after=False))
        made = Ground(world, root, deps, {})
        try:
            for who in (world.anna, world.bert):
                for text in texts:
                    await made.upload(who, f"{text} for {who.tenant_id}")
                async with world.work.writing(who.tenant_id) as unit:
                    await unit.execute(
                        "INSERT INTO tenantry.answer (tenant_id, name_hmac, object_id, account,"
                        " expires_at) VALUES ($1, $2, 'abc', $3, now() + interval '1 hour')",
                        who.tenant_id,
                        secrets.token_bytes(32),
                        who.tenant.placement.account,
                    )
            yield made
        finally:
            deps.vectors.close()  # type: ignore[attr-defined]


def own_id(home: Home) -> str:
    return kms_key_of(dataclasses.replace(home, own_kms_key=True))


def on_ground(database: Database, root: Path, body: Body) -> None:
    async def run() -> None:
        async with ground(database, root) as made:
            await body(made)

    asyncio.run(run())


async def begun(at: Ground, **ports: Any) -> Any:
    shredder = dataclasses.replace(at.shredder(), **ports)
    await begin_shred(shredder, at.anna.tenant_id, at.anna.tenant.name, BY)
    return shredder


async def is_untouched(at: Ground) -> None:
    """The other tenant finds its documents, and everything of it is where it was."""
    found = await retrieval.search(at.knowledge, at.bert, "apples", top_k=1)
    assert found[0].text == f"apples are red for {at.bert.tenant_id}"
    home = at.home(at.bert)
    assert len(await at.knowledge.objects.list(home, ObjectKind.ORIGINAL)) == 2
    assert await at.shredder().content.count(at.bert.tenant_id) == {
        "answer": 1,
        "budget": 0,
        "budget_use": 0,
        "deleted_object": 0,
        "document": 2,
        "embedded_batch": 0,
        "erased_user": 0,
        "idempotency": 0,
        "knowledge_partition": 1,
        "reindex": 0,
        "segment": 2,
        "session": 0,
    }


def part_names() -> frozenset[str]:
    """Every call by which a shred changes the world."""
    return frozenset(
        {
            "begin",
            "destroy",
            "retire",
            "kms_retired",
            "kms_left",
            "keys_destroyed",
            "processes_ended",
        }
        | {"found", "delete", "drop", "erase", "erased", "certified"}
    )


class Killed(BaseException):
    """As far as the world can tell, the process ended here."""


class Fate:
    """Ends the process before or after its n-th change of the world."""

    def __init__(self, at: int, *, after: bool) -> None:
        self.left = at
        self.after = after

    def wrap(self, part: Any) -> Any:
        return _Fated(part, self)


class _Fated:
    def __init__(self, part: Any, fate: Fate) -> None:
        self._part = part
        self._fate = fate

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._part, name)
        if name not in part_names():
            return method

        async def fated(*given: Any, **more: Any) -> Any:
            self._fate.left -= 1
            if self._fate.left == 0 and not self._fate.after:
                raise Killed
            result = await method(*given, **more)
            if self._fate.left == 0:
                raise Killed
            return result

        return fated


__all__ = ["BY", "Fate", "Ground", "Killed", "begun", "ground", "is_untouched", "on_ground"]
