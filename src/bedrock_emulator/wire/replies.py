"""An answer on its way out, and the writing of whole (not streamed) answers."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import orjson

from bedrock_emulator.engine.types import Answer, Call
from bedrock_emulator.faults import Action, Billed, Plan
from bedrock_emulator.wire import answers
from bedrock_emulator.wire.exchange import Exchange
from bedrock_emulator.wire.meter import Meter

NATIVE = frozenset({"InvokeModel", "InvokeModelWithResponseStream"})
LOST = "InternalServerException"  # the log's code of a generation that a rule says is not billed


@dataclass(frozen=True, slots=True)
class Reply:
    exchange: Exchange
    call: Call
    answer: Answer
    plan: Plan
    meter: Meter
    request_id: str
    started_ns: int

    @property
    def native(self) -> bool:
        return self.call.operation in NATIVE

    def elapsed_ms(self) -> int:
        return (time.monotonic_ns() - self.started_ns) // 1_000_000

    async def settle(
        self,
        default: Billed,
        *,
        output_tokens: int,
        error_code: str | None = None,
        response_body: Callable[[], Any] | None = None,
    ) -> None:
        """Bills and logs, durably, as the rule that ends the call says, else by `default`."""
        ending = self.plan.ending
        how = ending.bill if ending is not None and ending.bill is not None else default
        usage = self.answer.usage
        if how == "none":
            self.meter.failed(error_code or LOST)
            return
        if how == "emitted":
            usage = answers.only_emitted(usage, output_tokens)
        self.meter.generated(self.answer, usage, error_code=error_code, response_body=response_body)
        await self.meter.settled()

    async def settle_hangup(self, output_tokens: int) -> None:
        """The client has gone: all is billed, unless a rule stops the generation with it."""
        stops = self.plan.stop_on_hangup
        await self.settle("emitted" if stops else "full", output_tokens=output_tokens)


async def write_whole(reply: Reply) -> None:
    """Writes a body in one piece, with the headers that Bedrock gives it."""
    answer, exchange, plan = reply.answer, reply.exchange, reply.plan
    delay_ms = plan.first_token_ms + plan.token_ms * answer.usage.output
    await exchange.pause(delay_ms / 1_000)
    if exchange.gone:
        await reply.settle_hangup(0)
        return
    latency_ms = reply.elapsed_ms()
    body = answers.with_latency(answer, latency_ms)
    headers = {"content-type": answers.JSON, "x-amzn-RequestId": reply.request_id}
    if reply.native:
        headers["X-Amzn-Bedrock-Invocation-Latency"] = str(latency_ms)
        headers |= answer.headers
        headers |= answers.echoed(reply.call.headers, answer)
    output_tokens = sent_of(answer.usage.output, plan.ending)
    await reply.settle("full", output_tokens=output_tokens, response_body=lambda: body)
    await write_body(exchange, plan.ending, headers, body)


def sent_of(output_tokens: int, ending: Action | None) -> int:
    """How many of a whole answer's tokens reach the client, as a rule lets them."""
    if ending is None or ending.what == "usage":
        return output_tokens
    halved = ending.kind == "cut" or ending.what == "truncated_json"
    return output_tokens // 2 if halved else 0


async def write_body(
    exchange: Exchange, ending: Action | None, headers: dict[str, str], body: Any
) -> None:
    """A whole body, broken as a rule says that lets the call come to an answer."""
    if ending is None:
        exchange.respond(200, headers, orjson.dumps(body))
    elif ending.kind == "hang":
        await exchange.pause(ending.for_ms / 1_000)
        await exchange.abort()
    elif ending.kind == "cut":
        await exchange.respond_half(200, headers, orjson.dumps(body))
    else:
        if ending.what == "usage":
            headers = answers.without_counts(headers)
        headers["content-type"], content = rubbish(ending, body)
        exchange.respond(200, headers, content)


def rubbish(action: Action, body: Any) -> tuple[str, bytes]:
    """Content type and bytes of an answer that no client should believe."""
    if action.what == "html":
        return "text/html", b"<html><body><h1>502 Bad Gateway</h1></body></html>"
    if action.what == "usage":
        return answers.JSON, orjson.dumps(answers.with_reported_usage(body, action.usage))
    if action.what == "truncated_json":
        encoded = orjson.dumps(body)
        return answers.JSON, encoded[: len(encoded) // 2]
    return answers.JSON, b"this is not JSON"
