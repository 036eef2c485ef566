"""Which guardrail a call leaves with, what its client is shown of it, and what is refused."""

from __future__ import annotations

import base64
from dataclasses import replace
from typing import Any

import orjson
import pytest
from tests.support.core import ACCOUNT, plan

from tenantry.application.calls import ChatCall
from tenantry.application.guarding import frame_without_trace, guard, without_trace
from tenantry.domain import eventstream
from tenantry.domain.catalogue import Model
from tenantry.domain.errors import BadRequest, Forbidden
from tenantry.ports.model import Reply

CLAUDE = Model("anthropic.c", "anthropic", "chat", 200_000, 8_192, "c", native_body="anthropic")
TITAN = Model("amazon.t", "titan_embed", "embedding", 8_192, 0, "t")
MESSAGES = [{"role": "user", "content": [{"text": "hello"}]}]
CONFIG = {"guardrailIdentifier": "gr1", "guardrailVersion": "1"}
CONVERSE = ChatCall("Converse", "c", {"messages": MESSAGES})
STREAM = replace(CONVERSE, operation="ConverseStream")
NATIVE = ChatCall("InvokeModel", "c", {"messages": MESSAGES})
HEADERS = {"x-amzn-bedrock-guardrailidentifier": "gr1", "x-amzn-bedrock-guardrailversion": "1"}
TRACE = {"guardrail": {"inputAssessment": {}}}


def configured(call: ChatCall, **more: object) -> ChatCall:
    return replace(call, body={**call.body, "guardrailConfig": {**CONFIG, **more}})


def test_a_call_without_a_guardrail_is_untouched() -> None:
    for call in (CONVERSE, STREAM, NATIVE):
        guarded = guard(plan(), call, CLAUDE, ACCOUNT)
        assert guarded.chat is call and guarded.guardrail is None


@pytest.mark.parametrize("call", [CONVERSE, STREAM])
def test_a_plans_guardrail_leaves_with_a_trace_that_nobody_sees(call: ChatCall) -> None:
    guarded = guard(plan(guardrail="gr1:1"), call, CLAUDE, ACCOUNT)
    assert guarded.chat.body["guardrailConfig"] == {**CONFIG, "trace": "enabled"}
    assert not guarded.shows_trace
    assert "guardrailConfig" not in call.body


@pytest.mark.parametrize(
    ("trace", "sent", "shown"),
    [
        (None, "enabled", False),
        ("disabled", "enabled", False),
        ("enabled", "enabled", True),
        ("enabled_full", "enabled_full", True),
    ],
)
def test_the_trace_is_always_asked_for(trace: str | None, sent: str, shown: bool) -> None:
    asked = configured(STREAM, trace=trace, streamProcessingMode="async")
    guarded = guard(plan(), asked, CLAUDE, ACCOUNT)
    config = guarded.chat.body["guardrailConfig"]
    assert config == {**CONFIG, "trace": sent, "streamProcessingMode": "async"}
    assert guarded.shows_trace is shown
    headers = {**HEADERS, **({"x-amzn-bedrock-trace": trace.upper()} if trace else {})}
    native = guard(plan(), replace(NATIVE, headers=headers), CLAUDE, ACCOUNT)
    assert native.chat.headers == {**HEADERS, "x-amzn-bedrock-trace": sent.upper()}
    assert native.shows_trace is shown


def test_headers_carry_a_plans_guardrail_into_native_bodies() -> None:
    guarded = guard(plan(guardrail="gr1:1"), NATIVE, CLAUDE, ACCOUNT)
    assert guarded.chat.headers == {**HEADERS, "x-amzn-bedrock-trace": "ENABLED"}
    assert guarded.chat.body is NATIVE.body


