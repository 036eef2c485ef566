"""The engine: a decoded call in, an answer or a refusal out. No sockets, no files but its caches.

The way of a call: 1. resolve the model; 2. read and validate the body; 3. (the wire checks quota);
4. use the prompt cache; 5. draft; 6. run the draft into limits; 7. render the family's shape.
"""

from __future__ import annotations

import base64
import hashlib
import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, Protocol

from bedrock_emulator.engine import answers, errors, native, structured
from bedrock_emulator.engine.cache import PromptCache
from bedrock_emulator.engine.catalogue import ArnLookup, Model, Resolved, resolve
from bedrock_emulator.engine.embeddings import Embedder, EmbeddingPlan, read_embedding
from bedrock_emulator.engine.generation import Draft, Generation, generate
from bedrock_emulator.engine.guarded_parts import masked_body
from bedrock_emulator.engine.guarding import (
    ID_HEADER,
    NATIVE_CONFIG,
    Guarding,
    blocked_prompt,
    guarded_generation,
    guarding_of,
    shown,
)
from bedrock_emulator.engine.guardrail import GuardrailLookup
from bedrock_emulator.engine.models import reading
from bedrock_emulator.engine.models.fixed import FixedModel
from bedrock_emulator.engine.prompt import Prompt
from bedrock_emulator.engine.requests.converse import read_converse
from bedrock_emulator.engine.reranking import Reranker, RerankPlan, read_native, read_operation
from bedrock_emulator.engine.types import Answer, Call, Prepared, TokenUsage

DEFAULT_FIXED_ANSWER = "This is the fixed answer of the emulator."


class LanguageModel(Protocol):
    def draft(self, prompt: Prompt) -> Draft:
        """What the model says to a prompt, before limits."""


@dataclass(frozen=True, slots=True)
class _Plan:
    """What `prepare` found out and `answer` goes on with."""

    resolved: Resolved
    seed: str  # a stable name of the request, equal for equal ones
    prompt: Prompt | None
    embedding: EmbeddingPlan | None
    guarding: Guarding | None = None
    reranking: RerankPlan | None = None


