"""Text completion bodies: Meta Llama, Mistral instruct and DeepSeek-R1.

Their prompt is one templated text.
"""

from __future__ import annotations

from typing import Any

from bedrock_emulator.engine import errors
from bedrock_emulator.engine.catalogue import Model
from bedrock_emulator.engine.generation import Generation, chunks
from bedrock_emulator.engine.native import openai
from bedrock_emulator.engine.native.family import Chunks, Family
from bedrock_emulator.engine.prompt import Prompt, Turn
from bedrock_emulator.engine.requests import checks
from bedrock_emulator.engine.types import TokenUsage


def _read(body: dict[str, Any], model: Model, limit: str, allowed: frozenset[str]) -> Prompt:
    for key in body:
        if key not in allowed:
            raise errors.extraneous_key("", key)
    if "prompt" not in body:
        raise errors.missing_key("", "prompt")
    prompt = Prompt(model)
    text = checks.as_text(body["prompt"], "prompt")
    prompt.add_text("", text)
    prompt.turns.append(Turn("user", text))
    if body.get(limit) is not None:
        prompt.max_tokens = checks.whole_number(body[limit], limit)
    checks.numbers_in(body, ("temperature", "top_p", "top_k"))
    if body.get("stop") is not None:
        prompt.stop_sequences = checks.stop_sequences(body["stop"], "stop")
    checks.within_limits(prompt)
    return prompt


def _read_llama(body: dict[str, Any], model: Model) -> Prompt:
    allowed = frozenset({"prompt", "max_gen_len", "temperature", "top_p", "images"})
    prompt = _read(body, model, "max_gen_len", allowed)
    checks.list_in(body, "images")
    return prompt


def _llama(prompt: Prompt, made: Generation, usage: TokenUsage, identity: str) -> dict[str, Any]:
    return {
        "generation": _text(made),
        "prompt_token_count": usage.input,
        "generation_token_count": usage.output,
        "stop_reason": _reason(made),
    }


def _llama_stream(prompt: Prompt, made: Generation, usage: TokenUsage, identity: str) -> Chunks:
    parts: Chunks = []
    for text, tokens in _pieces(prompt, made):
        first = usage.input if not parts else None
        part = {
            "generation": text,
            "prompt_token_count": first,
            "generation_token_count": tokens,
            "stop_reason": None,
        }
        parts.append((part, tokens))
    end = {
        "generation": "",
        "prompt_token_count": None if parts else usage.input,
        "generation_token_count": usage.output,
        "stop_reason": _reason(made),
    }
    return [*parts, (end, made.output_tokens)]


def _read_mistral(body: dict[str, Any], model: Model) -> Prompt:
    if "messages" in body:
        return openai.FAMILY.read(body, model)
    allowed = frozenset({"prompt", "max_tokens", "temperature", "top_p", "top_k", "stop"})
    return _read(body, model, "max_tokens", allowed)


def _read_deepseek(body: dict[str, Any], model: Model) -> Prompt:
    if "messages" in body:
        return openai.FAMILY.read(body, model)
    allowed = frozenset({"prompt", "max_tokens", "temperature", "top_p", "stop"})
    return _read(body, model, "max_tokens", allowed)


def _mistral(prompt: Prompt, made: Generation, usage: TokenUsage, identity: str) -> dict[str, Any]:
    if prompt.chat:
        return openai.FAMILY.body(prompt, made, usage, identity)
    return {"outputs": [{"text": _text(made), "stop_reason": _reason(made)}]}


def _mistral_stream(prompt: Prompt, made: Generation, usage: TokenUsage, identity: str) -> Chunks:
    if prompt.chat:
        return openai.FAMILY.stream(prompt, made, usage, identity)
    return _texts_of("outputs", prompt, made)


def _deepseek(prompt: Prompt, made: Generation, usage: TokenUsage, identity: str) -> dict[str, Any]:
    if prompt.chat:
        return openai.FAMILY.body(prompt, made, usage, identity)
    return {"choices": [{"text": _text(made), "stop_reason": _reason(made)}]}


def _deepseek_stream(prompt: Prompt, made: Generation, usage: TokenUsage, identity: str) -> Chunks:
    if prompt.chat:
        return openai.FAMILY.stream(prompt, made, usage, identity)
    return _texts_of("choices", prompt, made)


def _texts_of(member: str, prompt: Prompt, made: Generation) -> Chunks:
    parts: Chunks = [
        ({member: [{"text": text, "stop_reason": None}]}, tokens)
        for text, tokens in _pieces(prompt, made)
    ]
    end = {member: [{"text": "", "stop_reason": _reason(made)}]}
    return [*parts, (end, made.output_tokens)]


def _reason(made: Generation) -> str:
    return "length" if made.stop_reason == "max_tokens" else "stop"


def _text(made: Generation) -> str:
    return "".join(block.text for block in made.blocks if block.kind == "text")


def _pieces(prompt: Prompt, made: Generation) -> list[tuple[str, int]]:
    blocks = [block for block in made.blocks if block.kind == "text"]
    return [part for block in blocks for part in chunks(block, prompt.tokeniser)]


LLAMA = Family(_read_llama, _llama, _llama_stream)
MISTRAL = Family(_read_mistral, _mistral, _mistral_stream)
DEEPSEEK = Family(_read_deepseek, _deepseek, _deepseek_stream)
