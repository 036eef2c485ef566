"""A gateway worker of a simulation: a process of its own that can die between any two steps.

It has the use cases and adapters of the gateway but its HTTP edge, is told over a Unix socket what
clients ask, one JSON line each, and says what each was told. A clock is its own, and can jump.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import contextvars
import hashlib
import json
import logging
import os
import signal
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.support.exactness import trap_rounding
from tests.support.idempotency import MemoryKeys
from tests.support.ledger import PEPPER, opened

from tenantry.adapters.bedrock.client import BedrockModel
from tenantry.adapters.bedrock.connections import Connections
from tenantry.adapters.bedrock.credentials import Credentials, StaticCredentials
from tenantry.adapters.clock import SystemClock
from tenantry.adapters.keys.labels import TenantLabels
from tenantry.adapters.postgres.admission import PostgresAdmission
from tenantry.adapters.postgres.batcher import Batcher
from tenantry.adapters.postgres.connections import Databases
from tenantry.adapters.postgres.directory import PostgresDirectory
from tenantry.adapters.postgres.idempotency import PostgresIdempotency
from tenantry.adapters.sealed.sealer import TenantSealer
from tenantry.application.calls import ChatCall
from tenantry.application.context import Idempotency, RequestContext
from tenantry.application.embeddings import Embeddings
from tenantry.application.gate import Gate
from tenantry.application.idempotency import Idempotent, Made, Whole
from tenantry.application.inference import Inference
from tenantry.application.model_calls import ModelCalls
from tenantry.application.owned_tasks import OwnedTasks
from tenantry.application.planning import Planning
from tenantry.application.streaming import StreamLimits
from tenantry.application.upstream import UpstreamRules
from tenantry.domain.errors import TenantryError, Unavailable, UpstreamThrottled
from tenantry.domain.tenant import Principal
from tenantry.ports.admission import Admitted
from tenantry.ports.model import Timeouts

LINE_BYTES_MAX = 4 * 1024 * 1024
OUTAGE_S = 30.0  # the longest that PostgreSQL may take to come back
OPERATIONS = {
    "converse": "Converse",
    "stream": "ConverseStream",
    "invoke": "InvokeModel",
    "invoke-stream": "InvokeModelWithResponseStream",
}
_death: contextvars.ContextVar[str | None] = contextvars.ContextVar("death", default=None)


class JumpingClock(SystemClock):
    """The machine's clock, wrong by what it is told; `monotonic` stays so."""

    offset_s = 0.0

    def now(self) -> datetime:
        return datetime.now(UTC) + timedelta(seconds=self.offset_s)


def die(step: str) -> None:
    """Ends the process as `kill -9` does, where the call at hand is to die at this step."""
    if _death.get() == step:
        os.kill(os.getpid(), signal.SIGKILL)


def _later(step: str) -> None:
    """Dies some milliseconds after a step has begun, wherever it has come to by then."""
    name, _, delay_ms = (_death.get() or "").partition(":")
    if name == step and delay_ms:
        asyncio.get_running_loop().call_later(
            int(delay_ms) / 1_000, os.kill, os.getpid(), signal.SIGKILL
        )


class MortalAdmission:
    """Admission with the places to die at, and word of each reservation."""

    def __init__(self, port: PostgresAdmission, say: Callable[[dict[str, Any]], None]) -> None:
        self._port = port
        self._say = say

    async def admit(self, reservation: Any) -> Any:
        die("before-admit")
        _later("admitting")
        # Told first: a reservation whose worker dies is known all the same.
        self._say(
            {
                "reserved": str(reservation.request_id),
                "cost": str(reservation.worst_cost),
                "charge": str(reservation.worst_charge),
            }
        )
        verdict = await self._port.admit(reservation)
        if isinstance(verdict, Admitted):
            die("admitted")
        return verdict

    async def begin(self, tenant_id: Any, request_id: Any, intent: Any) -> None:
        _later("beginning")
        await self._port.begin(tenant_id, request_id, intent)
        die("begun")

    async def settle(self, settlement: Any) -> Any:
        die("answered")
        _later("settling")
        settled = await self._port.settle(settlement)
        die("settled")
        return settled


