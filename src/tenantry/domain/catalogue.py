"""The model catalogue: which Bedrock models are known, how they count, what they are priced as.

Owns: resolving what a caller names (alias, base id, profile id, ARN) to one entry.
Invariant: an unknown model is `ModelNotFound`, a retired one `ModelRetired`; neither reaches a
price.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Literal

from tenantry.domain.errors import ModelNotFound, ModelRetired
from tenantry.domain.model_ids import ModelKind as IdKind
from tenantry.domain.model_ids import parse_model_id
from tenantry.domain.record import record

ModelKind = Literal["chat", "embedding", "rerank"]


@dataclass(frozen=True, slots=True)
class Model:
    id: str  # Bedrock's base id
    family: str  # anthropic, nova, titan_embed, cohere_embed, llama, mistral, openai, …
    kind: ModelKind
    window: int  # tokens
    max_output: int  # tokens; 0 for embeddings
    price_key: str
    alias: str | None = None
    burndown: int = 1  # output tokens count this often against Bedrock's quota
    image_tokens_max: int = 0  # the most that one image can count; 0 = images are not accepted
    page_tokens_max: int = 0  # the most that one document page can count
    retires_on: date | None = None
    native_body: Literal["anthropic", "nova", "openai", "none"] = "none"  # InvokeModel's body


@record
class Resolved:
    model: Model
    upstream_id: str  # as it goes to Bedrock
    price_key: str  # of the profile or provisioned model that was named, else of the model

    @property
    def profile_prefix(self) -> str | None:
        """`eu`, `global`, … where the call runs across regions, also behind a profile's ARN."""
        behind = f".{self.model.price_key}"
        return self.price_key.removesuffix(behind) if self.price_key.endswith(behind) else None


class Catalogue:
    """Immutable; a change makes a new one with a new `version`."""

    def __init__(self, models: Iterable[Model], *, version: int = 1) -> None:
        self.version = version
        self._by_id = {model.id: model for model in models}
        self._by_alias = {m.alias: m for m in self._by_id.values() if m.alias}

    def __iter__(self) -> Iterator[Model]:
        return iter(self._by_id.values())

    def named(self, name: str) -> Model | None:
        """The model of an id, an alias or a cross-region profile, retired or not."""
        reference = parse_model_id(name)
        base_id = None if reference is None else reference.base_id
        return self._by_id.get(name) or self._by_alias.get(name) or self._by_id.get(base_id or "")

    def resolve(self, name: str, profiles: Mapping[str, str], *, today: date) -> Resolved:
        """What a caller named, as one model. Raises `ModelNotFound` or `ModelRetired`.

        `profiles` are the placement's application inference profiles and provisioned models by
        ARN; one of another account is as unknown as a model that never was. A profile has the price
        of what it stands for. Provisioned throughput is paid by the hour, so that its tokens never
        have their model's price: they have that of the ARN, or none.
        """
        model = self._by_id.get(name) or self._by_alias.get(name)
        if model is not None:
            return self._usable(model, model.id, model.price_key, today)
        if name in profiles:
            inner = self.resolve(profiles[name], {}, today=today)
            named = parse_model_id(name)
            hourly = named is not None and named.kind is IdKind.PROVISIONED_MODEL
            return self._usable(inner.model, name, name if hourly else inner.price_key, today)
        reference = parse_model_id(name)
        if reference is None or reference.base_id is None:
            raise ModelNotFound(f"unknown model: {name[:200]}", of="model")
        model = self._by_id.get(reference.base_id)
        if model is None:
            raise ModelNotFound(f"unknown model: {name[:200]}", of="model")
        prefix = reference.profile_prefix
        key = f"{prefix}.{model.price_key}" if prefix else model.price_key
        return self._usable(model, name, key, today)

    def _usable(self, model: Model, upstream_id: str, price_key: str, today: date) -> Resolved:
        if model.retires_on is not None and model.retires_on <= today:
            said = f"model {model.id} was retired on {model.retires_on.isoformat()}"
            raise ModelRetired(said, of="model")
        return Resolved(model, upstream_id, price_key)
