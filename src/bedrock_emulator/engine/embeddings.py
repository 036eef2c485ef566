"""InvokeModel of embedding models: Titan, Cohere and Nova bodies in, vectors out.

One reader per body shape yields texts, dimensions and a renderer; counts go into the header
`x-amzn-bedrock-input-token-count` and, for Titan, into the body.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from bedrock_emulator.engine import errors
from bedrock_emulator.engine.catalogue import Model
from bedrock_emulator.engine.requests import checks
from bedrock_emulator.engine.tokens import tokeniser

Vectors = list[list[float]]
_MAX_TITAN_CHARACTERS = 50_000  # Bedrock user guide, Titan Text Embeddings
_MAX_COHERE_TEXTS = 96
_COHERE_TYPES = ("float", "int8", "binary")
_TITAN_MEMBERS = {
    "amazon.titan-embed-text-v2:0": {"inputText", "dimensions", "normalize", "embeddingTypes"},
    "amazon.titan-embed-image-v1": {"inputText", "inputImage", "embeddingConfig"},
}


class Embedder(Protocol):
    def embed(self, text: str, dimensions: int, *, normalize: bool) -> list[float]:
        """A vector of `dimensions` numbers for a text; of length 1 where `normalize` is set."""


@dataclass(frozen=True, slots=True)
class EmbeddingPlan:
    """A read request: what to embed, and how to answer."""

    texts: tuple[str, ...]
    dimensions: int
    normalize: bool
    tokens: int
    render: Callable[[Vectors, EmbeddingPlan, str], dict[str, Any]]
    types: tuple[str, ...] = ("float",)

    def answer(self, embedder: Embedder, seed: str) -> dict[str, Any]:
        vectors = [
            embedder.embed(text, self.dimensions, normalize=self.normalize) for text in self.texts
        ]
        return self.render(vectors, self, seed)


def read_embedding(body: Any, model: Model) -> EmbeddingPlan:
    """Reads the body of an embedding model. Raises EmulatedError in the model's words."""
    body = checks.as_object(body, "")
    if model.id.startswith("cohere."):
        return _read_cohere(body, model)
    if model.id.startswith("amazon.nova"):
        return _read_nova(body, model)
    return _read_titan(body, model)


def _read_titan(body: dict[str, Any], model: Model) -> EmbeddingPlan:
    allowed = _TITAN_MEMBERS.get(model.id, {"inputText"})
    for key in body:
        if key not in allowed:
            raise errors.extraneous_key("", key)
    if body.get("inputText") is None:
        raise errors.missing_key("", "inputText")
    text = checks.as_text(body["inputText"], "inputText")
    if not text:
        raise errors.validation(
            "Malformed input request: #/inputText: expected minLength: 1, actual: 0, "
            "please reformat your input and try again."
        )
    if len(text) > _MAX_TITAN_CHARACTERS:
        raise errors.validation(
            f"Malformed input request: expected maxLength: {_MAX_TITAN_CHARACTERS}, "
            f"actual: {len(text)}, please reformat your input and try again."
        )
    tokens = 1 + tokeniser(model.encoding).count(text)
    if tokens > model.window:
        raise errors.validation(
            f"400 Bad Request: Too many input tokens. Max input tokens: {model.window}, "
            f"request input token count: {tokens} "
        )
    return EmbeddingPlan(
        (text,), _titan_dimensions(body, model), _normalize(body), tokens, _titan, _types(body)
    )


def _titan_dimensions(body: dict[str, Any], model: Model) -> int:
    if model.id == "amazon.titan-embed-text-v2:0":
        return int(_one_of(body.get("dimensions", 1024), (256, 512, 1024), "dimensions"))
    if model.id == "amazon.titan-embed-image-v1":
        config = checks.as_object(body.get("embeddingConfig") or {}, "embeddingConfig")
        length = config.get("outputEmbeddingLength", 1024)
        return int(_one_of(length, (256, 384, 1024), "embeddingConfig/outputEmbeddingLength"))
    return 1536


def _normalize(body: dict[str, Any]) -> bool:
    normalize = body.get("normalize", True)
    if not isinstance(normalize, bool):
        raise errors.wrong_type("normalize", "boolean")
    return normalize


def _types(body: dict[str, Any]) -> tuple[str, ...]:
    types = checks.as_list(body.get("embeddingTypes", ["float"]), "embeddingTypes")
    return tuple(_one_of(kind, ("float", "binary"), "embeddingTypes/0") for kind in types)


