"""What Tenantry adds to a chat request before it leaves, and the most that it can then use.

Faithful to what the client sent, but for: `maxTokens` where it is absent or may be lowered, the
plan's preamble, and in the pool one stable salt line where a prefix may be cached, so that cached
prefixes are never shared between tenants. Pure: bodies in, bodies out, nothing mutated.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from tenantry.domain.bound import (
    InputBound,
    bound_of_anthropic,
    bound_of_converse,
    bound_of_text_body,
)
from tenantry.domain.catalogue import Model
from tenantry.domain.errors import BadRequest, LargerThanLimit, ModelUnpriced
from tenantry.domain.plan import Plan
from tenantry.domain.rating import Bound
from tenantry.domain.record import record
from tenantry.domain.sources import no_references
from tenantry.domain.usage_figures import GROSS_FAMILIES

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
# All the names that a limit has anywhere; a second one beside the first would escape the bound.
_LIMIT_NAMES = frozenset(
    {"max_tokens", "max_completion_tokens", "max_gen_len", "max_new_tokens", "maxTokens"}
    | {"max_output_tokens", "max_tokens_to_sample", "maxTokenCount"}
)
_MANY_ANSWERS = ("n", "best_of", "num_generations", "numResults")  # each would multiply the output
# No answer is worth its prompt with fewer tokens than these.
OUTPUT_TOKENS_MIN = 256
_THINKING = ("thinking", "reasoning_config")  # Anthropic's member, and Converse's older name of it
_TIER_MEMBERS = ("service_tier", "serviceTier")
_PLAIN_TIERS = (None, "auto", "default")


@record
class Clamp:
    """How far a request's output limit may be lowered: to `most`, where budgets have no more left.

    `allowed` False: it leaves as it came, or is refused.
    """

    allowed: bool = False
    most: int | None = None


AS_ASKED = Clamp()


@record
class Prepared:
    """A body ready to be signed, and its bound.

    `max_tokens` is the output limit that leaves, `asked` what it was before it was lowered; `least`
    is what it may be lowered to, None where it may not.
    """

    body: Body
    bound: Bound
    max_tokens: int
    asked: int = 0
    least: int | None = None

    @property
    def lowered_to(self) -> int | None:
        """The output limit, where it is less than what was asked for."""
        return self.max_tokens if self.max_tokens < self.asked else None


def prepare_converse(
    body: Body, model: Model, plan: Plan, salt: str | None, clamp: Clamp = AS_ASKED
) -> Prepared:
    """`salt` is the tenant's stable line, or None outside the pool."""
    if model.kind != "chat":
        raise BadRequest(f"model {model.id} does not converse", of="model")
    _refuse_dearer(body)
    fields = body.get("additionalModelRequestFields")
    if isinstance(fields, Mapping):
        _refuse_second_limit(fields, None)
        _refuse_dearer(fields)
    prepared = dict(body)
    if plan.preamble:
        prepared["system"] = [{"text": plan.preamble}, *_system(prepared)]
    bound = bound_of_converse(prepared, model)
    if salt is not None and _may_cache(bound, model):
        prepared = _salted_converse(prepared, salt)
        bound = bound_of_converse(prepared, model)
    limit = _output_limit(prepared, _CONVERSE_LIMIT, plan, model, clamp)
    return _prepared(_with(prepared, _CONVERSE_LIMIT, limit.leaves), bound, limit, model)


def prepare_native(
    body: Body, model: Model, plan: Plan, salt: str | None, clamp: Clamp = AS_ASKED
) -> Prepared:
    """A body of InvokeModel, in the model family's own shape."""
    if model.kind == "embedding":
        return _embedding(body, model)
    if model.kind == "rerank":
        return _rerank(body, model)
    member = _native_limit(body, model)
    _refuse_second_limit(body, member)
    _refuse_dearer(body)
    bound_of = bound_of_native(model)
    prepared = dict(body)
    if plan.preamble:
        prepared = _native_system(prepared, model, plan.preamble)
    bound = bound_of(prepared, model)
    if salt is not None and _may_cache(bound, model):
        prepared = _native_system(prepared, model, salt)
        prepared = _salted_native_tools(prepared, model, salt)
        bound = bound_of(prepared, model)
    limit = _output_limit(prepared, member, plan, model, clamp)
    limited = _with(prepared, member, limit.leaves)
    if bound_of is bound_of_text_body:  # which counts every byte, the limit's own too
        bound = bound_of(limited, model)
    return _prepared(limited, bound, limit, model)


