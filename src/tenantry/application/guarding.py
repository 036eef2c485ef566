"""Guardrails around calls: the plan's or the client's own, always with the trace that meters them.

Owns: which guardrail a call leaves with, that its units can be read, and that a client sees no
trace that it did not ask for. Does not own: the reading of units (`domain/guardrail_usage`).
Invariants: a plan's guardrail looks at all of a prompt and at an answer before its client does; a
call without a guardrail is untouched.
"""

from __future__ import annotations

import base64
import dataclasses
from collections.abc import Mapping
from typing import Any, Final

import orjson

from tenantry.application import exact_json
from tenantry.application.admission import PlannedCall
from tenantry.application.calls import ChatCall
from tenantry.domain import eventstream
from tenantry.domain.catalogue import Model
from tenantry.domain.chat_request import Prepared
from tenantry.domain.errors import BadRequest, Forbidden
from tenantry.domain.eventstream import Frame
from tenantry.domain.guardrail import (
    Guardrail,
    guardrail_of,
    looked_at,
    pinned,
    planned_guardrail,
)
from tenantry.domain.guardrail_usage import NATIVE_TRACE, usages_in_converse, usages_in_native
from tenantry.domain.plan import Plan
from tenantry.domain.record import record
from tenantry.ports.model import Reply

ID_HEADER: Final = "x-amzn-bedrock-guardrailidentifier"
VERSION_HEADER: Final = "x-amzn-bedrock-guardrailversion"
TRACE_HEADER: Final = "x-amzn-bedrock-trace"
NATIVE_CONFIG: Final = "amazon-bedrock-guardrailConfig"
_CONFIG: Final = "guardrailConfig"
_TRACES: Final = (None, "enabled", "disabled", "enabled_full")
_MODES: Final = (None, "sync", "async")
_MEMBERS: Final = frozenset({"guardrailIdentifier", "guardrailVersion", "trace"})


@record
class Guarded:
    """A call as it leaves. `shows_trace`: its client asked for the trace."""

    chat: ChatCall
    guardrail: Guardrail | None = None
    shows_trace: bool = False


@record
class _Asked:
    """What a client says of guardrails, wherever its wire has it."""

    guardrail: Guardrail | None
    trace: str | None
    mode: str | None


def guard(plan: Plan, chat: ChatCall, model: Model, account: str) -> Guarded:
    """The call with the guardrail that holds for it. Raises `BadRequest` or `Forbidden`."""
    converse = chat.operation.startswith("Converse")
    asked = _asked_in_body(chat) if converse else _asked_in_headers(chat)
    mandatory = planned_guardrail(plan.guardrail)
    if model.kind != "chat":
        if asked.guardrail is not None:
            raise BadRequest(f"model {model.id} takes no guardrail")
        return Guarded(chat)
    if mandatory is not None:
        _check_not_weakened(mandatory, asked, chat)
    else:
        check_allowed(plan, asked.guardrail, account)
    guardrail = mandatory or asked.guardrail
    if guardrail is None:
        return Guarded(chat)
    trace = "enabled_full" if asked.trace == "enabled_full" else "enabled"
    leaving = _in_body(chat, guardrail, trace) if converse else _in_headers(chat, guardrail, trace)
    return Guarded(leaving, guardrail, asked.trace in ("enabled", "enabled_full"))


def check_allowed(plan: Plan, guardrail: Guardrail | None, account: str) -> None:
    """Raises `Forbidden` where the plan names others; in a pool they may be another tenant's. Where
    it names none, one of another account than the placement's would be reached by our rights."""
    allowed = plan.guardrails_allowed
    if guardrail is None:
        return
    if allowed is None:
        if guardrail.account not in (None, account):
            raise Forbidden("the guardrail is of another account")
        return
    if f"{guardrail.identifier}:{guardrail.version}" not in allowed:
        raise Forbidden("the plan does not allow this guardrail")


def bounded(planned: PlannedCall, prepared: Prepared, *, hides_trace: bool) -> PlannedCall:
    """The same call with the most that its guardrail can be billed."""
    looked = looked_at(prepared.body)
    bound = dataclasses.replace(
        planned.bound,
        guardrail_units=looked.units,
        guardrail_images=looked.images,
        guards_output=True,
    )
    return dataclasses.replace(
        planned,
        bound=bound,
        pinned={**planned.pinned, **pinned(looked)},
        hides_trace=hides_trace,
    )


def _asked_in_body(chat: ChatCall) -> _Asked:
    config = chat.body.get(_CONFIG)
    if config is None:
        return _Asked(None, None, None)
    streams = chat.operation == "ConverseStream"
    known = _MEMBERS | {"streamProcessingMode"} if streams else _MEMBERS
    if not isinstance(config, Mapping) or config.keys() - known:
        raise BadRequest(f"{_CONFIG} holds {', '.join(sorted(known))} alone")
    trace, mode = config.get("trace"), config.get("streamProcessingMode")
    if trace not in _TRACES or mode not in _MODES:
        raise BadRequest(f"{_CONFIG} has an unknown trace or streamProcessingMode")
    named = guardrail_of(config.get("guardrailIdentifier"), config.get("guardrailVersion"))
    return _Asked(named, trace, mode)


