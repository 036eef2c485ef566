"""InvokeModel's native bodies, one module a family: how each is read, answered and streamed.

Owns: the members and chunk orders of each family's own API.
Does not own: Converse, embeddings, what is said.
Invariants: the last chunk of every stream carries `amazon-bedrock-invocationMetrics`; the counts in
body, headers and metrics are the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bedrock_emulator.engine import errors
from bedrock_emulator.engine.catalogue import Model
from bedrock_emulator.engine.generation import Generation
from bedrock_emulator.engine.native import anthropic, completion, nova, openai
from bedrock_emulator.engine.native.family import Family
from bedrock_emulator.engine.prompt import Prompt
from bedrock_emulator.engine.requests import checks
from bedrock_emulator.engine.types import Answer, Event, TokenUsage

_METRICS = "amazon-bedrock-invocationMetrics"
_TIER_HEADER = "x-amzn-bedrock-service-tier"
_LATENCY_HEADER = "x-amzn-bedrock-performanceconfig-latency"
_LATENCIES = ("standard", "optimized")  # service model, PerformanceConfigLatency
_FAMILIES: Mapping[str, Family] = {
    "anthropic": anthropic.FAMILY,
    "nova": nova.FAMILY,
    "openai": openai.FAMILY,
    "llama": completion.LLAMA,
    "mistral": completion.MISTRAL,
    "deepseek": completion.DEEPSEEK,
}


def read(body: Any, model: Model, headers: Mapping[str, str]) -> Prompt:
    """The prompt of a native body. Raises EmulatedError in the family's words."""
    prompt = _FAMILIES[model.native].read(checks.as_object(body, ""), model)
    check_headers(headers)
    tier = headers.get(_TIER_HEADER, "default")
    prompt.tier = tier if tier in model.tiers else "default"
    return prompt


def check_headers(headers: Mapping[str, str]) -> None:
    """Refuses a tier or a latency that is none; every model's call may name them."""
    tier = headers.get(_TIER_HEADER)
    if tier is not None and tier not in checks.TIERS:
        raise errors.validation(f"The service tier '{tier}' is not valid.")
    latency = headers.get(_LATENCY_HEADER)
    if latency is not None and latency not in _LATENCIES:
        raise errors.validation(f"The latency '{latency}' is not valid.")


def render(
    prompt: Prompt, made: Generation, usage: TokenUsage, identity: str, region: str | None
) -> Answer:
    """InvokeModel's answer, with the counts in its headers."""
    body = _FAMILIES[prompt.model.native].body(prompt, made, usage, identity)
    counts = {
        "x-amzn-bedrock-input-token-count": usage.input,
        "x-amzn-bedrock-output-token-count": usage.output,
    }
    if prompt.model.cache_min or usage.cached:
        counts["x-amzn-bedrock-cache-read-input-token-count"] = usage.cache_read
        counts["x-amzn-bedrock-cache-write-input-token-count"] = usage.cache_write
    headers = {name: str(count) for name, count in counts.items()}
    return Answer(
        usage, body=body, headers=headers, service_tier=prompt.tier, inference_region=region
    )


def render_stream(
    prompt: Prompt, made: Generation, usage: TokenUsage, identity: str, region: str | None
) -> Answer:
    """InvokeModelWithResponseStream's answer: native chunks, metrics in the last."""
    parts = _FAMILIES[prompt.model.native].stream(prompt, made, usage, identity)
    events = [Event("chunk", payload, tokens) for payload, tokens in parts]
    metrics: dict[str, int] = {
        "inputTokenCount": usage.input,
        "outputTokenCount": usage.output,
        "invocationLatency": 0,
        "firstByteLatency": 0,
    }
    if prompt.model.cache_min or usage.cached:
        metrics["cacheReadInputTokenCount"] = usage.cache_read
        metrics["cacheWriteInputTokenCount"] = usage.cache_write
    last = events[-1]
    events[-1] = Event("chunk", {**last.payload, _METRICS: metrics}, made.output_tokens)
    return Answer(
        usage,
        events=events,
        service_tier=prompt.tier,
        inference_region=region,
    )
