"""Guardrails around a call: which one, and what becomes of prompt and generation.

Owns: where a call names its guardrail, and how answers show what it found.
Does not own: what a guardrail looks at (`guarded_parts`) and finds (`guardrail`).
Invariants: a blocked prompt reaches no model and uses no token; an answer that is blocked has used
all of its tokens; every assessment's units are in the answer, whatever is shown of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from bedrock_emulator.engine import errors
from bedrock_emulator.engine.generation import Block, Generation
from bedrock_emulator.engine.guarded_parts import looked_at
from bedrock_emulator.engine.guardrail import (
    CHARS_PER_UNIT,
    Assessment,
    Guardrail,
    GuardrailLookup,
    Looked,
    assess,
    summed,
)
from bedrock_emulator.engine.prompt import Prompt
from bedrock_emulator.engine.requests import checks
from bedrock_emulator.engine.types import Answer, Call, Event

ID_HEADER = "x-amzn-bedrock-guardrailidentifier"
VERSION_HEADER = "x-amzn-bedrock-guardrailversion"
TRACE_HEADER = "x-amzn-bedrock-trace"
NATIVE_CONFIG = "amazon-bedrock-guardrailConfig"
_TRACES = ("enabled", "disabled", "enabled_full")
_HEADER_TRACES = ("ENABLED", "DISABLED", "ENABLED_FULL")  # service model, Trace
_MODES = ("sync", "async")


@dataclass(frozen=True, slots=True)
class Guarding:
    """A call's guardrail with what it found in the prompt."""

    guardrail: Guardrail
    traced: bool
    asynchronous: bool  # of a stream: it is not held back
    prompt: Assessment
    looked: Looked


def guarding_of(call: Call, lookup: GuardrailLookup | None) -> Guarding | None:
    """The guardrail that a valid call asks for, its prompt assessed. Raises EmulatedError."""
    converse = call.operation.startswith("Converse")
    config = _in_body(call) if converse else _in_headers(call)
    if config is None:
        return None
    guardrail = find(lookup, call.account, call.region, config.identifier, config.version)
    if guardrail is None:
        raise errors.validation(
            "The guardrail identifier or version provided in the request does not exist."
        )
    looked = looked_at(call.body)
    found = assess(guardrail, "input", looked)
    return Guarding(guardrail, config.traced, config.asynchronous, found, looked)


def find(
    lookup: GuardrailLookup | None, account: str, region: str, identifier: str, version: str
) -> Guardrail | None:
    """By id, or by an ARN of the caller's account and region."""
    if identifier.startswith("arn:"):
        prefix, _, name = identifier.partition(":guardrail/")
        if prefix.split(":")[2:] != ["bedrock", region, account]:
            raise errors.access_denied(
                f"User is not authorized to perform: bedrock:ApplyGuardrail on resource: "
                f"{identifier}"
            )
        identifier = name
    return lookup(account, identifier, version) if lookup else None


def blocked_prompt(guarding: Guarding, prompt: Prompt, *, native: bool) -> Generation:
    """What is said in place of an answer that was never generated."""
    return _said(guarding.guardrail.blocked_input, prompt, 0, native=native)


def guarded_generation(
    guarding: Guarding, prompt: Prompt, made: Generation, *, native: bool
) -> tuple[Generation, Assessment]:
    """The generation as it is shown, and what was found in it."""
    texts = [block.text for block in made.blocks if block.kind == "text"]
    sources, queries = guarding.looked.sources, guarding.looked.queries
    found = assess(guarding.guardrail, "output", Looked(texts, sources=sources, queries=queries))
    if not found.intervened:
        return made, found
    if found.blocked:
        text = guarding.guardrail.blocked_output
        if guarding.asynchronous:  # what was sent before the finding cannot be taken back
            text = "".join(texts)[:CHARS_PER_UNIT] + text
    else:
        text = "\n".join(texts if guarding.asynchronous else found.texts)
    return _said(text, prompt, made.output_tokens, native=native), found


