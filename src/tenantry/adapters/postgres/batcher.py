"""One connection and one prepared call a worker: everything that waits shares a commit.

    caller ──▶ queue ──▶ batch: what waits when the last call returns ──▶ gate_batch ──▶ futures

Owns: the pinned connection, the queue, what an outage means for each that waits. Does not own: any
decision (they fall in `gate_batch`).

Invariants
- A caller is answered after the commit, or told `Unavailable`.
- A request is in a batch at most once; a second item of it waits for the next one.
- Where it is unknown whether a commit holds, settlements are sent again (they post once) and
  reservations and intents are given back by a settlement of our own, once the session that was
  lost has ended. If we die first, the sweep finds them.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

import asyncpg

from tenantry.adapters.postgres import batch_words
from tenantry.adapters.postgres.lost_calls import LostCalls, Session, session_of
from tenantry.adapters.postgres.outages import outages_are_unavailable, why
from tenantry.domain.errors import Unavailable
from tenantry.domain.ids import TenantId
from tenantry.ports.admission import AttemptOutcome, Intent, Settlement

BATCH_MAX = 256  # items; more gains nothing (measured) and lengthens the wait of the first
UNEVEN_MAX = 4  # where less waits than one part in so many, what was answered may join it
QUEUE_MAX = 8_192  # items; what does not fit is refused at once
CALL_TIMEOUT_S = 3.0  # a call takes milliseconds; longer is an outage
RECONNECT_FIRST_S = 0.05
RECONNECT_MAX_S = 2.0
SETTLE_RETRY_S = 4.0  # how long a settlement outlives an outage; under settle_wait_ms (5,000)
CLOSE_WAIT_S = 5.0
LOST_LOOK_S = 0.1  # between two looks whether a lost session has ended

_CALL = "SELECT tenantry.gate_batch($1, $2, $3, $4)"
_LEASE = "SELECT pg_catalog.pg_advisory_lock_shared($1)"
_KEEP_IDLE = "SET idle_session_timeout = 0"
_log = logging.getLogger(__name__)

Kind = Literal["settle", "begin", "admit"]


@dataclass(slots=True)  # not frozen: that takes four times as long to make
class Undo:
    """How a reservation or intent is given back where nobody learns that it holds."""

    tenant_id: TenantId
    intent: Intent
    final: bool

    def settlement(self, request_id: UUID) -> Settlement:
        """The attempt as never sent."""
        outcome = AttemptOutcome(self.intent.call, self.intent.attempt, "released", charged=False)
        return Settlement(request_id, self.tenant_id, (outcome,), self.final)


@dataclass(slots=True, eq=False)
class _Waiting:
    """One item of a batch."""

    kind: Kind
    key: UUID
    rows: Sequence[batch_words.Row]
    future: asyncio.Future[Any] | None  # None: our own
    undo: Undo | None
    give_up_at: float

    @property
    def abandoned(self) -> bool:
        return self.future is not None and self.future.done()


class Batcher:
    """`open_connection` opens a pinned session as `tenantry_app`; `boot_id` names this worker.

    The session holds an advisory lock on the boot id: while it lives, or its last call still runs
    in the server, no sweep takes the worker for dead. The lock is shared, so that a session that
    takes over need not wait for the one that was lost.
    """

    def __init__(self, open_connection: Callable[[], Awaitable[Any]], boot_id: int) -> None:
        self.boot_id = boot_id
        self._open = open_connection
        self._queue: deque[_Waiting] = deque()
        self._wake = asyncio.Event()
        self._connection: Any = None
        self._call: Any = None
        self._session: Session | None = None
        self._lost: LostCalls[_Waiting] = LostCalls()
        self._look_at = 0.0  # for the end of lost sessions, by the loop's clock
        self._task: asyncio.Task[None] | None = None
        self._closing = False
        self._problem: Exception | None = None  # why there was no connection last

    async def start(self) -> None:
        """Connects, and begins to serve. Raises `Unavailable` where the database is away."""
        await self._connect()
        self._task = asyncio.create_task(self._run(), name="admission-batcher")

    @property
    def up(self) -> bool:
        """Whether there is a connection; without one, all but settlements are refused at once."""
        return self._connection is not None and not self._closing

    @property
    def server_pid(self) -> int:
        """The process that serves us, for measurements."""
        pid: int = self._connection.get_server_pid()
        return pid

    async def close(self) -> None:
        """Sends what waits, for a bounded time, and ends the session."""
        self._closing = True
        self._wake.set()
        if self._task is not None:
            _, late = await asyncio.wait([self._task], timeout=CLOSE_WAIT_S)
            for task in late:
                task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        self._fail_all(Unavailable("The worker is closing."))
        self._disconnect()

    async def submit(
        self,
        kind: Kind,
        key: UUID,
        rows: Sequence[batch_words.Row],
        undo: Undo | None = None,
    ) -> tuple[datetime, Any]:
        """When one item was decided and how, committed. Raises `Unavailable`."""
        patient = kind == "settle" and self._task is not None and not self._closing
        if not (self.up or patient):
            raise Unavailable("The ledger is out of reach.") from self._problem
        if len(self._queue) >= QUEUE_MAX:
            raise Unavailable("Too much waits for the ledger.")
        loop = asyncio.get_running_loop()
        future: asyncio.Future[tuple[datetime, Any]] = loop.create_future()
        give_up_at = loop.time() + SETTLE_RETRY_S
        self._queue.append(_Waiting(kind, key, rows, future, undo, give_up_at))
        self._wake.set()
        return await future

    async def _run(self) -> None:
        pause_s = RECONNECT_FIRST_S
        while self._queue or not self._closing:
            try:
                if not self._connected():
                    await self._connect()
                pause_s = RECONNECT_FIRST_S
                await self._serve()
            except Exception as problem:
                # Whatever it is, nobody may wait for a batcher that has stopped.
                _log.warning("admission waits for the database: %s", why(problem))
                outage = Unavailable("The ledger is out of reach.")
                outage.__cause__ = self._problem = problem
                self._disconnect()
                self._fail_all(outage, but_settlements=not self._closing)
                await asyncio.sleep(pause_s)
                pause_s = min(pause_s * 2, RECONNECT_MAX_S)

    async def _serve(self) -> None:
        """Batch after batch, until the connection fails or we close."""
        loop = asyncio.get_running_loop()
        while self._connected():
            if self._lost and loop.time() >= self._look_at:
                await self._look_for_lost()
            batch = self._take()
            if batch:
                answer = await self._send(batch)
                if len(self._queue) * UNEVEN_MAX >= len(batch):
                    # What waits by now is sent first: the server works while callers go on.
                    loop.call_soon(answer)
                else:
                    answer()
                    # Who was just answered may ask for more at once: into the next batch with it.
                    await asyncio.sleep(0)
            elif self._closing:
                return
            else:
                self._wake.clear()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(LOST_LOOK_S if self._lost else None):
                        await self._wake.wait()

    async def _look_for_lost(self) -> None:
        with outages_are_unavailable():
            over = await self._lost.over(self._connection, CALL_TIMEOUT_S)
        for item in over:
            self._give_back(item)
        self._look_at = asyncio.get_running_loop().time() + LOST_LOOK_S

    def _take(self) -> list[_Waiting]:
        """The next batch: at most BATCH_MAX, each request once, in the order of arrival."""
        batch: list[_Waiting] = []
        again: list[_Waiting] = []
        keys: set[UUID] = set()
        while self._queue and len(batch) < BATCH_MAX:
            item = self._queue.popleft()
            if item.abandoned:
                continue
            if item.key in keys:
                again.append(item)
                continue
            keys.add(item.key)
            batch.append(item)
        self._queue.extendleft(reversed(again))
        return batch

    async def _send(self, batch: list[_Waiting]) -> Callable[[], None]:
        """Commits a batch; returns what gives each its answer."""
        settles = [item for item in batch if item.kind == "settle"]
        begins = [item for item in batch if item.kind == "begin"]
        admits = [item for item in batch if item.kind == "admit"]
        try:
            with outages_are_unavailable():
                [[said]] = await self._call.fetch(
                    self.boot_id,
                    batch_words.placed(item.rows for item in settles),
                    [item.rows[0] for item in begins],
                    [item.rows[0] for item in admits],
                    timeout=CALL_TIMEOUT_S,
                )
        except asyncpg.PostgresError as problem:
            # An item cannot be understood, and the commit holds none of them. Whatever else goes
            # wrong, nobody knows.
            if len(batch) == 1:
                return functools.partial(self._reject, batch[0], problem)
            await self._send_singly(batch)
            return _nothing
        except Exception as problem:
            outage = Unavailable("The ledger is out of reach.")
            outage.__cause__ = problem
            self._unknown(batch, outage)
            raise outage from problem
        return functools.partial(self._answer_all, (settles, begins, admits), said)

    def _answer_all(self, asked: Sequence[list[_Waiting]], said: Any) -> None:
        at, *answers = said
        for items, values in zip(asked, answers, strict=True):
            for item, value in zip(items, values or (), strict=True):
                self._answer(item, at, value)

    async def _send_singly(self, batch: list[_Waiting]) -> None:
        """Each by itself, so that one that cannot be understood holds up no other."""
        for sent, item in enumerate(batch, start=1):
            try:
                (await self._send([item]))()
            except Unavailable:
                self._queue.extendleft(reversed(batch[sent:]))  # not sent: whoever waits is told
                raise

    def _answer(self, item: _Waiting, at: datetime, value: Any) -> None:
        if item.future is None:
            return
        if not item.future.done():
            item.future.set_result((at, value))
        elif item.kind == "begin" or (item.kind == "admit" and value["code"] == "admitted"):
            self._give_back(item)  # the caller left while we committed

    def _reject(self, item: _Waiting, problem: Exception) -> None:
        if item.future is None:
            _log.error("a settlement of our own was refused", exc_info=problem)
        elif not item.future.done():
            item.future.set_exception(problem)

    def _unknown(self, batch: list[_Waiting], outage: Unavailable) -> None:
        """After a call that broke: nobody knows whether its commit holds."""
        lost = [item for item in batch if item.kind != "settle"]
        self._queue.extendleft(item for item in reversed(batch) if item.kind == "settle")
        for item in lost:
            if item.future is not None and not item.future.done():
                item.future.set_exception(_copy(outage))
        if self._session is not None:
            self._lost.add(self._session, lost)
            self._look_at = 0.0

    def _give_back(self, item: _Waiting) -> None:
        if item.undo is not None:
            rows = batch_words.to_outcome_rows(item.undo.settlement(item.key))
            self._queue.append(_Waiting("settle", item.key, rows, None, None, 0.0))
            self._wake.set()

    def _fail_all(self, outage: Unavailable, *, but_settlements: bool = False) -> None:
        """Answers what waits; settlements of callers may outlive a short outage, ours all."""
        now = asyncio.get_running_loop().time()
        kept: deque[_Waiting] = deque()
        for item in self._queue:
            patient = item.future is None or item.give_up_at > now
            if but_settlements and item.kind == "settle" and patient and not item.abandoned:
                kept.append(item)
            elif item.future is not None and not item.future.done():
                item.future.set_exception(_copy(outage))
        while len(kept) > QUEUE_MAX:
            kept.pop()  # the sweep finds what these would have given back
        self._queue = kept

    def _connected(self) -> bool:
        return self._connection is not None and not self._connection.is_closed()

    async def _connect(self) -> None:
        self._disconnect()
        with outages_are_unavailable():
            connection = await self._open()
            try:
                await connection.execute(_KEEP_IDLE)
                await connection.fetchval(_LEASE, self.boot_id, timeout=CALL_TIMEOUT_S)
                self._session = await session_of(connection, CALL_TIMEOUT_S)
                self._call = await connection.prepare(_CALL)
            except BaseException:
                connection.terminate()
                raise
        connection.add_termination_listener(lambda _: self._wake.set())
        self._connection = connection

    def _disconnect(self) -> None:
        connection, self._connection, self._call = self._connection, None, None
        if connection is not None:
            connection.terminate()


def _nothing() -> None:
    """All have been answered."""


def _copy(outage: Unavailable) -> Unavailable:
    """Each waiter gets an exception of its own: tracebacks are mutable."""
    copy = Unavailable(outage.message, retry_after_ms=outage.retry_after_ms)
    copy.__cause__ = outage.__cause__
    return copy