class Engine:
    """Thread-safe. The same call in the same cache state gives the same answer.

    `mode` "models" runs the small models, "fixed" always says `fixed_answer` (repeated or cut to
    `fixed_output_tokens` where given) and derives vectors from a hash. `cache_dir` keeps computed
    embeddings between runs. `lookup` knows created inference profiles and provisioned models,
    `guardrails` the accounts' guardrails;
    `clock` gives monotonic seconds for the life of cached prefixes.
    """

    def __init__(
        self,
        mode: Literal["models", "fixed"] = "models",
        fixed_answer: str = DEFAULT_FIXED_ANSWER,
        fixed_output_tokens: int | None = None,
        cache_dir: Path | None = None,
        lookup: ArnLookup | None = None,
        guardrails: GuardrailLookup | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._lookup = lookup
        self._guardrails = guardrails
        self._cache = PromptCache(clock)
        fixed = FixedModel(fixed_answer, fixed_output_tokens)
        self._embedder: Embedder = fixed
        self._reranker: Reranker = fixed
        self._models: dict[str, LanguageModel] = {"extractive": fixed, "obedient": fixed}
        if mode == "models":
            self._use_small_models(cache_dir)

    def _use_small_models(self, cache_dir: Path | None) -> None:
        from bedrock_emulator.engine.models.extractive import Extractive
        from bedrock_emulator.engine.models.maxsim import MaxSim
        from bedrock_emulator.engine.models.minilm import MiniLm
        from bedrock_emulator.engine.models.obedient import Obedient

        minilm = MiniLm(cache_dir)
        extractive = Extractive(minilm)
        self._embedder = minilm
        self._reranker = MaxSim(minilm)
        self._models = {"extractive": extractive, "obedient": Obedient(extractive)}

    def prepare(self, call: Call) -> Prepared:
        """Validates a call and counts its prompt. Raises EmulatedError; changes nothing."""
        with _bounded_depth():
            plan = self._plan(call)
        model, across = plan.resolved.model, plan.resolved.profile is not None
        if plan.embedding is not None:
            tokens = plan.embedding.tokens
            return Prepared(model.id, tokens, 0, model.burndown, plan, "input", across)
        if plan.reranking is not None:
            return Prepared(model.id, 0, 0, model.burndown, plan, "none", across)
        assert plan.prompt is not None
        tokens, most = plan.prompt.input_tokens, plan.prompt.output_limit
        return Prepared(model.id, tokens, most, model.burndown, plan, "output", across)

    def answer(
        self, call: Call, prepared: Prepared | None = None, usage: TokenUsage | None = None
    ) -> Answer:
        """Generates. Uses the prompt cache, so call it once per invocation that is served.

        `prepared` saves reading the body again; `usage` is taken as the call's in place of what
        was counted. Raises EmulatedError where `prepare` would have.
        """
        plan = (prepared or self.prepare(call)).plan
        region = plan.resolved.inference_region(plan.seed)
        identity = _identity(plan.seed, call.request_id)
        inference_region = None if region == call.region else region
        if plan.embedding is not None:
            embedding = plan.embedding
            if usage is not None:  # of which an embedding has input alone
                embedding = replace(embedding, tokens=usage.input)
            return self._embed(embedding, identity, inference_region)
        if plan.reranking is not None:
            return self._rerank(plan.reranking)
        prompt, guarding = plan.prompt, plan.guarding
        native = call.operation.startswith("Invoke")
        if guarding is not None and guarding.prompt.blocked:
            made = blocked_prompt(guarding, prompt, native=native)
            answer = _render(call, prompt, made, TokenUsage(), identity, inference_region)
            return shown(answer, guarding, None, (), call)
        counted = self._cache.use(prompt, call.account, call.region)
        made = generate(prompt, self._draft(prompt))
        texts = [block.text for block in made.blocks if block.kind == "text"]
        found = None
        if guarding is not None:
            made, found = guarded_generation(guarding, prompt, made, native=native)
        used = replace(counted, output=made.output_tokens) if usage is None else usage
        answer = _render(call, prompt, made, used, identity, inference_region)
        if usage is not None:
            answer = _paced_by(usage.output, made.output_tokens, answer)
        return answer if guarding is None else shown(answer, guarding, found, texts, call)

    def count_tokens(self, call: Call) -> int:
        """CountTokens: what the same body would be billed as input, cached or not."""
        resolved = self._resolve(call)
        if not resolved.model.counts_tokens or resolved.profile is not None:
            raise errors.validation("The provided model doesn't support counting tokens.")
        form = call.body.get("input") if isinstance(call.body, dict) else None
        if not isinstance(form, dict) or len(form) != 1:
            raise errors.validation("The input must hold exactly one of converse and invokeModel.")
        with _bounded_depth():
            if "converse" in form:
                return read_converse(form["converse"], resolved.model).input_tokens
            body = _invoke_body(form.get("invokeModel"))
            return native.read(body, resolved.model, call.headers).input_tokens

    def _plan(self, call: Call) -> _Plan:
        resolved = self._resolve(call)
        model, seed = resolved.model, _seed(call)
        if model.embeds:
            if call.operation != "InvokeModel":
                raise errors.validation("The provided model doesn't support this operation.")
            if ID_HEADER in call.headers:
                raise errors.validation("The provided model doesn't support guardrails.")
            native.check_headers(call.headers)
            return _Plan(resolved, seed, None, read_embedding(call.body, model))
        if model.reranks or call.operation == "Rerank":
            return _Plan(resolved, seed, None, None, reranking=_read_rerank(call, model))
        prompt = self._read(call, call.body, model)
        guarding = guarding_of(call, self._guardrails)
        if guarding is not None and guarding.prompt.masked and not guarding.prompt.blocked:
            prompt = self._read(call, masked_body(call.body, guarding.guardrail), model)
        return _Plan(resolved, seed, prompt, None, guarding)

    def _read(self, call: Call, body: Any, model: Model) -> Prompt:
        if call.operation in ("Converse", "ConverseStream"):
            return read_converse(body, model)
        if isinstance(body, dict):  # beside the family's own members
            body = {key: value for key, value in body.items() if key != NATIVE_CONFIG}
        return native.read(body, model, call.headers)

    def _resolve(self, call: Call) -> Resolved:
        return resolve(call.model_id, call.account, call.region, self._lookup)

    def _draft(self, prompt: Prompt) -> Draft:
        if structured.is_forced(prompt):
            return structured.forced_call(prompt, reading.read(prompt).question)
        draft = self._models[prompt.model.plays].draft(prompt)
        if prompt.schema is not None and not draft.calls:
            return structured.schema_text(prompt, draft.text)
        return draft

    def _embed(self, plan: EmbeddingPlan, identity: str, region: str | None) -> Answer:
        return Answer(
            TokenUsage(input=plan.tokens),
            body=plan.answer(self._embedder, identity),
            headers={"x-amzn-bedrock-input-token-count": str(plan.tokens)},
            service_tier="default",
            inference_region=region,
        )

    def _rerank(self, plan: RerankPlan) -> Answer:
        return Answer(
            TokenUsage(),
            body=plan.answer(self._reranker),
            search_units=plan.search_units,
            service_tier="default",
        )


def _read_rerank(call: Call, model: Model) -> RerankPlan:
    if not model.reranks or call.operation not in ("InvokeModel", "Rerank"):
        raise errors.validation("The provided model doesn't support this operation.")
    if ID_HEADER in call.headers:
        raise errors.validation("The provided model doesn't support guardrails.")
    return (
        read_operation(call.body) if call.operation == "Rerank" else read_native(call.body, model)
    )


@contextmanager
def _bounded_depth() -> Iterator[None]:
    """Refuses what is nested deeper than the interpreter can follow."""
    try:
        yield
    except RecursionError:
        raise errors.validation("Malformed input request: nested too deeply.") from None


def _render(
    call: Call,
    prompt: Prompt,
    made: Generation,
    usage: TokenUsage,
    identity: str,
    region: str | None,
) -> Answer:
    if call.operation == "Converse":
        return answers.converse(call.body, prompt, made, usage, identity, region)
    if call.operation == "ConverseStream":
        return answers.converse_stream(call.body, prompt, made, usage, identity, region)
    if call.operation == "InvokeModel":
        return native.render(prompt, made, usage, identity, region)
    return native.render_stream(prompt, made, usage, identity, region)


def _paced_by(output: int, made: int, answer: Answer) -> Answer:
    """Spreads `output` tokens over the events of a stream that has made another number."""
    events = [
        replace(event, output_tokens=event.output_tokens * output // max(1, made))
        for event in answer.events
    ]
    return replace(answer, events=events)


def _invoke_body(form: Any) -> Any:
    """The JSON inside CountTokens' invokeModel, whose body is base64."""
    try:
        return json.loads(base64.b64decode(form["body"], validate=True))
    except (TypeError, KeyError, ValueError):
        raise errors.validation("The body of invokeModel is not base64 of JSON.") from None


def _seed(call: Call) -> str:
    return _digest(f"{call.account}/{call.region}/{call.model_id}/{call.body!r}")


def _identity(seed: str, request_id: str) -> str:
    """What the ids of one invocation are made from: equal requests have ids of their own."""
    return _digest(f"{seed}/{request_id}")


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "backslashreplace")).hexdigest()