class MortalModel:
    """The model's port with the places to die at."""

    def __init__(self, model: BedrockModel) -> None:
        self._model = model

    async def invoke(self, attempt: Any) -> Any:
        _later("sent")
        return await self._model.invoke(attempt)

    async def stream(self, attempt: Any) -> Any:
        _later("sent")
        reply = await self._model.stream(attempt)
        die("mid-stream")
        return reply


class Worker:
    """One worker's use cases, and what it has under way."""

    def __init__(self, spec: dict[str, Any], say: Callable[[dict[str, Any]], None]) -> None:
        self.spec = spec
        self.say = say
        self.clock = JumpingClock()
        self.tasks = OwnedTasks()
        self._calls: set[asyncio.Task[None]] = set()

    @contextlib.asynccontextmanager
    async def opened(self) -> AsyncIterator[None]:
        spec, clock = self.spec, self.clock
        databases = await _patiently(lambda: Databases.open(lambda role: spec["dsns"][role]))
        connections = Connections()
        self._directory = PostgresDirectory(
            databases.app, pepper=PEPPER, open_sealed=opened, clock=clock
        )
        batcher = Batcher(lambda: databases.open_pinned("app"), spec["boot_id"])
        await _patiently(batcher.start)
        try:
            keys = MemoryKeys()
            sealer = TenantSealer(keys)
            labels = TenantLabels(sealer, keys)
            credentials = {
                ref: Credentials(entry["id"], entry["secret"])
                for ref, entry in spec["credentials"].items()
            }
            # It signs by the true time: with a wrong one Bedrock would refuse every call.
            model = MortalModel(
                BedrockModel(StaticCredentials(credentials), SystemClock(), connections)
            )
            admission = MortalAdmission(PostgresAdmission(batcher), self.say)
            gate = Gate(admission, self._directory, labels, self.tasks, spec["settle_wait_ms"])
            rules = UpstreamRules(
                endpoint_url=spec["endpoint_url"], timeouts=Timeouts(**spec["timeouts"])
            )
            planning = Planning(self._directory, labels, clock, rules)
            calls = ModelCalls(model, planning)
            self._inference = Inference(gate, planning, model, self.tasks, clock, StreamLimits())
            self._embeddings = Embeddings(gate, planning, calls, self.tasks)
            self._idempotent = Idempotent(
                PostgresIdempotency(databases.app), sealer, keys, labels, self.tasks
            )
            yield
        finally:
            await batcher.close()
            connections.close()
            databases.terminate()

    def take(self, order: dict[str, Any]) -> None:
        task = asyncio.create_task(self._serve(order))
        self._calls.add(task)
        task.add_done_callback(self._calls.discard)

    async def drain(self) -> None:
        while self._calls:
            await asyncio.wait(self._calls)
        await self.tasks.drain(30_000)

    async def _serve(self, order: dict[str, Any]) -> None:
        _death.set(order.get("death"))
        told: dict[str, Any] = {"request_id": order["request_id"]}
        try:
            principal = await self._directory.by_bearer(order["bearer"], fresh=False)
            answer = await self._answer(order, principal)
            told.update(answer)
        except TenantryError as refusal:
            told.update(told="refused", code=refusal.code)
        except Exception as broken:
            told.update(told="broken", code=repr(broken))
        self.say({**told, "sending": order["sending"], "at": time.time()})

    async def _answer(self, order: dict[str, Any], principal: Principal) -> dict[str, Any]:
        ctx = RequestContext(
            uuid.UUID(order["request_id"]),  # type: ignore[arg-type]
            principal,
            user=order["user"],
            run_id=order["run"],
            tags=order["tags"],
        )
        if order["idempotency_key"] is None:
            return await self._once(ctx, order)

        async def make() -> Made:
            try:
                said = await self._once(ctx, order)
            except TenantryError as refusal:
                spent = ctx.progress.admitted and not isinstance(refusal, UpstreamThrottled)
                said = {"told": "refused", "code": refusal.code}
                return Made(Whole(500, {}, json.dumps(said).encode()), spent)
            return Made(Whole(200, {}, json.dumps(said).encode()), True)

        digest = hashlib.sha256(json.dumps(order["body"], sort_keys=True).encode()).digest()
        given = Idempotency(order["idempotency_key"], digest, implied=order["implied"])
        answered = await self._idempotent.run(principal, ctx.request_id, given, make)
        assert isinstance(answered.answer, Whole)
        said = json.loads(answered.answer.body)
        return {**said, "answered_by": str(answered.request_id), "replayed": answered.replayed}

    async def _once(self, ctx: RequestContext, order: dict[str, Any]) -> dict[str, Any]:
        kind, leaves = order["kind"], order["leaves"]
        if kind == "embed":
            embedded = await _unless_left(
                self._embeddings.embed(ctx, order["model"], order["texts"], 256), leaves
            )
            return {"told": "left"} if embedded is None else _answered(embedded.charge)
        chat = ChatCall(
            OPERATIONS[kind],  # type: ignore[arg-type]
            order["model"],
            order["body"],
            service_tier=order["tier"],
            request_metadata={} if kind.startswith("invoke") else {"call": str(order["number"])},
        )
        if kind in ("converse", "invoke"):
            whole = await _unless_left(self._inference.complete(ctx, chat), leaves)
            return {"told": "left"} if whole is None else _answered(whole.charge)
        answer = await self._inference.stream(ctx, chat)
        seen, failed = 0, None
        async for frame in answer.frames:
            seen += 1
            failed = failed or frame.exception_type
            if leaves is not None and seen > leaves:
                answer.leave()
                return {"told": "left"}
        if failed is not None:
            return {"told": "failed", "code": failed}
        return _answered(answer.charge)