_BOUND_OF: Mapping[str, Callable[[Body, Model], InputBound]] = {
    "anthropic": bound_of_anthropic,
    "nova": bound_of_converse,
}


def lowered(
    body: Body, model: Model, asked: int, least: int, ceiling: int, clamp: Clamp, *, converse: bool
) -> tuple[Body, int]:
    """A prepared body under another clamp, and its output limit. Its bound of input holds on, which
    counts the digits of the first limit where it counts every byte."""
    leaves = _leaves(asked, least, ceiling, clamp)
    member = _CONVERSE_LIMIT if converse else _native_limit(body, model)
    return _with(body, member, leaves), leaves


def _native_limit(body: Body, model: Model) -> tuple[str, ...]:
    member = _LIMIT_MEMBER.get(model.family)
    if member is None:
        raise BadRequest(f"model {model.id} is served through Converse only")
    if member == ("max_completion_tokens",) and body.get("max_tokens") is not None:
        return ("max_tokens",)
    return member


def bound_of_native(model: Model) -> Callable[[Body, Model], InputBound]:
    """How a body of InvokeModel is bounded."""
    return _BOUND_OF.get(model.family, bound_of_text_body)


def _may_cache(bound: InputBound, model: Model) -> bool:
    """Whether a prefix may be kept and shared: marked, or kept by the provider unasked."""
    return bound.has_cache_marker or model.family in GROSS_FAMILIES


def _prepared(body: Body, bound: InputBound, limit: _Limit, model: Model) -> Prepared:
    return Prepared(
        body,
        Bound(
            input_tokens=bound.tokens,
            output_tokens=limit.leaves,
            cache_writes_5m=bound.cache_writes_5m,
            cache_writes_1h=bound.cache_writes_1h,
            caches_unasked=model.family in GROSS_FAMILIES,
        ),
        limit.leaves,
        limit.asked,
        limit.least,
    )


def _embedding(body: Body, model: Model) -> Prepared:
    tokens = bound_of_text_body(body, model).tokens
    texts = body.get("texts")
    if isinstance(texts, list):  # each text has a window of its own
        tokens = sum(min(model.window, len(str(text).encode())) + 16 for text in texts)
    return Prepared(body, Bound(tokens, 0, embeds=True), 0)


