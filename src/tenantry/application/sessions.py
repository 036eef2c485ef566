"""Sessions: what was said in a conversation, sealed, for one owner, one turn at a time.

Owns: who may go on with a session, where its words rest, and that they end. Does not own: what a
turn asks or costs. Invariants: a session is its tenant's, and in it the end user's and groups' that
began it, so that nobody reads through its history what they may not see; whose it is not, for them
it does not exist; a crash leaves no object that no row names.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import orjson

from tenantry.application.context import RequestContext
from tenantry.application.round import Round
from tenantry.domain.conversation import TTL_S, TURNS_MAX, Conversation, Turn, conversation_from
from tenantry.domain.document import Home, home_of
from tenantry.domain.errors import Corrupt, NotFound, TenantryError
from tenantry.domain.ids import prefixed, uuid7
from tenantry.ports.clock import Clock
from tenantry.ports.keys import KeyStore, Purpose, Sealer
from tenantry.ports.labels import Labels
from tenantry.ports.objects import ObjectKind, Objects
from tenantry.ports.sessions import ExpiredSessions, SessionIndex, SessionName

SESSIONS_MAX: Final = 10_000  # of a tenant; another one ends the oldest
LEASE_S: Final = 60  # of a turn; a worker that died holds its session no longer
BEAT_S: Final = 20.0  # so that two beats may fail
BEATS_MAX: Final = 180  # an hour: longer than any turn's time-outs
SWEEP_EVERY_S: Final = 60.0
EXPIRED_MAX: Final = 500  # of one statement
SWEEPS_MAX: Final = 20  # of one round; the rest comes with the next
_KIND: Final = "session"
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Sessions:
    """One for each worker."""

    index: SessionIndex
    objects: Objects
    keys: KeyStore
    sealer: Sealer
    labels: Labels
    clock: Clock

    async def turn(self, ctx: RequestContext, session_id: str | None) -> SessionTurn:
        """Holds a session for a turn; without an id, a new one, of which nothing is stored until
        its caller is told of it, so that a refused request leaves nothing. The caller keeps or
        releases.

        NotFound for what is not the caller's; Conflict while another turn holds it; BadRequest
        where it has had its turns.
        """
        home = home_of(ctx.principal.tenant)
        holder = self.clock.random(16).hex()
        owner = await self._owner(home, ctx)
        if session_id is None:
            now_ms = int(self.clock.now().timestamp() * 1_000)
            name = SessionName(home, prefixed("ses", uuid7(now_ms, self.clock.random(10))), owner)
            user_hash = None
            if ctx.user is not None:
                user_hash = await self.labels.user_hash(ctx.principal, ctx.user)
            return SessionTurn(self, name, holder, user_hash)
        name = SessionName(home, session_id, owner)
        held = await self.index.hold(name, holder, lease_s=LEASE_S, turns=TURNS_MAX)
        turn = SessionTurn(self, name, holder)
        turn.held(held.loose)
        if held.object_id is not None:
            try:
                turn.said = await self._said(name, held.object_id)
            except BaseException:
                await turn.release()
                raise
        return turn

    async def _owner(self, home: Home, ctx: RequestContext) -> bytes:
        """Of nobody in particular too: such a session is the tenant's application's."""
        data = orjson.dumps([ctx.user, sorted(ctx.groups)])
        try:
            return await self.sealer.digest(home, Purpose.SESSION_HMAC, data)
        except NotFound:  # a tenant that never had anything to seal
            await self.keys.create(home)
            return await self.sealer.digest(home, Purpose.SESSION_HMAC, data)

    async def _said(self, name: SessionName, object_id: str) -> Conversation:
        try:
            sealed = await self.objects.get(name.home, ObjectKind.SESSION, object_id)
        except NotFound:
            raise Corrupt("What was said in the session is not there.") from None
        document: Any = orjson.loads(await self.sealer.open(name.home, _KIND, object_id, sealed))
        # Sealed for this tenant and object; a row that names another session's object is refused.
        if document["session"] != name.session_id or document["owner"] != name.owner.hex():
            raise _of_another()
        return conversation_from(document["said"])

    async def write(self, name: SessionName, object_id: str, said: Conversation) -> int:
        """Durable on return; the size of what was sealed."""
        document = {"session": name.session_id, "owner": name.owner.hex(), "said": said.to_json()}
        sealed = await self.sealer.seal(name.home, _KIND, object_id, orjson.dumps(document))
        await self.objects.put(name.home, ObjectKind.SESSION, object_id, sealed)
        return len(sealed)


async def opened_session(
    objects: Objects, sealer: Sealer, home: Home, session_id: str, object_id: str
) -> Mapping[str, Any]:
    """What was said in a session, as it is stored, whoever it was. Raises `NotFound`, `Corrupt`."""
    sealed = await objects.get(home, ObjectKind.SESSION, object_id)
    document: Any = orjson.loads(await sealer.open(home, _KIND, object_id, sealed))
    if document["session"] != session_id:
        raise _of_another()
    said: Mapping[str, Any] = document["said"]
    return said


def _of_another() -> Corrupt:
    return Corrupt("What was said belongs to another session.")


@dataclass(slots=True)
class SessionTurn:
    """A turn that holds its session: `said` before it."""

    _sessions: Sessions
    _name: SessionName
    _holder: str
    _user_hash: str | None = None
    said: Conversation = field(default_factory=Conversation)
    _loose: Sequence[str] = ()
    _stored: bool = False
    _ended: bool = False
    _storing: asyncio.Lock = field(default_factory=asyncio.Lock)
    _beats: asyncio.Task[None] | None = None

    @property
    def session_id(self) -> str:
        return self._name.session_id

    def held(self, loose: Sequence[str]) -> None:
        """The session is stored and held; its lease is renewed until the turn ends."""
        self._stored = True
        self._loose = loose
        self._beats = asyncio.create_task(self._beat(), name="session-lease")

    async def tell(self) -> None:
        """Its caller is told the session's id now: from here on it is there, but for an end user
        who was erased meanwhile. Idempotent."""
        try:
            await self._store()
        except TenantryError as problem:
            _log.warning("a session could not be begun: %s", problem.code)
        if self._ended:  # before its caller was told: nobody else would give it back
            await self.release()

    async def _store(self) -> bool:
        async with self._storing:
            if not self._stored and await self._sessions.index.begin(
                self._name,
                self._holder,
                self._user_hash,
                lease_s=LEASE_S,
                ttl_s=TTL_S,
                most=SESSIONS_MAX,
            ):
                self.held(())
            return self._stored

    async def _beat(self) -> None:
        for _ in range(BEATS_MAX):
            await asyncio.sleep(BEAT_S)
            try:
                if not await self._sessions.index.beat(self._name, self._holder, lease_s=LEASE_S):
                    return
            except TenantryError as problem:
                _log.warning("a session's lease was not renewed: %s", problem.code)

    def _end(self) -> None:
        if self._beats is not None:
            self._beats.cancel()
            self._beats = None  # which holds us by what ended it

    async def keep(self, question: str, answer: str) -> None:
        """The session goes on from here. What cannot be kept is logged: its answer is paid for
        and shown all the same, and the session stays as it was before."""
        try:
            if await self._store():
                self._end()
                await asyncio.shield(self._keep(self.said.then(Turn(question, answer))))
        except TenantryError as problem:
            _log.warning("a turn of a session could not be kept: %s", problem.code)
            await self.release()
        finally:
            self._ended = True

    async def release(self) -> None:
        """The turn came to nothing; an outage leaves it to the lease. Idempotent."""
        self._ended = True
        self._end()
        if not self._stored:
            return
        try:
            await self._sessions.index.release(self._name, self._holder)
        except TenantryError as problem:
            _log.warning("a session is held until its lease ends: %s", problem.code)

    async def _keep(self, said: Conversation) -> None:
        home, objects, index = self._name.home, self._sessions.objects, self._sessions.index
        for object_id in self._loose:
            await objects.delete(home, ObjectKind.SESSION, object_id)
        size = await self._sessions.write(self._name, self._holder, said)
        if not await index.keep(self._name, self._holder, size, self._loose):
            await objects.delete(home, ObjectKind.SESSION, self._holder)


async def sweep_sessions(expired: ExpiredSessions, objects: Objects) -> int:
    """Deletes what has expired, objects first, so that no row is lost before its objects."""
    swept = 0
    for _ in range(SWEEPS_MAX):
        found = await expired.expired(EXPIRED_MAX)
        for session in found:
            for object_id in session.objects:
                await objects.delete(session.home, ObjectKind.SESSION, object_id)
            await expired.forget(session.home.tenant_id, session.session_id)
        swept += len(found)
        if len(found) < EXPIRED_MAX:
            break
    return swept


def sessions_round(expired: ExpiredSessions, objects: Objects) -> Round:
    """What ends conversations whose time is over."""
    return Round("sweep-sessions", SWEEP_EVERY_S, lambda: sweep_sessions(expired, objects))
