"""What a worker asks its database for whoever asks the worker: whether it can serve, and counts.

Anybody may ask, also without a key: a flood of questions costs the database no more than one at a
time, and nobody waits longer for its answer than ANSWER_S, however long the database hangs.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import traceback
from collections.abc import Awaitable, Callable
from typing import Final, Generic, TypeVar, cast

from tenantry.domain.errors import TenantryError, Unavailable

HOLDS_S: Final = 1.0  # an answer
ANSWER_S: Final = 1.5  # well below the 10 s that Prometheus, or a load balancer, waits by itself
_log = logging.getLogger(__name__)
T = TypeVar("T")


class InThread(Generic[T]):
    """`ask` in a thread, never in two: one that hangs at a disk cannot be given up, and one more
    for each question would take all threads of the loop."""

    def __init__(self, ask: Callable[[], T]) -> None:
        self._ask = ask
        self._thread: asyncio.Future[T] | None = None

    async def __call__(self) -> T:
        if self._thread is None or self._thread.done():
            self._thread = asyncio.ensure_future(asyncio.to_thread(self._ask))
        return await asyncio.shield(self._thread)


class SharedQuestion(Generic[T]):
    """Answers what `ask` answered, or raises what it raised, for as long as that holds.

    An answer that is late counts as an outage. Its question is given up; there is no other one
    before it has ended, which takes as long as the connection needs to notice.
    """

    def __init__(self, ask: Callable[[], Awaitable[T]], monotonic: Callable[[], float]) -> None:
        self._ask = ask
        self._monotonic = monotonic
        self._told = asyncio.Event()  # that there is an answer, or that it is late
        self._asking: asyncio.Task[None] | None = None
        self._until: float | None = None
        self._answer: T | None = None
        self._refusal: TenantryError | None = None

    async def __call__(self) -> T:
        if self._asking is None and not self._holds():
            self._told.clear()
            self._asking = asyncio.create_task(self._run(), name="question")
        await self._told.wait()
        if self._refusal is not None:
            raise self._refusal.with_traceback(None)
        return cast(T, self._answer)

    async def close(self) -> None:
        """Gives up the question under way; whoever waits for it is told so."""
        task = self._asking
        if task is not None:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    def _holds(self) -> bool:
        return self._until is not None and self._monotonic() < self._until

    async def _run(self) -> None:
        late = asyncio.get_running_loop().call_later(ANSWER_S, self._give_up)
        try:
            answer = await self._ask()
        except TenantryError as refusal:
            self._tell(None, refusal)
        except Exception as fault:
            # Content could be in the message of an exception: only its kind and place are logged.
            place = traceback.extract_tb(fault.__traceback__)[-1]
            where = f"{type(fault).__name__} at {place.filename}:{place.lineno}"
            _log.error("unexpected in a question to the database: %s", where)
            self._tell(None, Unavailable("The question failed."))
        else:
            self._tell(answer, None)
        finally:
            late.cancel()
            self._asking = None
            if not self._told.is_set():
                self._tell(None, Unavailable("The worker is closing."))

    def _give_up(self) -> None:
        assert self._asking is not None
        self._tell(None, Unavailable(f"There was no answer within {ANSWER_S} s."))
        self._asking.cancel()

    def _tell(self, answer: T | None, refusal: TenantryError | None) -> None:
        self._answer, self._refusal = answer, refusal
        self._until = self._monotonic() + HOLDS_S
        self._told.set()
