"""One run for one idempotency key, whoever sends it how often to whichever worker.

    1. the key, its body and its scope (tenant, API key) become HMACs under the tenant's subkey
    2. known on this worker: a given key is refused, an implied one joins and gets the same answer
    3. claimed in the store, which decides for all workers; an implied one found running is joined
    4. the claimant runs; what never reached a model frees the key again
    5. the whole answer is sealed under the tenant key and kept; too large or unsaved, it is lost

Owns: the decision who runs, and what is kept. Does not own: how answers look on a wire.
Invariants: no key runs twice after a model may have been asked; a joined call makes no reservation;
the work of a key ends and is kept although its client has gone; whose name came to lead to somebody
else while it ran has nothing kept.
"""

from __future__ import annotations

import asyncio
import contextlib
import copy
import dataclasses
import logging
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final, assert_never
from uuid import UUID

import msgspec

from tenantry.application.context import Idempotency
from tenantry.application.owned_tasks import OwnedTasks
from tenantry.application.recording import ANSWER_BYTES_MAX, Flow, RecordedBytes, Recording
from tenantry.domain.document import Home, home_of
from tenantry.domain.errors import (
    IdempotencyInFlight,
    IdempotencyMismatch,
    NotFound,
    ResultNotKept,
    TenantryError,
    Unavailable,
)
from tenantry.domain.tenant import Principal
from tenantry.ports.idempotency import (
    LEASE_S,
    Claim,
    Claimed,
    IdempotencyStore,
    KeptAnswer,
    KeyKind,
    Lost,
    Running,
    UsedKey,
)
from tenantry.ports.keys import KeyStore, Purpose, Sealer
from tenantry.ports.labels import Labels

PROLONG_EVERY_S: Final = LEASE_S / 3
JOIN_POLL_FIRST_S: Final = 0.05  # how soon a joined call asks again after another worker's answer
JOIN_POLL_MAX_S: Final = 0.5
NOTE_WAIT_S: Final = 5.0  # how long an answer waits for a store that hangs to take its key's end
JOINED_MAX: Final = 1_000  # calls of one worker that wait for the answer of another call
_KIND: Final = "idempotency"  # what the sealed answers are bound to
_log = logging.getLogger(__name__)