def _rerank(body: Body, model: Model) -> Prepared:
    no_references(body, besides=frozenset({"documents"}))  # which are texts, whatever they hold
    documents = body.get("documents")
    if not isinstance(documents, list) or not documents:
        raise BadRequest("documents must be a list that is not empty")
    units = -(-len(documents) // 100)  # a query is up to 100 chunks (AWS price page)
    return Prepared(body, Bound(0, 0, rerank_units=units), 0)


@record
class _Limit:
    """See `Prepared`."""

    leaves: int
    asked: int
    least: int | None


def _output_limit(
    body: Body, member: tuple[str, ...], plan: Plan, model: Model, clamp: Clamp
) -> _Limit:
    asked = _asked_limit(body, member)
    ceiling = plan.max_tokens_ceiling
    if asked is None:
        asked = min(plan.max_tokens_default, model.max_output)
    elif asked > ceiling and not clamp.allowed:
        # Each API has its own name of the limit, and this may be another's.
        raise LargerThanLimit(
            f"{asked} output tokens are asked for; the plan's max_tokens_ceiling is {ceiling}",
            of="output",
        )
    if not clamp.allowed:
        return _Limit(asked, asked, None)
    least = min(asked, ceiling, max(OUTPUT_TOKENS_MIN, _thinking_tokens(body) + 1))
    return _Limit(_leaves(asked, least, ceiling, clamp), asked, least)


def _leaves(asked: int, least: int, ceiling: int, clamp: Clamp) -> int:
    most = ceiling if clamp.most is None else max(clamp.most, least)
    return min(asked, ceiling, most)


def _asked_limit(body: Body, member: tuple[str, ...]) -> int | None:
    value: object = body
    for name in member:
        if not isinstance(value, Mapping):
            raise BadRequest(f"{member[0]} must be an object")
        value = value.get(name)
        if value is None:
            return None
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise BadRequest(f"{member[-1]} must be a whole number of at least 1")
    return value


def _thinking_tokens(body: Body) -> int:
    """What a request sets aside for thinking: Anthropic refuses an output limit that is no more."""
    fields = body.get("additionalModelRequestFields")
    for part in (body, fields if isinstance(fields, Mapping) else {}):
        for name in _THINKING:
            thinking = part.get(name)
            tokens = thinking.get("budget_tokens") if isinstance(thinking, Mapping) else None
            if isinstance(tokens, int) and tokens > 0:
                return tokens
    return 0


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


def _refuse_second_limit(body: Body, member: tuple[str, ...] | None) -> None:
    """A limit under another name than `member`, or more than one answer."""
    inner = body.get("inferenceConfig")
    for part in (body, inner if isinstance(inner, Mapping) else {}):
        for name in _LIMIT_NAMES & part.keys():
            if part[name] is not None and (member is None or name != member[-1]):
                wanted = ".".join(member or _CONVERSE_LIMIT)
                raise BadRequest(f"{name} is not supported here: the limit is {wanted}")
    for name in _MANY_ANSWERS:
        if body.get(name) not in (None, 1):
            raise BadRequest(f"{name} other than 1 is not supported")


def _refuse_dearer(body: Body) -> None:
    """What is priced otherwise and said where no price is looked for."""
    for name in _TIER_MEMBERS:
        if body.get(name) not in _PLAIN_TIERS:
            raise BadRequest(f"{name} is not taken from here")
    performance = body.get("performanceConfig")
    if isinstance(performance, Mapping) and performance.get("latency") not in (None, "standard"):
        raise ModelUnpriced("optimised latency has no price")


def _salted_converse(body: Body, salt: str) -> dict[str, Any]:
    salted = {**body, "system": [{"text": salt}, *_system(body)]}
    tools = salted.get("toolConfig")
    if isinstance(tools, Mapping):
        salted["toolConfig"] = {**tools, "tools": _salted_specs(tools.get("tools"), salt)}
    return salted


def _salted_specs(tools: object, salt: str) -> Any:
    """Tools come before the system prompt in a cached prefix: the first that says anything is
    salted too."""
    if not isinstance(tools, list):
        return tools
    for place, tool in enumerate(tools):
        spec = tool.get("toolSpec") if isinstance(tool, Mapping) else None
        if isinstance(spec, Mapping):
            salted = {**tool, "toolSpec": _described(spec, salt)}
            return [*tools[:place], salted, *tools[place + 1 :]]
    return tools


def _salted_native_tools(body: Body, model: Model, salt: str) -> dict[str, Any]:
    if model.family == "nova":  # blocks and tools as in Converse
        config = body.get("toolConfig")
        if not isinstance(config, Mapping):
            return dict(body)
        tools = _salted_specs(config.get("tools"), salt)
        return {**body, "toolConfig": {**config, "tools": tools}}
    tools = body.get("tools")
    if not isinstance(tools, list):
        return dict(body)
    for place, tool in enumerate(tools):
        # Anthropic's own tools, which have a type, take no description and say nothing.
        if isinstance(tool, Mapping) and tool.get("type") in (None, "custom"):
            described = _described(tool, salt)
            return {**body, "tools": [*tools[:place], described, *tools[place + 1 :]]}
    return dict(body)


def _described(tool: Mapping[str, Any], salt: str) -> dict[str, Any]:
    return {**tool, "description": f"{salt}\n{tool.get('description') or ''}".strip()}


def _native_system(body: Body, model: Model, line: str) -> dict[str, Any]:
    if model.family == "anthropic":
        system = body.get("system") or []
        if isinstance(system, str):
            system = [{"type": "text", "text": system}]
        if not isinstance(system, list):
            raise BadRequest("system must be a text or a list of blocks")
        return {**body, "system": [{"type": "text", "text": line}, *system]}
    if model.family == "nova":
        return {**body, "system": [{"text": line}, *_system(body)]}
    messages = body.get("messages")
    if isinstance(messages, list):
        return {**body, "messages": [{"role": "system", "content": line}, *messages]}
    raise BadRequest(f"model {model.id} takes no preamble through InvokeModel; use Converse")
