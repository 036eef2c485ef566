"""ApplyGuardrail: a guardrail by itself, billed by its units and by nothing else."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson

from bedrock_emulator.bill import Bill, Charge
from bedrock_emulator.engine import errors
from bedrock_emulator.engine.guarded_parts import looked_of
from bedrock_emulator.engine.guarding import find
from bedrock_emulator.engine.guardrail import Assessment, Guardrail, GuardrailLookup, assess
from bedrock_emulator.engine.requests.content import guarded_text
from bedrock_emulator.engine.types import TokenUsage
from bedrock_emulator.faults import RuleBook, Subject
from bedrock_emulator.wire import answers
from bedrock_emulator.wire.auth import Principal
from bedrock_emulator.wire.exchange import Exchange, Request
from bedrock_emulator.wire.inference import refuse_by_rule, refuse_whatever_is_billed, refuses
from bedrock_emulator.wire.replies import write_body
from bedrock_emulator.wire.routes import GuardrailRoute

OPERATION = "ApplyGuardrail"
BLOCKS_MAX = 1_000
_SIDES = {"INPUT": "input", "OUTPUT": "output"}
_SCOPES = ("INTERVENTIONS", "FULL")


@dataclass(frozen=True, slots=True)
class Guardrails:
    lookup: GuardrailLookup
    rules: RuleBook
    bill: Bill
    now: Callable[[], datetime]

    async def serve(
        self,
        route: GuardrailRoute,
        principal: Principal,
        request: Request,
        exchange: Exchange,
        request_id: str,
    ) -> None:
        """Answers the call, which is billed first; raises EmulatedError for a refusal."""
        account, region = principal.account.id, principal.region
        name = f"{route.identifier}:{route.version}"
        source, blocks = _read(request)
        guardrail = find(self.lookup, account, region, route.identifier, route.version)
        if guardrail is None:
            raise errors.not_found("The guardrail identifier or version does not exist.")
        plan = self.rules.plan(Subject(name, account, region, OPERATION, {}))
        refuse_by_rule(plan.ending, streamed=False)
        side = "input" if source == "INPUT" else "output"
        found = assess(guardrail, side, looked_of(blocks))  # type: ignore[arg-type]
        ending = plan.ending
        if ending is None or ending.bill != "none":
            charge = Charge(
                account=account,
                region=region,
                request_id=request_id,
                operation=OPERATION,
                model_id=name,
                model="",
                usage=TokenUsage(),
                guardrail=found.usage,
                service_tier=None,
                inference_region=None,
                request_metadata={},
                invocation_id=request.headers.get("amz-sdk-invocation-id"),
                error_code=ending.code if ending and refuses(ending, streamed=False) else None,
                timestamp=self.now(),
            )
            self.bill.append(charge)
            await self.bill.settled()
        refuse_whatever_is_billed(ending)
        await exchange.pause(plan.first_token_ms / 1_000)
        headers = {"content-type": answers.JSON, "x-amzn-RequestId": request_id}
        await write_body(exchange, ending, headers, _answer(guardrail, source, found))


def _read(request: Request) -> tuple[str, list[dict[str, Any]]]:
    try:
        body = orjson.loads(request.body)
    except orjson.JSONDecodeError as error:
        raise errors.validation("The request is not valid JSON.") from error
    if not isinstance(body, dict) or body.get("source") not in tuple(_SIDES):
        raise errors.validation("The source must be INPUT or OUTPUT.")
    content = body.get("content")
    if not isinstance(content, list) or not 0 < len(content) <= BLOCKS_MAX:
        raise errors.validation(f"The content must have 1 to {BLOCKS_MAX:,} blocks.")
    for index, block in enumerate(content):
        guarded_text(block, f"content.{index}")
    scope = body.get("outputScope")
    if scope not in (None, *_SCOPES):
        raise errors.not_in_set("outputScope", scope, _SCOPES)
    return body["source"], content


def _answer(guardrail: Guardrail, source: str, found: Assessment) -> dict[str, Any]:
    texts: list[str] = []
    if found.blocked:
        blocked = guardrail.blocked_input if source == "INPUT" else guardrail.blocked_output
        texts = [blocked]
    elif found.masked:
        texts = list(found.texts)
    answer: dict[str, Any] = {
        "usage": dict(found.usage),
        "action": "GUARDRAIL_INTERVENED" if found.intervened else "NONE",
        "outputs": [{"text": text} for text in texts],
        "assessments": [dict(found.document)],
        "guardrailCoverage": found.document["invocationMetrics"]["guardrailCoverage"],
    }
    if found.intervened:
        answer["actionReason"] = "Guardrail blocked." if found.blocked else "Guardrail masked."
    return answer