def _said(text: str, prompt: Prompt, output_tokens: int, *, native: bool) -> Generation:
    ids = tuple(prompt.tokeniser.encode(text))
    block = Block("text", len(ids), text, None, ids)
    reason = "end_turn" if native else "guardrail_intervened"  # a family has no word for it
    return Generation((block,), reason, output_tokens)  # type: ignore[arg-type]


def shown(
    answer: Answer, guarding: Guarding, output: Assessment | None, texts: Sequence[str], call: Call
) -> Answer:
    """The answer with the guardrail's units, and with its trace where the call asks for one."""
    name = guarding.guardrail.id
    assessments = [guarding.prompt, *([output] if output is not None else [])]
    units = summed([found.usage for found in assessments])
    answer = replace(answer, guardrail=units)
    converse = call.operation.startswith("Converse")
    trace: dict[str, Any] = {}
    if converse:
        trace["inputAssessment"] = {name: guarding.prompt.document}
        if output is not None:
            trace["outputAssessments"] = {name: [output.document]}
    else:
        trace["input"] = {name: guarding.prompt.document}
        if output is not None:
            trace["outputs"] = [{name: output.document}]
    if output is not None and output.intervened:
        trace["modelOutput"] = list(texts)
    members: dict[str, Any] = {}
    if not converse:
        acted = any(found.intervened for found in assessments)
        members["amazon-bedrock-guardrailAction"] = "INTERVENED" if acted else "NONE"
    if guarding.traced:
        traced = {"guardrail": trace}
        members["trace" if converse else "amazon-bedrock-trace"] = traced
    if answer.body is not None:
        return replace(answer, body={**answer.body, **members})
    last = answer.events[-1]
    ending = Event(last.type, {**last.payload, **members}, last.output_tokens)
    return replace(answer, events=[*answer.events[:-1], ending])


@dataclass(frozen=True, slots=True)
class _Config:
    identifier: str
    version: str
    traced: bool
    asynchronous: bool


def _in_body(call: Call) -> _Config | None:
    config = call.body.get("guardrailConfig")
    if config is None:
        return None
    if not isinstance(config, dict):
        raise errors.wrong_type("guardrailConfig", "object")
    trace = checks.given(config, "trace", "disabled")
    mode = checks.given(config, "streamProcessingMode", "sync")
    for name, value, known in (("trace", trace, _TRACES), ("streamProcessingMode", mode, _MODES)):
        if value not in known:
            raise errors.validation(
                f"1 validation error detected: Value '{value}' at 'guardrailConfig.{name}' failed "
                f"to satisfy constraint: Member must satisfy enum value set: [{', '.join(known)}]"
            )
    return _Config(
        _text(config.get("guardrailIdentifier"), "guardrailIdentifier"),
        _text(config.get("guardrailVersion"), "guardrailVersion"),
        trace != "disabled",
        mode == "async" and call.operation == "ConverseStream",
    )


def _in_headers(call: Call) -> _Config | None:
    trace = call.headers.get(TRACE_HEADER, "DISABLED")
    if trace not in _HEADER_TRACES:
        raise errors.not_in_set("trace", trace, _HEADER_TRACES)
    identifier, version = call.headers.get(ID_HEADER), call.headers.get(VERSION_HEADER)
    if identifier is None and version is None:
        return None
    native = call.body.get(NATIVE_CONFIG)
    mode = native.get("streamProcessingMode", "") if isinstance(native, dict) else ""
    return _Config(
        _text(identifier, "guardrailIdentifier"),
        _text(version, "guardrailVersion"),
        trace != "DISABLED",
        str(mode).lower() == "async" and call.operation == "InvokeModelWithResponseStream",
    )


def _text(value: Any, name: str) -> str:
    if not isinstance(value, str) or not value:
        raise errors.validation(f"The {name} of the guardrail is missing.")
    return value