def _answered(charge: Any) -> dict[str, Any]:
    return {"told": "ok", "charge": None if charge is None else str(charge)}


async def _unless_left(work: Awaitable[Any], leaves: int | None) -> Any:
    """What it gives; None where its client went after `leaves` × 5 ms."""
    if leaves is None:
        return await work
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(leaves * 0.005):
            return await work
    return None


async def _patiently(work: Callable[[], Awaitable[Any]]) -> Any:
    """Once PostgreSQL is back, where it is away while a worker begins."""
    deadline = time.monotonic() + OUTAGE_S
    while True:
        try:
            return await work()
        except Unavailable:
            if time.monotonic() > deadline:
                raise
            await asyncio.sleep(0.05)


async def serve(path: str, spec: dict[str, Any]) -> None:
    """Until end of file: what is under way is then finished."""
    reader, writer = await asyncio.open_unix_connection(path, limit=LINE_BYTES_MAX)

    def say(words: dict[str, Any]) -> None:
        writer.write(json.dumps(words).encode() + b"\n")

    worker = Worker(spec, say)
    async with worker.opened():
        say({"ready": spec["boot_id"], "pid": os.getpid()})
        while line := await reader.readline():
            order = json.loads(line)
            if "offset_s" in order:
                worker.clock.offset_s = order["offset_s"]
            elif "drain" in order:
                await worker.drain()
                say({"drained": True})
            else:
                worker.take(order)
        await worker.drain()
    with contextlib.suppress(OSError):
        writer.close()
        await writer.wait_closed()


def main(path: str, encoded: str) -> None:
    """The process's target; the spec comes as text, because forked servers pickle arguments."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    trap_rounding()
    logging.getLogger("asyncpg").setLevel(logging.CRITICAL)  # outages are part of the play
    asyncio.run(serve(path, json.loads(base64.b64decode(encoded))))
