"""kill -9 at each point of a request's life; every attempt ends once.

Each point is reached for certain: a tenant's row lock holds a commit back, SIGSTOP holds the
gateway back, the emulator's rules hold its answer back.
"""

import asyncio
import contextlib
import http.client
import os
import signal
import threading
from collections.abc import Iterator

import asyncpg
import pytest
from tests.support.stack import MODEL, Stack, Tenant, wait_until
from tests.support.stack_clients import converse_body, converse_path

PLAIN_AND_STREAMED = pytest.mark.parametrize("stream", [False, True], ids=["plain", "streamed"])
# At a settlement's commit both are one, so that `make test` looks once.
ONE_OF_BOTH = pytest.mark.parametrize(
    "stream", [False, pytest.param(True, marks=pytest.mark.slow)], ids=["plain", "streamed"]
)
ANSWER_AFTER_MS = 700  # time to get hold of what comes after the dispatch
_LOCK = "SELECT 1 FROM tenantry.counter WHERE tenant_id = $1 FOR UPDATE"
_WAITING = """
SELECT count(*) FROM pg_stat_activity
WHERE wait_event_type = 'Lock' AND query LIKE '%gate_batch%'
"""
_ENDINGS = """
SELECT a.ending, a.charged, a.flags, (
         SELECT coalesce(sum(amount), 0) FROM tenantry.provider_ledger p
         WHERE p.tenant_id = a.tenant_id AND p.request_id = a.request_id) AS cost, (
         SELECT coalesce(sum(amount), 0) FROM tenantry.customer_ledger c
         WHERE c.tenant_id = a.tenant_id AND c.request_id = a.request_id) AS charge
FROM tenantry.attempt a WHERE a.tenant_id = $1 ORDER BY a.admitted_at
"""


class Scene:
    """Two tenants with one answered request each, the first of which will ask once more."""

    def __init__(self, stack: Stack, *, stream: bool) -> None:
        self.stack = stack
        self.anna, self.bert = stack.tenants({"concurrent_requests": 1, "monthly_budget": "5"})
        self._path = converse_path(MODEL, stream)
        self.replies: list[int | None] = []  # statuses; None: the connection broke
        for tenant in (self.anna, self.bert):
            assert stack.http("POST", self._path, converse_body(), tenant=tenant)[0] == 200
        stack.wait_settled(self.anna, self.bert)
        self._before = stack.ledger(self.bert)

    @contextlib.contextmanager
    def asking(self) -> Iterator[None]:
        """Anna asks, in a thread of its own, which has its answer at the block's end."""
        thread = threading.Thread(target=self._ask)
        thread.start()
        try:
            yield
        finally:
            thread.join()

    def _ask(self) -> None:
        try:
            status, _, data = self.stack.http(
                "POST", self._path, converse_body(), tenant=self.anna, timeout_s=20
            )
            self.replies.append(status if b"xception" not in data else None)
        except (OSError, http.client.HTTPException):
            self.replies.append(None)

    @contextlib.contextmanager
    def answer_later(self) -> Iterator[None]:
        """As `asking`, and yields when the emulator has the call and has not yet answered."""
        rule = {
            "match": {"request_metadata": {"tid": self.anna.id}},
            "times": 1,
            "action": {"kind": "slow_first_token", "delay_ms": ANSWER_AFTER_MS},
        }
        self.stack.emulator.rules(rule)
        with self.asking():
            wait_until(
                lambda: self.stack.emulator.own("GET", "rules")["rules"][-1]["acted"],
                "the call reaches the emulator",
            )
            yield

    def wait_billed(self) -> None:
        wait_until(lambda: len(self.stack.bill(self.anna)) == 2, "the emulator has answered")

    def wait_commit_held(self) -> None:
        wait_until(lambda: self.stack.rows(_WAITING)[0][0], "a commit waits for the tenant's lock")

    def assert_ended(self, ending: str, *, trued_up: bool, paid: bool = True) -> None:
        """One terminal state, totals as without the crash, nothing held, nobody else touched.

        `paid`: by the customer, where anything was used.
        """
        stack = self.stack
        stack.revive()
        lost = stack.wait_accounted(self.anna, self.bert)
        assert lost == (ending == "written_off")
        first, second = stack.rows(_ENDINGS, self.anna.id)
        assert first["ending"] == "settled"
        assert second["ending"] == ending
        assert ("trued_up" in second["flags"]) is trued_up
        assert first["charge"] == 3 * first["cost"] > 0
        used = ending == "settled"
        assert second["cost"] == (first["cost"] if used else 0)
        assert second["charge"] == (first["charge"] if used and paid else 0)
        assert second["charged"] is (used and paid)
        assert stack.ledger(self.bert) == self._before
        assert stack.violations() == []
        # The slot and the reservation are free: the tenant has one slot, and uses it.
        assert stack.http("POST", self._path, converse_body(), tenant=self.anna)[0] == 200
        stack.wait_settled(self.anna, self.bert)


