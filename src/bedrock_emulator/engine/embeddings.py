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
_COHERE_TYPES = ("float", "int8", "uint8", "binary", "ubinary")
_COHERE_PURPOSES = ("search_document", "search_query", "classification", "clustering")
# Bedrock user guide, Cohere Embed and Cohere Embed v4.
_COHERE_MEMBERS = frozenset({"texts", "images", "input_type", "truncate", "embedding_types"})
_COHERE_4_MEMBERS = _COHERE_MEMBERS | {"inputs", "output_dimension", "max_tokens"}
_COHERE_CUTS = ("NONE", "START", "END")
_COHERE_4_CUTS = ("NONE", "LEFT", "RIGHT")
_TITAN_TEXT_2 = "amazon.titan-embed-text-v2:0"
_TITAN_IMAGE = "amazon.titan-embed-image-v1"
_TITAN_MEMBERS = {
    _TITAN_TEXT_2: {"inputText", "dimensions", "normalize", "embeddingTypes"},
    _TITAN_IMAGE: {"inputText", "inputImage", "embeddingConfig"},
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
    said: tuple[str, ...] = ()  # the texts as the answer repeats them

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
        (text,),
        _titan_dimensions(body, model),
        _normalize(body),
        tokens,
        _titan_by_type if model.id == _TITAN_TEXT_2 else _titan,
        _types(body),
    )


def _titan_dimensions(body: dict[str, Any], model: Model) -> int:
    if model.id == _TITAN_TEXT_2:
        return int(_one_of(body.get("dimensions", 1024), (256, 512, 1024), "dimensions"))
    if model.id == _TITAN_IMAGE:
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
    return {"embedding": vectors[0], "inputTextTokenCount": plan.tokens}


def _titan_by_type(vectors: Vectors, plan: EmbeddingPlan, seed: str) -> dict[str, Any]:
    vector = vectors[0]
    forms = {"float": vector, "binary": [int(number > 0) for number in vector]}
    body = _titan(vectors, plan, seed)
    body["embeddingsByType"] = {kind: forms[kind] for kind in plan.types}
    return body


def _read_cohere(body: dict[str, Any], model: Model) -> EmbeddingPlan:
    newer = model.id == "cohere.embed-v4:0"
    for key in body:
        if key not in (_COHERE_4_MEMBERS if newer else _COHERE_MEMBERS):
            raise errors.extraneous_key("", key)
    texts = _cohere_texts(body)
    if "input_type" not in body:
        raise errors.missing_key("", "input_type")
    _one_of(body["input_type"], _COHERE_PURPOSES, "input_type")
    cut = _one_of(
        body.get("truncate", "NONE"), _COHERE_4_CUTS if newer else _COHERE_CUTS, "truncate"
    )
    most = model.window
    if body.get("max_tokens") is not None:
        most = min(most, checks.whole_number(body["max_tokens"], "max_tokens"))
    counts = [tokeniser(model.encoding).count(text) for text in texts]
    if max(counts) > most and cut == "NONE":
        raise errors.validation(f"too many tokens: max {most} tokens, request had {max(counts)}")
    tokens = sum(min(count, most) for count in counts)
    dimensions = 1024
    if newer:
        dimensions = _one_of(
            body.get("output_dimension", 1536), (256, 512, 1024, 1536), "output_dimension"
        )
    types = _cohere_types(body) or (("float",) if newer else ())
    render = _cohere_by_type if types else _cohere_floats
    lowers = model.id.startswith("cohere.embed-english")
    said = tuple(text.lower() for text in texts) if lowers else texts
    return EmbeddingPlan(texts, dimensions, True, tokens, render, types, said)


def _cohere_texts(body: dict[str, Any]) -> tuple[str, ...]:
    """Of `texts`, or one for each of `inputs`. Images are not embedded here."""
    if body.get("images"):
        raise errors.unsupported_field("images")
    name = "texts" if body.get("inputs") is None else "inputs"
    if name == "inputs" and body.get("texts") is not None:
        raise errors.validation("Only one of texts and inputs can be given.")
    entries = checks.as_list(body.get(name), name)
    if not 1 <= len(entries) <= _MAX_COHERE_TEXTS:
        raise errors.validation(
            f"Malformed input request: #/{name}: expected 1 to {_MAX_COHERE_TEXTS} items, actual: "
            f"{len(entries)}, please reformat your input and try again."
        )
    if name == "texts":
        return tuple(checks.as_text(text, f"texts/{i}") for i, text in enumerate(entries))
    return tuple(_cohere_input(entry, f"inputs/{i}") for i, entry in enumerate(entries))


def _cohere_input(entry: Any, path: str) -> str:
    """An input is made of parts, which are embedded as one."""
    path = f"{path}/content"
    parts = checks.as_list(checks.as_object(entry, path).get("content"), path)
    if not parts:
        raise errors.validation(f"Malformed input request: #/{path}: expected 1 or more items")
    texts = []
    for part in parts:
        kind = _one_of(checks.as_object(part, path).get("type"), ("text", "image_url"), path)
        if kind == "image_url":
            raise errors.unsupported_block(kind)
        texts.append(checks.as_text(part.get("text"), f"{path}/text"))
    return "\n".join(texts)


def _cohere_types(body: dict[str, Any]) -> tuple[str, ...]:
    types = checks.as_list(body.get("embedding_types") or [], "embedding_types")
    return tuple(str(_one_of(kind, _COHERE_TYPES, "embedding_types")) for kind in types)


def _cohere_by_type(vectors: Vectors, plan: EmbeddingPlan, seed: str) -> dict[str, Any]:
    return {
        "id": seed,
        "texts": list(plan.said),
        "embeddings": {kind: [_cohere_form(kind, v) for v in vectors] for kind in plan.types},
        "response_type": "embeddings_by_type",
    }


def _cohere_form(kind: str, vector: list[float]) -> list[float]:
    """A vector of whole numbers of one byte has one a dimension, a binary one has one for eight.

    The signed kinds are the unsigned ones less 128.
    """
    if kind == "float":
        return vector
    if kind in ("int8", "uint8"):
        numbers = [max(-128, min(127, round(number * 127))) + 128 for number in vector]
    else:
        bits = "".join("1" if number > 0 else "0" for number in vector)
        numbers = [int(bits[start : start + 8], 2) for start in range(0, len(bits), 8)]
    shift = 0 if kind in ("uint8", "ubinary") else 128
    return [number - shift for number in numbers]


def _cohere_floats(vectors: Vectors, plan: EmbeddingPlan, seed: str) -> dict[str, Any]:
    return {
        "id": seed,
        "texts": list(plan.said),
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