@pytest.mark.parametrize(
    "call",
    [
        configured(CONVERSE, guardrailIdentifier="gr2"),
        configured(CONVERSE, guardrailVersion="2"),
        configured(STREAM, streamProcessingMode="async"),
        replace(NATIVE, headers={**HEADERS, "x-amzn-bedrock-guardrailversion": "2"}),
        replace(NATIVE, body={**NATIVE.body, "amazon-bedrock-guardrailConfig": {"tagSuffix": "x"}}),
        replace(CONVERSE, body={"messages": [{"content": [{"guardContent": {}}]}]}),
        replace(CONVERSE, body={"messages": MESSAGES, "system": [{"guardContent": {}}]}),
    ],
)
def test_nothing_weakens_a_plans_guardrail(call: ChatCall) -> None:
    with pytest.raises(BadRequest):
        guard(plan(guardrail="gr1:1"), call, CLAUDE, ACCOUNT)


@pytest.mark.parametrize(
    "config",
    [
        {},
        {"guardrailIdentifier": "gr1"},
        {**CONFIG, "trace": "loud"},
        {**CONFIG, "streamProcessingMode": "sync"},  # of streams alone
        {**CONFIG, "more": 1},
        [],
        "gr1:1",
        {**CONFIG, "trace": ["enabled"]},
    ],
)
def test_a_config_that_bedrock_would_not_know_is_refused(config: Any) -> None:
    with pytest.raises(BadRequest):
        guard(
            plan(),
            replace(CONVERSE, body={**CONVERSE.body, "guardrailConfig": config}),
            CLAUDE,
            ACCOUNT,
        )


def test_a_plan_may_name_which_guardrails_a_client_can_ask_for() -> None:
    asked = configured(CONVERSE)
    for allowed in (None, ["gr1:1"], ["gr2:1", "gr1:1"]):
        assert guard(plan(guardrails_allowed=allowed), asked, CLAUDE, ACCOUNT).guardrail is not None
    for allowed in ([], ["gr1:2"], ["gr2:1"]):
        with pytest.raises(Forbidden):
            guard(plan(guardrails_allowed=allowed), asked, CLAUDE, ACCOUNT)


def test_embeddings_take_no_guardrail() -> None:
    call = ChatCall("InvokeModel", "t", {"inputText": "x"})
    assert guard(plan(guardrail="gr1:1"), call, TITAN, ACCOUNT).chat is call
    with pytest.raises(BadRequest):
        guard(plan(), replace(call, headers=HEADERS), TITAN, ACCOUNT)


def test_a_trace_that_was_not_asked_for_is_taken_out_of_an_answer() -> None:
    for document, operation, left in (
        ({"output": 1, "trace": TRACE}, "Converse", {"output": 1}),
        ({"trace": {**TRACE, "promptRouter": 2}}, "Converse", {"trace": {"promptRouter": 2}}),
        ({"content": [], "amazon-bedrock-trace": TRACE}, "InvokeModel", {"content": []}),
    ):
        reply = Reply(200, {}, orjson.dumps(document), document)
        shown = without_trace(reply, operation)
        assert orjson.loads(shown.body) == shown.document == left
        assert without_trace(shown, operation) is shown


def test_a_trace_is_taken_out_of_the_frames_of_a_stream() -> None:
    def frame(event_type: str, payload: object) -> eventstream.Frame:
        raw = eventstream.encode_event(event_type, orjson.dumps(payload))
        (made,) = eventstream.Decoder().feed(raw)
        return made

    usage = {"usage": {"inputTokens": 1}}
    told = frame_without_trace(frame("metadata", {**usage, "trace": TRACE}))
    assert orjson.loads(told.payload) == usage and told.event_type == "metadata"
    (again,) = eventstream.Decoder().feed(told.raw)
    assert again.payload == told.payload
    native = orjson.dumps({"type": "message_stop", "amazon-bedrock-trace": TRACE})
    told = frame_without_trace(frame("chunk", {"bytes": base64.b64encode(native).decode(), "p": 1}))
    payload = orjson.loads(told.payload)
    assert orjson.loads(base64.b64decode(payload["bytes"])) == {"type": "message_stop"}
    for untouched in (
        frame("contentBlockDelta", {"delta": {"text": "a trace of it"}}),
        frame("chunk", {"bytes": "not base64"}),
        frame("chunk", {"bytes": "é"}),
        frame("chunk", {"bytes": base64.b64encode(b"[1]").decode()}),
        frame("metadata", ["trace"]),
    ):
        assert frame_without_trace(untouched) is untouched
