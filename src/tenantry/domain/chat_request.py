"""What Tenantry adds to a chat request before it leaves, and the most that it can then use.

Faithful to what the client sent, but for: `maxTokens` where it is absent, the plan's preamble,
and in the pool one stable salt line where the request has a cache marker, so that cached
prefixes are never shared between tenants. Pure: bodies in, bodies out, nothing mutated.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from tenantry.domain.bound import (
    InputBound,
    bound_of_anthropic,
    bound_of_converse,
    bound_of_text_body,
)
from tenantry.domain.catalogue import Model
from tenantry.domain.errors import BadRequest, LargerThanLimit
from tenantry.domain.plan import Plan
from tenantry.domain.rating import Bound

Body = Mapping[str, Any]

# Where a family's native body holds its output limit, outermost member first.
_LIMIT_MEMBER: Mapping[str, tuple[str, ...]] = {
    "anthropic": ("max_tokens",),
    "nova": ("inferenceConfig", "maxTokens"),
    "llama": ("max_gen_len",),
    "mistral": ("max_tokens",),
    "openai": ("max_completion_tokens",),
    "qwen": ("max_completion_tokens",),
    "deepseek": ("max_tokens",),
}
_CONVERSE_LIMIT = ("inferenceConfig", "maxTokens")


@dataclass(frozen=True, slots=True)
class Prepared:
    """A body ready to be signed, and its bound."""

    body: Body
    bound: Bound
    max_tokens: int


def prepare_converse(body: Body, model: Model, plan: Plan, salt: str | None) -> Prepared:
    """`salt` is the tenant's stable line, or None outside the pool."""
    if model.kind != "chat":
        raise BadRequest(f"model {model.id} does not converse")
    prepared = dict(body)
    if plan.preamble:
        prepared["system"] = [{"text": plan.preamble}, *_system(prepared)]
    if salt is not None and bound_of_converse(prepared, model).has_cache_marker:
        prepared = _salted_converse(prepared, salt)
    limit = _output_limit(prepared, _CONVERSE_LIMIT, plan, model)
    prepared = _with(prepared, _CONVERSE_LIMIT, limit)
    return _prepared(prepared, bound_of_converse(prepared, model), limit)


def prepare_native(body: Body, model: Model, plan: Plan, salt: str | None) -> Prepared:
    """A body of InvokeModel, in the model family's own shape."""
    if model.kind == "embedding":
        return _embedding(body, model)
    if model.kind == "rerank":
        return _rerank(body, model)
    member = _LIMIT_MEMBER.get(model.family)
    if member is None:
        raise BadRequest(f"model {model.id} is served through Converse only")
    if model.family == "openai" and "max_tokens" in body:
        member = ("max_tokens",)
    bound_of = _BOUND_OF.get(model.family, bound_of_text_body)
    prepared = dict(body)
    if plan.preamble:
        prepared = _native_system(prepared, model, plan.preamble)
    if salt is not None and bound_of(prepared, model).has_cache_marker:
        prepared = _native_system(prepared, model, salt)
        prepared = _salted_tools(prepared, "tools", "description", salt)
    limit = _output_limit(prepared, member, plan, model)
    prepared = _with(prepared, member, limit)
    return _prepared(prepared, bound_of(prepared, model), limit)


_BOUND_OF: Mapping[str, Callable[[Body, Model], InputBound]] = {
    "anthropic": bound_of_anthropic,
    "nova": bound_of_converse,
}


def _prepared(body: Body, bound: InputBound, limit: int) -> Prepared:
    return Prepared(
        body,
        Bound(
            input_tokens=bound.tokens,
            output_tokens=limit,
            cache_writes_5m=bound.cache_writes_5m,
            cache_writes_1h=bound.cache_writes_1h,
        ),
        limit,
    )


def _embedding(body: Body, model: Model) -> Prepared:
    tokens = bound_of_text_body(body, model).tokens
    texts = body.get("texts")
    if isinstance(texts, list):  # each text has a window of its own
        tokens = sum(min(model.window, len(str(text).encode())) + 16 for text in texts)
    return Prepared(body, Bound(tokens, 0, embeds=True), 0)


def _rerank(body: Body, model: Model) -> Prepared:
    documents = body.get("documents")
    if not isinstance(documents, list):
        raise BadRequest("documents must be a list")
    units = -(-max(1, len(documents)) // 100)  # a query is up to 100 chunks (AWS price page)
    return Prepared(body, Bound(0, 0, rerank_units=units), 0)


def _output_limit(body: Body, member: tuple[str, ...], plan: Plan, model: Model) -> int:
    value: object = body
    for name in member:
        if not isinstance(value, Mapping):
            raise BadRequest(f"{member[0]} must be an object")
        value = value.get(name)
        if value is None:
            return min(plan.max_tokens_default, model.max_output)
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise BadRequest(f"{member[-1]} must be a whole number of at least 1")
    if value > plan.max_tokens_ceiling:
        if plan.clamp_output:
            return plan.max_tokens_ceiling
        raise LargerThanLimit(
            f"{member[-1]} is {value}; the plan's max_tokens_ceiling is {plan.max_tokens_ceiling}"
        )
    return value


def _with(body: Body, member: tuple[str, ...], value: int) -> dict[str, Any]:
    if len(member) == 1:
        return {**body, member[0]: value}
    inner = body.get(member[0]) or {}
    return {**body, member[0]: {**inner, member[1]: value}}


def _system(body: Body) -> list[Any]:
    system = body.get("system") or []
    if not isinstance(system, list):
        raise BadRequest("system must be a list of blocks")
    return system


def _salted_converse(body: Body, salt: str) -> dict[str, Any]:
    salted = {**body, "system": [{"text": salt}, *_system(body)]}
    tools = salted.get("toolConfig")
    if isinstance(tools, Mapping):
        salted["toolConfig"] = {**tools, "tools": _salted_list(tools.get("tools"), salt)}
    return salted


def _salted_list(tools: object, salt: str) -> Any:
    """Tools come before the system prompt in a cached prefix: the first of them is salted too."""
    if not isinstance(tools, list) or not tools or not isinstance(tools[0], Mapping):
        return tools
    spec = tools[0].get("toolSpec")
    if not isinstance(spec, Mapping):
        return tools
    described = {**spec, "description": f"{salt}\n{spec.get('description', '')}".strip()}
    return [{**tools[0], "toolSpec": described}, *tools[1:]]


def _salted_tools(body: Body, member: str, field: str, salt: str) -> dict[str, Any]:
    tools = body.get(member)
    if not isinstance(tools, list) or not tools or not isinstance(tools[0], Mapping):
        return dict(body)
    first = {**tools[0], field: f"{salt}\n{tools[0].get(field, '')}".strip()}
    return {**body, member: [first, *tools[1:]]}


def _native_system(body: Body, model: Model, line: str) -> dict[str, Any]:
    if model.family == "anthropic":
        system = body.get("system") or []
        if isinstance(system, str):
            system = [{"type": "text", "text": system}]
        return {**body, "system": [{"type": "text", "text": line}, *system]}
    if model.family == "nova":
        return {**body, "system": [{"text": line}, *_system(body)]}
    messages = body.get("messages")
    if isinstance(messages, list):
        return {**body, "messages": [{"role": "system", "content": line}, *messages]}
    raise BadRequest(f"model {model.id} takes no preamble through InvokeModel; use Converse")