def _one_of(value: Any, allowed: Sequence[Any], path: str) -> Any:
    if value not in allowed or isinstance(value, bool):
        raise errors.validation(
            f"Malformed input request: #/{path}: {value} is not a valid enum value, "
            "please reformat your input and try again."
        )
    return value


def _titan(vectors: Vectors, plan: EmbeddingPlan, seed: str) -> dict[str, Any]:
    vector = vectors[0]
    forms = {"float": vector, "binary": [int(number > 0) for number in vector]}
    body: dict[str, Any] = {"embedding": vector, "inputTextTokenCount": plan.tokens}
    if plan.dimensions != 1536:  # the first generation has one type only
        body["embeddingsByType"] = {kind: forms[kind] for kind in plan.types}
    return body


def _read_cohere(body: dict[str, Any], model: Model) -> EmbeddingPlan:
    texts = tuple(
        checks.as_text(text, f"texts/{i}")
        for i, text in enumerate(checks.as_list(body.get("texts"), "texts"))
    )
    if not 1 <= len(texts) <= _MAX_COHERE_TEXTS:
        raise errors.validation(
            f"Malformed input request: #/texts: expected 1 to {_MAX_COHERE_TEXTS} items, actual: "
            f"{len(texts)}, please reformat your input and try again."
        )
    if "input_type" not in body:
        raise errors.missing_key("", "input_type")
    counts = [tokeniser(model.encoding).count(text) for text in texts]
    if max(counts) > model.window and body.get("truncate", "NONE") == "NONE":
        raise errors.validation(
            f"too many tokens: max {model.window} tokens, request had {max(counts)}"
        )
    tokens = sum(min(count, model.window) for count in counts)
    if model.id == "cohere.embed-v4:0":
        dimensions = _one_of(
            body.get("output_dimension", 1536), (256, 512, 1024, 1536), "output_dimension"
        )
        types = _cohere_types(body) or ("float",)
        return EmbeddingPlan(texts, dimensions, True, tokens, _cohere_by_type, types)
    if "output_dimension" in body:
        raise errors.extraneous_key("", "output_dimension")
    types = _cohere_types(body)
    render = _cohere_by_type if types else _cohere_floats
    return EmbeddingPlan(texts, 1024, True, tokens, render, types)


def _cohere_types(body: dict[str, Any]) -> tuple[str, ...]:
    types = checks.as_list(body.get("embedding_types") or [], "embedding_types")
    return tuple(str(_one_of(kind, _COHERE_TYPES, "embedding_types")) for kind in types)


def _cohere_by_type(vectors: Vectors, plan: EmbeddingPlan, seed: str) -> dict[str, Any]:
    forms = {
        "float": vectors,
        "int8": [[max(-128, min(127, round(n * 127))) for n in v] for v in vectors],
        "binary": [[int(number > 0) for number in vector] for vector in vectors],
    }
    return {
        "id": seed,
        "texts": list(plan.texts),
        "embeddings": {kind: forms[kind] for kind in plan.types},
        "response_type": "embeddings_by_type",
    }


def _cohere_floats(vectors: Vectors, plan: EmbeddingPlan, seed: str) -> dict[str, Any]:
    return {
        "id": seed,
        "texts": [text.lower() for text in plan.texts],
        "embeddings": vectors,
        "response_type": "embeddings_floats",
    }


def _read_nova(body: dict[str, Any], model: Model) -> EmbeddingPlan:
    params = checks.as_object(body.get("singleEmbeddingParams"), "singleEmbeddingParams")
    text = checks.as_object(params.get("text"), "singleEmbeddingParams/text")
    value = checks.as_text(text.get("value"), "singleEmbeddingParams/text/value")
    dimensions = _one_of(
        params.get("embeddingDimension", 3072),
        (256, 384, 1024, 3072),
        "singleEmbeddingParams/embeddingDimension",
    )
    tokens = tokeniser(model.encoding).count(value)
    if tokens > model.window:
        if text.get("truncationMode", "NONE") == "NONE":
            raise errors.validation("Input is too long for requested model.")
        tokens = model.window
    return EmbeddingPlan((value,), dimensions, True, tokens, _nova)


def _nova(vectors: Vectors, plan: EmbeddingPlan, seed: str) -> dict[str, Any]:
    return {"embeddings": [{"embedding": vectors[0], "embeddingType": "TEXT"}]}
