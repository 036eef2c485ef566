"""One runtime call, from its verified caller to the last byte of its answer.

1. decode the body and the request metadata  2. validate  3. ask the rules what goes wrong
4. take the quota  5. generate  6. write the answer, billing and logging before its last byte.
A client that leaves changes nothing in 5 and 6 but the writing, unless a rule says so.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Protocol, TypeVar

from bedrock_emulator.engine.native.openai import created
from bedrock_emulator.engine.reranking import model_of
from bedrock_emulator.engine.types import (
    Answer,
    Call,
    EmulatedError,
    Metered,
    Prepared,
    TokenUsage,
)
from bedrock_emulator.faults import Action, Plan, RuleBook, Subject
from bedrock_emulator.quota import Quotas
from bedrock_emulator.wire import answers
from bedrock_emulator.wire.auth import Principal
from bedrock_emulator.wire.exchange import Exchange, Request
from bedrock_emulator.wire.meter import Books, Meter
from bedrock_emulator.wire.replies import Reply, write_body, write_whole
from bedrock_emulator.wire.requests import json_body, request_metadata
from bedrock_emulator.wire.routes import RuntimeRoute
from bedrock_emulator.wire.stats import Stats
from bedrock_emulator.wire.streaming import write_stream

Result = TypeVar("Result")
STREAMED = frozenset({"ConverseStream", "InvokeModelWithResponseStream"})


class AnsweringEngine(Protocol):
    """What the wire needs of an engine."""

    def prepare(self, call: Call) -> Prepared: ...
    def answer(self, call: Call, prepared: Prepared, usage: TokenUsage | None) -> Answer: ...
    def count_tokens(self, call: Call) -> int: ...


@dataclass(frozen=True, slots=True)
class Inference:
    engine: AnsweringEngine
    executor: Executor | None  # None: the engine answers in microseconds, call it in place
    rules: RuleBook
    quotas: Quotas
    books: Books
    stats: Stats
    now: Callable[[], datetime]

    async def serve(
        self,
        route: RuntimeRoute,
        principal: Principal,
        request: Request,
        exchange: Exchange,
        request_id: str,
    ) -> None:
        """Answers the call; raises EmulatedError for a refusal that has not been written yet."""
        started_ns = time.monotonic_ns()
        body = json_body(request, route.operation)
        call = Call(
            operation=route.operation,
            model_id=route.model_id or model_of(body),
            account=principal.account.id,
            region=principal.region,
            body=body,
            headers=request.headers,
            request_id=request_id,
        )
        metadata = request_metadata(request, route.operation, body)
        if call.operation == "CountTokens":
            await self._count_tokens(call, metadata, exchange, request_id)
            return
        meter = Meter(
            self.books,
            self.now,
            principal=principal,
            request_id=request_id,
            call=call,
            request_metadata=metadata,
        )
        try:
            meter.prepared = prepared = await self._run(self.engine.prepare, call)
            plan = self._plan(call, metadata, prepared.metered)
            answer = await self._generate(call, principal, plan, meter, prepared)
        except EmulatedError as error:
            meter.failed(error.name)
            raise
        if plan.stop_on_hangup and exchange.half_closed:
            exchange.client_left()
        if call.operation.startswith("Invoke"):
            answer = created(answer, int(self.now().timestamp()))
        reply = Reply(exchange, call, answer, plan, meter, request_id, started_ns)
        try:
            await self._write(reply)
        except asyncio.CancelledError:
            # The emulator is ending: what was generated is billed and logged all the same.
            meter.generated(answer, answer.usage)
            raise

    async def _write(self, reply: Reply) -> None:
        await refuse_billed(reply)
        if reply.call.operation in STREAMED:
            with self.stats.open_stream():
                await write_stream(reply, live=self.executor is not None)
        else:
            await write_whole(reply)

    def _plan(self, call: Call, metadata: Mapping[str, str], metered: Metered) -> Plan:
        """What the rules say of a valid call."""
        return self.rules.plan(
            Subject(call.model_id, call.account, call.region, call.operation, metadata, metered)
        )

    async def _generate(
        self, call: Call, principal: Principal, plan: Plan, meter: Meter, prepared: Prepared
    ) -> Answer:
        refuse_by_rule(plan.ending, streamed=call.operation in STREAMED)
        meter.reservation = self.quotas.reserve(
            principal.account, call.region, call.model_id, prepared
        )
        answer = partial(self.engine.answer, prepared=prepared, usage=plan.usage)
        return await self._run(answer, call)

    async def _count_tokens(
        self, call: Call, metadata: Mapping[str, str], exchange: Exchange, request_id: str
    ) -> None:
        tokens = await self._run(self.engine.count_tokens, call)
        plan = self._plan(call, metadata, "none")
        refuse_by_rule(plan.ending, streamed=False)
        refuse_whatever_is_billed(plan.ending)
        headers = {"content-type": answers.JSON, "x-amzn-RequestId": request_id}
        await exchange.pause(plan.first_token_ms / 1_000)
        await write_body(exchange, plan.ending, headers, {"inputTokens": tokens})

    async def _run(self, work: Callable[[Call], Result], call: Call) -> Result:
        if self.executor is None:
            return work(call)
        return await asyncio.get_running_loop().run_in_executor(self.executor, work, call)


def refuse_by_rule(action: Action | None, *, streamed: bool) -> None:
    """Raises what a rule answers in place of a generation."""
    if action is None:
        return
    if action.kind == "throttle":
        raise ruled_error(action, "ThrottlingException", 429)
    if action.bill in (None, "none") and refuses(action, streamed=streamed):
        raise ruled_error(action, action.code, action.status)


def refuse_whatever_is_billed(action: Action | None) -> None:
    """Raises the error of a rule on a call that generates nothing, whatever its `bill` says."""
    if action is not None and refuses(action, streamed=False):
        raise ruled_error(action, action.code, action.status)


async def refuse_billed(reply: Reply) -> None:
    """Raises the error of a rule under which the generation is lost and billed all the same."""
    action = reply.plan.ending
    if action is not None and refuses(action, streamed=reply.call.operation in STREAMED):
        await reply.settle("full", output_tokens=0, error_code=action.code)
        raise ruled_error(action, action.code, action.status)


def refuses(action: Action, *, streamed: bool) -> bool:
    return action.kind == "error" or (action.kind == "error_frame" and not streamed)


def ruled_error(action: Action, code: str, status: int) -> EmulatedError:
    members = {} if action.retry_after_ms is None else {"retry_after_ms": action.retry_after_ms}
    message = action.message or answers.DEFAULT_MESSAGES.get(code, "The request failed.")
    return EmulatedError(code, status, message, **members)