class Whole(msgspec.Struct, frozen=True):
    """A finished answer. `streamed`: it was, and is replayed so."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    streamed: bool = False


@dataclass(frozen=True, slots=True)
class Made:
    """What came of a run. `spent` False: it failed, and may run under its key again, for it was
    refused before it was admitted, or passes and its customer pays nothing for it, or is an upload,
    which goes on from what was paid. `user`: the end user for whom it ran."""

    answer: Whole | Flow
    spent: bool
    user: str | None = None


@dataclass(frozen=True, slots=True)
class Answered:
    """`request_id` is of the run that made the answer; `replayed`: not of this request."""

    answer: Whole | Flow
    request_id: UUID
    replayed: bool


@dataclass(frozen=True, slots=True)
class _Kept:
    """A finished answer, and who made it."""

    answer: Whole
    request_id: UUID


class _Freed:
    """It was refused before it ran: who waited may run it."""


_Ending = _Kept | _Freed | TenantryError


@dataclass(eq=False, slots=True)
class _Run:
    """A key in hand on this worker. `ended` is told to those that join."""

    claim: Claim
    home: Home
    principal: Principal
    user: str | None = None
    erased: frozenset[str] = frozenset()  # before it ran: whom `user` named then, not since
    claimed: bool = False
    ended: asyncio.Future[_Ending] = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )

    def end(self, ending: _Ending) -> None:
        if not self.ended.done():
            self.ended.set_result(ending)


class Idempotent:
    """One for each worker."""

    def __init__(
        self,
        store: IdempotencyStore,
        sealer: Sealer,
        keys: KeyStore,
        labels: Labels,
        tasks: OwnedTasks,
        *,
        answer_bytes_max: int = ANSWER_BYTES_MAX,
    ) -> None:
        self._store = store
        self._sealer = sealer
        self._keys = keys
        self._labels = labels
        self._answer_bytes_max = answer_bytes_max
        self._tasks = tasks
        self._runs: dict[UsedKey, _Run] = {}
        self._joined = 0
        self._recorded = RecordedBytes()
        self._prolonging: asyncio.TimerHandle | None = None

    async def run(
        self,
        principal: Principal,
        request_id: UUID,
        given: Idempotency,
        make: Callable[[], Awaitable[Made]],
    ) -> Answered:
        """The answer of `make`, called at most once for a key that was spent.

        Raises `IdempotencyInFlight`, `IdempotencyMismatch`, `ResultNotKept`, `Unavailable`.
        `make` must give refusals as answers; what it raises is raised here, and spends the key.
        """
        home = home_of(principal.tenant)
        claim = await self._claim_of(home, principal, request_id, given)
        while (running := self._runs.get(claim.key)) is not None:
            _compare(claim, running.claim.body_hmac)
            if claim.key.kind == "given":
                raise IdempotencyInFlight
            with self._waiting():
                ending = await asyncio.shield(running.ended)
            if isinstance(ending, _Kept):
                return Answered(ending.answer, ending.request_id, replayed=True)
            if isinstance(ending, TenantryError):
                raise copy.copy(ending)  # an exception raised twice would grow one traceback
        run = self._runs[claim.key] = _Run(claim, home, principal)
        answer: asyncio.Future[Answered] = asyncio.get_running_loop().create_future()
        try:
            self._tasks.start(self._lead(run, make, answer), name="idempotent")
        except Unavailable as refusal:
            self._close(run, refusal)
            raise
        try:
            return await asyncio.shield(answer)
        except asyncio.CancelledError:
            answer.add_done_callback(_abandon)
            raise

    async def _claim_of(
        self, home: Home, principal: Principal, request_id: UUID, given: Idempotency
    ) -> Claim:
        body = await self._digest(home, b"body:" + given.body_sha256)
        name = b"given:" + given.key.encode()
        if given.implied:  # an SDK's id names a call, not a body: another body is another key
            name = b"implied:" + given.body_sha256 + given.key.encode()
        digest = await self._digest(home, name)
        kind: KeyKind = "implied" if given.implied else "given"
        key = UsedKey(kind, principal.tenant_id, principal.api_key_id, digest)
        return Claim(key, body, request_id, given.resent)

    async def _digest(self, home: Home, data: bytes) -> bytes:
        """A tenant that has no key yet gets one."""
        try:
            return await self._sealer.digest(home, Purpose.IDEMPOTENCY_HMAC, data)
        except NotFound:
            await self._keys.create(home)
            return await self._sealer.digest(home, Purpose.IDEMPOTENCY_HMAC, data)

    async def _lead(
        self, run: _Run, make: Callable[[], Awaitable[Made]], answer: asyncio.Future[Answered]
    ) -> None:
        """Claims, runs, keeps; hands the answer to whoever waits as early as it may be seen."""
        ending: _Ending = ResultNotKept()
        try:
            run.erased = await self._labels.erased(run.principal)
            kept = await self._claimed(run)
            if kept is not None:
                ending = kept
                _give(answer, Answered(kept.answer, kept.request_id, replayed=True))
                return
            made = await make()
            run.user = made.user
            mine = run.claim.request_id
            if not made.spent:
                assert isinstance(made.answer, Whole), "a stream that began is never a refusal"
                ending = _Freed()
                await self._noted(self._store.free(run.claim))
                self._close(run, ending)
                _give(answer, Answered(made.answer, mine, replayed=False))
            elif isinstance(made.answer, Whole):
                if run.claim.key.kind == "implied":
                    _give(answer, Answered(made.answer, mine, replayed=False))
                ending = await self._keep(run, made.answer)
                self._close(run, ending)
                _give(answer, Answered(made.answer, mine, replayed=False))
            else:
                ending = await self._record(run, made.answer, answer)
        except BaseException as failure:
            if run.claimed:
                await self._noted(self._store.lose(run.claim))
            _fail(answer, failure)
            if not isinstance(failure, TenantryError):
                raise
            ending = failure
        finally:
            self._close(run, ending)

    async def _claimed(self, run: _Run) -> _Kept | None:
        """None: it is ours to run. Joins an implied key that another worker runs."""
        claim, pause_s = run.claim, JOIN_POLL_FIRST_S
        while True:
            found = await self._store.claim(claim)
            match found:
                case Claimed():
                    run.claimed = True
                    self._arm()
                    return None
                case Running():
                    _compare(claim, found.body_hmac)
                    if claim.key.kind == "given":
                        raise IdempotencyInFlight
                    # From here on somebody is known to have run it: a forgotten key is a lost one.
                    claim = dataclasses.replace(claim, resent=True)
                    with self._waiting():
                        await asyncio.sleep(pause_s)
                    pause_s = min(JOIN_POLL_MAX_S, pause_s * 1.5)
                case KeptAnswer():
                    _compare(claim, found.body_hmac)
                    return await self._open(run, found)
                case Lost():
                    if found.body_hmac is not None:
                        _compare(claim, found.body_hmac)
                    raise ResultNotKept
                case _:
                    assert_never(found)

    async def _record(self, run: _Run, source: Flow, answer: asyncio.Future[Answered]) -> _Ending:
        recording = Recording(source, self._recorded, self._answer_bytes_max)
        _give(answer, Answered(recording.flow, run.claim.request_id, replayed=False))
        ending: _Ending = ResultNotKept()

        async def finish(body: bytes | None) -> None:
            nonlocal ending
            if body is None:
                await self._noted(self._store.lose(run.claim))
            else:
                ending = await self._keep(run, Whole(200, source.headers, body, streamed=True))
            self._close(run, ending)

        await recording.run(finish, hold=run.claim.key.kind == "given")
        return ending

    async def _keep(self, run: _Run, answer: Whole) -> _Ending:
        if len(answer.body) > self._answer_bytes_max:
            await self._noted(self._store.lose(run.claim))
            return ResultNotKept()
        kept = _Kept(answer, run.claim.request_id)
        if run.claim.key.kind == "implied":
            run.end(kept)  # those that joined on this worker need no store
        plain = msgspec.msgpack.encode(answer)
        bound_to = _object_id(run.claim.key, run.claim.request_id)
        try:
            sealed = await self._sealer.seal(run.home, _KIND, bound_to, plain)
            whose = None
            if run.user is not None:
                whose = await self._labels.user_hash(run.principal, run.user, run.erased)
        except TenantryError:  # the tenant's key is out of reach, or was shredded meanwhile
            await self._noted(self._store.lose(run.claim))
            return ResultNotKept()
        await self._noted(self._store.keep(run.claim, sealed, whose))
        return kept

    async def _open(self, run: _Run, found: KeptAnswer) -> _Kept:
        answer = await open_kept(
            self._sealer, run.home, run.claim.key, found.request_id, found.sealed
        )
        return _Kept(answer, found.request_id)

    async def _noted(self, note: Awaitable[None]) -> None:
        """An ending that the store cannot take now lapses with its lease: the answer is lost."""
        try:
            async with asyncio.timeout(NOTE_WAIT_S):
                await note
        except (Unavailable, TimeoutError):
            _log.warning("an idempotency key could not be ended and will count as lost")

    def _close(self, run: _Run, ending: _Ending) -> None:
        run.end(ending)
        if self._runs.get(run.claim.key) is run:
            del self._runs[run.claim.key]

    @contextlib.contextmanager
    def _waiting(self) -> Iterator[None]:
        if self._joined >= JOINED_MAX:
            raise IdempotencyInFlight("too many calls wait for the answers of others")
        self._joined += 1
        try:
            yield
        finally:
            self._joined -= 1

    def _arm(self) -> None:
        if self._prolonging is None:
            loop = asyncio.get_running_loop()
            self._prolonging = loop.call_later(PROLONG_EVERY_S, self._prolong)

    def _prolong(self) -> None:
        """Leases of what is under way; nothing is armed while nothing is."""
        self._prolonging = None
        claims = [run.claim for run in self._runs.values() if run.claimed]
        if claims:
            self._arm()
            self._tasks.start(self._noted(self._store.prolong(claims)), name="prolong")


async def open_kept(
    sealer: Sealer, home: Home, key: UsedKey, request_id: UUID, sealed: bytes
) -> Whole:
    """A kept answer. Raises `NotFound`, `Corrupt`, `Unavailable`."""
    plain = await sealer.open(home, _KIND, _object_id(key, request_id), sealed)
    return msgspec.msgpack.decode(plain, type=Whole)


def _compare(claim: Claim, body_hmac: bytes) -> None:
    if claim.body_hmac != body_hmac:
        raise IdempotencyMismatch


def _object_id(key: UsedKey, request_id: UUID) -> str:
    """What an answer is sealed for: swapped between keys, it does not open."""
    return f"{key.kind}/{key.api_key_id}/{key.key_hmac.hex()}/{request_id}"


def _give(answer: asyncio.Future[Answered], value: Answered) -> None:
    if not answer.done():
        answer.set_result(value)


def _fail(answer: asyncio.Future[Answered], failure: BaseException) -> None:
    if not answer.done():
        if isinstance(failure, TenantryError):
            failure.__traceback__ = None  # which would hold our frames, and they the request
        answer.set_exception(failure)
        answer.exception()  # retrieved: a caller that left must not be warned about


def _abandon(answer: asyncio.Future[Answered]) -> None:
    """Nobody will read it."""
    if answer.exception() is None and isinstance(flow := answer.result().answer, Flow):
        flow.leave()