@contextlib.contextmanager
def locked(stack: Stack, tenant: Tenant) -> Iterator[None]:
    """Holds back every commit that concerns the tenant, until the block ends."""
    with asyncio.Runner() as runner:

        async def lock() -> asyncpg.Connection:
            connection = await asyncpg.connect(stack.cluster().dsn("superuser"))
            await connection.execute("BEGIN")
            await connection.execute(_LOCK.replace("$1", f"'{tenant.id}'"))
            return connection

        connection = runner.run(lock())
        try:
            yield
        finally:

            async def release() -> None:
                with contextlib.suppress(asyncpg.PostgresError, asyncpg.InterfaceError, OSError):
                    await connection.execute("ROLLBACK")
                connection.terminate()

            runner.run(release())


@contextlib.contextmanager
def asleep(pid: int) -> Iterator[None]:
    """The process does nothing within the block."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


@contextlib.contextmanager
def stopped(stack: Stack) -> Iterator[None]:
    """The gateway does nothing within the block, and is killed at its end."""
    (worker,) = stack.gateway_workers()
    os.kill(worker, signal.SIGSTOP)
    try:
        yield
    finally:
        assert stack.kill_gateway_worker() == worker


@PLAIN_AND_STREAMED
def test_killed_after_the_reservation(doomed: Stack, stream: bool) -> None:
    scene = Scene(doomed, stream=stream)
    with contextlib.ExitStack() as lock:
        lock.enter_context(locked(doomed, scene.anna))
        with scene.asking():
            scene.wait_commit_held()
            with stopped(doomed):
                lock.close()
                wait_until(lambda: doomed.open_requests(scene.anna), "the reservation commits")
    assert scene.replies == [None]
    assert len(doomed.bill(scene.anna)) == 1
    scene.assert_ended("written_off", trued_up=False)
    assert len(doomed.bill(scene.anna)) == 2  # the last one: what was not sent never is


@PLAIN_AND_STREAMED
def test_killed_after_the_dispatch(doomed: Stack, stream: bool) -> None:
    scene = Scene(doomed, stream=stream)
    with scene.answer_later():
        doomed.kill_gateway_worker()
    assert scene.replies == [None]
    scene.assert_ended("settled", trued_up=True)


@PLAIN_AND_STREAMED
def test_killed_after_the_upstream_reply(doomed: Stack, stream: bool) -> None:
    scene = Scene(doomed, stream=stream)
    with scene.answer_later(), stopped(doomed):
        scene.wait_billed()
    assert scene.replies == [None]
    scene.assert_ended("settled", trued_up=True)


@ONE_OF_BOTH
def test_gateway_killed_in_the_middle_of_the_commit(doomed: Stack, stream: bool) -> None:
    """The commit goes through although nobody waits for it any more."""
    scene = Scene(doomed, stream=stream)
    with scene.answer_later(), locked(doomed, scene.anna):
        scene.wait_commit_held()
        doomed.kill_gateway_worker()
    assert scene.replies == [None]
    scene.assert_ended("settled", trued_up=False)


@ONE_OF_BOTH
def test_all_killed_in_the_middle_of_the_commit(doomed: Stack, stream: bool) -> None:
    """The commit is undone with the database; the log says what was used."""
    scene = Scene(doomed, stream=stream)
    with scene.answer_later(), locked(doomed, scene.anna):
        scene.wait_commit_held()
        doomed.kill_everything()
    assert scene.replies == [None]
    scene.assert_ended("settled", trued_up=True)


@ONE_OF_BOTH
def test_postgres_killed_in_the_middle_of_the_commit(doomed: Stack, stream: bool) -> None:
    """The gateway still knows what to settle, and settles it when the database is back: as the
    customer's where that was in time, as our waste where it was told 503."""
    scene = Scene(doomed, stream=stream)
    with asleep(doomed.background_worker()):  # its sweep would find a gateway without a lease
        with scene.answer_later(), locked(doomed, scene.anna):
            scene.wait_commit_held()
            doomed.kill_postgres()
        doomed.revive()
        wait_until(lambda: not doomed.open_requests(scene.anna), "the gateway settles")
    told = scene.replies[0] == 200
    scene.assert_ended("settled", trued_up=False, paid=told)
