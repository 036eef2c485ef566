"""Turns answers and refusals into bodies, headers and frames."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping
from typing import Any

import orjson

from bedrock_emulator.engine.types import Answer, EmulatedError, Event, TokenUsage
from bedrock_emulator.wire import eventstream
from bedrock_emulator.wire.exchange import Exchange

ERROR_NAMESPACE = "http://internal.amazon.com/coral/com.amazon.bedrock/"
JSON = "application/json"
TIER_HEADER = "x-amzn-bedrock-service-tier"
LATENCY_HEADER = "x-amzn-bedrock-performanceconfig-latency"
INVOCATION_METRICS = "amazon-bedrock-invocationMetrics"
# Bedrock pads its frames with a member `p` of this alphabet's first n characters.
PADDING = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
# Members of both streams' output shapes in the service model, and the one of InvokeModel's alone.
STREAM_EXCEPTIONS = frozenset(
    {
        "InternalServerException",
        "ModelStreamErrorException",
        "ServiceUnavailableException",
        "ThrottlingException",
        "ValidationException",
    }
)
NATIVE_STREAM_EXCEPTION = "ModelTimeoutException"
# Counts of Llama's and Titan's bodies, and what Claude's and Nova's first and last chunks wrap.
_OWN_COUNTS = ("prompt_token_count", "generation_token_count", "inputTextTokenCount")
_WRAPPERS = ("message", "metadata")

DEFAULT_MESSAGES = {
    "ThrottlingException": "Too many requests, please wait before trying again.",
    "InternalServerException": "The system encountered an unexpected error during processing. "
    "Try your request again.",
    "ServiceUnavailableException": "Bedrock is unable to process your request.",
    "ModelStreamErrorException": "The system encountered an unexpected error during processing. "
    "Try your request again.",
    "ModelTimeoutException": "Model has timed out in processing the request. "
    "Try your request again.",
}


def refuse(exchange: Exchange, request_id: str, error: EmulatedError) -> None:
    """A whole answer in the shape of Bedrock's errors."""
    headers = {
        "content-type": JSON,
        "x-amzn-RequestId": request_id,
        "x-amzn-ErrorType": f"{error.name}:{ERROR_NAMESPACE}",
    }
    if "retry_after_ms" in error.members:
        headers["x-amz-retry-after"] = str(error.members["retry_after_ms"])
    members = {key: value for key, value in error.members.items() if key != "retry_after_ms"}
    exchange.respond(error.status, headers, orjson.dumps({"message": error.message, **members}))


def echoed(asked: Mapping[str, str], answer: Answer) -> dict[str, str]:
    """InvokeModel's headers that answer the request's own: the tier that served, the latency."""
    headers = {}
    if TIER_HEADER in asked and answer.service_tier is not None:
        headers["X-Amzn-Bedrock-Service-Tier"] = answer.service_tier
    if LATENCY_HEADER in asked:
        headers["X-Amzn-Bedrock-PerformanceConfig-Latency"] = asked[LATENCY_HEADER]
    return headers


def with_latency(answer: Answer, latency_ms: int) -> Any:
    """The body of a whole answer; a Converse body says how long it took."""
    body = answer.body
    if isinstance(body, dict) and isinstance(body.get("metrics"), dict):
        return {**body, "metrics": {**body["metrics"], "latencyMs": latency_ms}}
    return body


def event_with_latency(event: Event, latency_ms: int, first_byte_ms: int) -> Any:
    """The payload of a stream's last event, with the times that only the wire knows."""
    payload = event.payload
    if isinstance(payload, dict):
        if isinstance(payload.get("metrics"), dict):
            return {**payload, "metrics": {**payload["metrics"], "latencyMs": latency_ms}}
        if isinstance(payload.get(INVOCATION_METRICS), dict):
            times = {"invocationLatency": latency_ms, "firstByteLatency": first_byte_ms}
            return {**payload, INVOCATION_METRICS: {**payload[INVOCATION_METRICS], **times}}
    return payload


def frame(event_type: str, payload: Any, padding: int) -> bytes:
    """One event as a frame; a `chunk` carries its native JSON as base64."""
    if event_type == "chunk":
        payload = {"bytes": b64encode(orjson.dumps(payload)).decode()}
    if padding and "p" not in payload:
        payload = {**payload, "p": PADDING[:padding]}
    return eventstream.event(event_type, orjson.dumps(payload))


def error_frame(code: str, status: int, message: str, *, native: bool) -> bytes:
    """What ends a stream: the exception where its model has it, else an error without a model."""
    if code in STREAM_EXCEPTIONS or (native and code == NATIVE_STREAM_EXCEPTION):
        return exception_frame(code, status, message)
    return eventstream.error(code, message)


def exception_frame(code: str, status: int, message: str) -> bytes:
    """A modelled exception inside a stream: `ThrottlingException` is `throttlingException`."""
    payload: dict[str, Any] = {"message": message}
    if code == "ModelStreamErrorException":
        payload |= {"originalStatusCode": status, "originalMessage": message}
    return eventstream.exception(code[:1].lower() + code[1:], orjson.dumps(payload))


def with_reported_usage(body: Any, usage: Any) -> Any:
    """Replaces (or, by None, removes) the usage that an answer reports; the bill is untouched."""
    if not isinstance(body, dict):
        return body
    told = event_with_reported_usage(body, usage)
    return told if usage is None else {**told, "usage": usage}


def event_with_reported_usage(payload: Any, usage: Any) -> Any:
    """The same of an event or chunk, wherever it has a usage; families have counts of their own."""
    if not isinstance(payload, dict):
        return payload
    given = usage if isinstance(usage, dict) else {}
    told = {}
    for name, value in payload.items():
        if name in ("usage", INVOCATION_METRICS):
            if usage is not None:
                told[name] = usage
        elif name in _OWN_COUNTS:
            if name in given:
                told[name] = given[name]
        else:
            told[name] = event_with_reported_usage(value, usage) if name in _WRAPPERS else value
    return told


def without_counts(headers: Mapping[str, str]) -> dict[str, str]:
    """InvokeModel's headers but those that count tokens."""
    return {name: value for name, value in headers.items() if not name.endswith("-token-count")}


def only_emitted(usage: TokenUsage, output_tokens: int) -> TokenUsage:
    """The usage of a generation that stopped after so many output tokens."""
    return TokenUsage(
        input=usage.input,
        output=min(output_tokens, usage.output),
        cache_read=usage.cache_read,
        cache_write_5m=usage.cache_write_5m,
        cache_write_1h=usage.cache_write_1h,
    )
