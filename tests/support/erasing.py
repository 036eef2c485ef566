"""Workers over one database with all that they keep of end users, and the erasure of these."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from tests.support.idempotency import MemoryKeys
from tests.support.ledger import PEPPER, World, new_request_id, sealed

from tenantry.adapters.clock import SystemClock
from tenantry.adapters.keys.labels import TenantLabels
from tenantry.adapters.objects.disk import DiskObjects
from tenantry.adapters.objects.durable_file import DurableFiles
from tenantry.adapters.postgres.answers import PostgresAnswerIndex
from tenantry.adapters.postgres.export import (
    PostgresCappedUsers,
    PostgresErasedUsers,
    PostgresTenantExport,
)
from tenantry.adapters.postgres.idempotency import PostgresIdempotency
from tenantry.adapters.postgres.sessions import PostgresSessionIndex
from tenantry.adapters.postgres.tenant_admin import PostgresTenantAdmin
from tenantry.adapters.sealed.sealer import TenantSealer
from tenantry.application.answer_store import AnswerName, AnswerStore
from tenantry.application.context import RequestContext
from tenantry.application.erasing import Erasure, erase_user
from tenantry.application.idempotency import Idempotent
from tenantry.application.owned_tasks import OwnedTasks
from tenantry.application.sessions import Sessions, SessionTurn
from tenantry.domain.end_user import spellings_from
from tenantry.domain.tenant import Principal
from tenantry.domain.usage import Usage
from tenantry.ports.idempotency import Claim, Claimed, UsedKey

USED = Usage(uncached_in=1_000, out=500)
OLD_NOTE = (
    "SELECT tenantry.idempotency_note($1::text, $2::text[], $3::text[], $4::bytea[], $5::bytea[],"
    " $6::uuid[], $7::text[], $8::bytea[], $9::interval, $10::interval)"
)
REPLY = b'{"output": "of a user"}'


class Shop:
    """A worker over a world's database and one disk. Where `monotonic` stands still, it goes by who
    was erased when it first asked."""

    def __init__(
        self,
        world: World,
        home: Path,
        sessions: PostgresSessionIndex | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        keys, clock = MemoryKeys(), SystemClock()
        sealer = TenantSealer(keys)
        self.world = world
        self.home = home
        erased = PostgresErasedUsers(world.work, monotonic)
        self.labels = TenantLabels(sealer, keys, erased, PostgresCappedUsers(world.work, monotonic))
        self.kept = PostgresIdempotency(world.databases.app)
        self.store = PostgresTenantExport(world.work, erased)
        self.once = Idempotent(self.kept, sealer, keys, self.labels, OwnedTasks())
        admin = PostgresTenantAdmin(world.work, pepper=PEPPER, seal=sealed, clock=clock)
        self.objects = DiskObjects(home, DurableFiles())
        index = sessions or PostgresSessionIndex(world.work)
        self.sessions = Sessions(index, self.objects, keys, sealer, self.labels, clock)
        answers = PostgresAnswerIndex(world.work)
        self.answers = AnswerStore(answers, self.objects, sealer, self.labels, clock)
        self._erasure = Erasure(self.store, self.objects, admin, self.labels, index)

    async def erase(self, who: Principal, user: str) -> Mapping[str, int]:
        return await erase_user(self._erasure, who, spellings_from(user))

    async def results(self, who: Principal, user: str) -> int:
        user_hash = await self.labels.user_hash(who, user)
        return len(await self.store.results(who.tenant_id, None, 10, [user_hash]))

    async def known(self, who: Principal, user: str) -> None:
        """The books know of them, by an earlier request."""
        user_hash = await self.labels.user_hash(who, user)
        admitted = await self.world.admitted(who, user_hash=user_hash)
        await self.world.settle(admitted, self.world.outcome(USED))

    async def charged(self, who: Principal, user: str) -> Claim:
        """A request of theirs in the books, under a key that it claimed."""
        world, user_hash = self.world, await self.labels.user_hash(who, user)
        admitted = await world.admitted(who, user_hash=user_hash)
        await world.settle(admitted, world.outcome(USED))
        digest = hashlib.sha256(user.encode()).digest()
        key = UsedKey("given", who.tenant_id, who.api_key_id, digest)
        claim = Claim(key, bytes(32), admitted.request_id)
        assert await self.kept.claim(claim) == Claimed()
        return claim

    async def keep_as_before(self, claim: Claim, answer: bytes) -> None:
        """As a worker of before 0039 says it, which knows no end users."""
        key = claim.key
        row = [key.tenant_id], [key.api_key_id], [key.key_hmac], [claim.body_hmac]
        more = [claim.request_id], ["kept"], [answer], timedelta(minutes=1), timedelta(hours=168)
        await self.world.databases.app.fetch(OLD_NOTE, key.kind, *row, *more)

    async def turn(self, who: Principal, user: str) -> SessionTurn:
        """Of a new conversation: a question that is being answered."""
        return await self.sessions.turn(RequestContext(new_request_id(), who, user=user), None)

    async def asked(self, who: Principal, user: str) -> AnswerName:
        """A request whose answer is being made."""
        user_hash = await self.labels.user_hash(who, user)
        return AnswerName(
            hashlib.sha256(f"{who.tenant_id} {user_hash}".encode()).digest(), user_hash
        )

    async def answered(self, who: Principal, user: str, name: AnswerName) -> None:
        """The answer is made, and may be given again."""
        caching = caching_principal(who)
        await self.answers.keep(RequestContext(new_request_id(), caching, user=user), name, REPLY)

    async def rows(self) -> dict[str, int]:
        """What is there and has not expired: `<tenant> <table>` → how many, of anybody."""
        found = {}
        for who in (self.world.anna, self.world.bert):
            async with self.world.work.reading(who.tenant_id) as unit:
                for table in ("answer", "session"):
                    count = await unit.fetchval(
                        f"SELECT count(*) FROM {table} WHERE expires_at > clock_timestamp()"
                    )
                    found[f"{'anna' if who is self.world.anna else 'bert'} {table}"] = count
        return found

    def files(self) -> list[Path]:
        return sorted(path for path in self.home.glob("*/objects/**/*") if path.is_file())


def caching_principal(who: Principal) -> Principal:
    plan = replace(who.tenant.plan, answer_cache_ttl_s=3_600)
    return replace(who, tenant=replace(who.tenant, plan=plan))


def everyone(world: World) -> list[tuple[Principal, str]]:
    return [(who, user) for who in (world.anna, world.bert) for user in ("ann", "bob")]