def _asked_in_headers(chat: ChatCall) -> _Asked:
    identifier, version = chat.headers.get(ID_HEADER), chat.headers.get(VERSION_HEADER)
    trace = chat.headers.get(TRACE_HEADER)
    config = chat.body.get(NATIVE_CONFIG)
    mode = config.get("streamProcessingMode") if isinstance(config, Mapping) else None
    named = None
    if identifier is not None or version is not None:
        named = guardrail_of(identifier, version)
    return _Asked(named, trace.lower() if trace else None, str(mode).lower() if mode else None)


def _check_not_weakened(mandatory: Guardrail, asked: _Asked, chat: ChatCall) -> None:
    """What would show an answer before the plan's guardrail has looked at it, or hide from it a
    part of the prompt."""
    if asked.guardrail not in (None, mandatory):
        raise BadRequest("the plan has a guardrail, and no other can be asked for")
    if asked.mode == "async":
        raise BadRequest("the plan's guardrail takes no streamProcessingMode async")
    if chat.body.get(NATIVE_CONFIG) is not None:
        raise BadRequest(f"the plan's guardrail takes no {NATIVE_CONFIG}")
    blocks = [*_list(chat.body.get("system")), *_blocks(chat.body.get("messages"))]
    if any(isinstance(block, Mapping) and "guardContent" in block for block in blocks):
        raise BadRequest("the plan's guardrail looks at all blocks: guardContent is not taken")


def _blocks(messages: object) -> list[object]:
    found: list[object] = []
    for message in _list(messages):
        found += _list(message.get("content")) if isinstance(message, Mapping) else ()
    return found


def _list(value: object) -> list[object]:
    return value if isinstance(value, list) else []


def _in_body(chat: ChatCall, guardrail: Guardrail, trace: str) -> ChatCall:
    config: dict[str, Any] = {
        **(chat.body.get(_CONFIG) or {}),
        "guardrailIdentifier": guardrail.identifier,
        "guardrailVersion": guardrail.version,
        "trace": trace,
    }
    return dataclasses.replace(chat, body={**chat.body, _CONFIG: config})


def _in_headers(chat: ChatCall, guardrail: Guardrail, trace: str) -> ChatCall:
    headers = {
        **chat.headers,
        ID_HEADER: guardrail.identifier,
        VERSION_HEADER: guardrail.version,
        TRACE_HEADER: trace.upper(),
    }
    return dataclasses.replace(chat, headers=headers)


def usages_in(document: object, operation: str) -> list[object]:
    """Every `usage` of a guardrail that a plain answer tells."""
    if operation != "Converse":
        return usages_in_native(document)
    return usages_in_converse(document.get("trace") if isinstance(document, Mapping) else None)


def without_trace(reply: Reply, operation: str) -> Reply:
    """The reply without the trace that only its meter asked for."""
    document = reply.document
    if not isinstance(document, dict):
        return reply
    untraced = _untraced if operation == "Converse" else _native_untraced
    if untraced(document) is document:
        return reply
    shown = untraced(exact_json.exactly(document, reply.body))
    return dataclasses.replace(reply, document=shown, body=exact_json.write(shown))


def frame_without_trace(frame: Frame) -> Frame:
    """The same of one frame of a stream."""
    if b"trace" not in frame.payload and frame.event_type != "chunk":
        return frame
    try:
        payload = orjson.loads(frame.payload)
        if frame.event_type != "chunk":
            shown = _untraced(payload)
        else:
            native = orjson.loads(base64.b64decode(payload["bytes"]))
            hidden = _native_untraced(native)
            encoded = base64.b64encode(orjson.dumps(hidden)).decode()
            shown = payload if hidden is native else {**payload, "bytes": encoded}
    except (ValueError, KeyError, TypeError, AttributeError):
        return frame  # rubbish is passed on as it came
    if shown is payload:
        return frame
    raw = eventstream.encode(frame.headers, orjson.dumps(shown))
    (rewritten,) = eventstream.Decoder().feed(raw)
    return rewritten


def _untraced(document: dict[str, Any]) -> dict[str, Any]:
    trace = document.get("trace")
    if not isinstance(trace, dict) or "guardrail" not in trace:
        return document
    rest = {name: value for name, value in trace.items() if name != "guardrail"}
    shown = {name: value for name, value in document.items() if name != "trace"}
    return {**shown, "trace": rest} if rest else shown


def _native_untraced(document: dict[str, Any]) -> dict[str, Any]:
    if NATIVE_TRACE not in document:
        return document
    return {name: value for name, value in document.items() if name != NATIVE_TRACE}
