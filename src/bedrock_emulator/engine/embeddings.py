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
_TITAN_CHARACTERS_MAX = 50_000  # Bedrock user guide, Titan Text Embeddings
_COHERE_TEXTS_MAX = 96
_COHERE_3_CHARACTERS_MAX = 2_048  # of one text (Bedrock user guide, Cohere Embed v3)
_COHERE_TYPES = ("float", "int8", "uint8", "binary", "ubinary")
_COHERE_PURPOSES = ("search_document", "search_query", "classification", "clustering")
# Bedrock user guide, Cohere Embed and Cohere Embed v4.
_COHERE_MEMBERS = frozenset({"texts", "images", "input_type", "truncate", "embedding_types"})
_COHERE_4_MEMBERS = _COHERE_MEMBERS | {"inputs", "output_dimension", "max_tokens"}
_COHERE_CUTS = ("NONE", "START", "END")
_COHERE_4_CUTS = (*_COHERE_CUTS, "LEFT", "RIGHT")  # the older by recordings
_TITAN_TEXT_2 = "amazon.titan-embed-text-v2:0"
_TITAN_IMAGE = "amazon.titan-embed-image-v1"
_TITAN_1_MEMBERS = frozenset({"inputText"})
_TITAN_MEMBERS = {
    _TITAN_TEXT_2: frozenset({"inputText", "dimensions", "normalize", "embeddingTypes"}),
    _TITAN_IMAGE: frozenset({"inputText", "inputImage", "embeddingConfig"}),
}
# Amazon Nova user guide, embeddings schema.
_NOVA_VERSION = "nova-multimodal-embed-v1"
_NOVA_MEMBERS = frozenset({"schemaVersion", "taskType", "singleEmbeddingParams"})
_NOVA_PARAMS = frozenset({"embeddingPurpose", "embeddingDimension", "text"})
_NOVA_MEDIA = frozenset({"image", "audio", "video"})
_NOVA_TEXT = frozenset({"value", "truncationMode", "source"})
# Each with the tokens that its instruction adds. The first three are recorded, the others are
# taken to be like the third.
_NOVA_PURPOSES = {
    "GENERIC_INDEX": 2,
    "GENERIC_RETRIEVAL": 15,
    "TEXT_RETRIEVAL": 19,
    "IMAGE_RETRIEVAL": 19,
    "VIDEO_RETRIEVAL": 19,
    "DOCUMENT_RETRIEVAL": 19,
    "AUDIO_RETRIEVAL": 19,
    "CLASSIFICATION": 19,
    "CLUSTERING": 19,
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

    def answer(self, embedder: Embedder, identity: str) -> dict[str, Any]:
        vectors = [
            embedder.embed(text, self.dimensions, normalize=self.normalize) for text in self.texts
        ]
        return self.render(vectors, self, identity)


def read_embedding(body: Any, model: Model) -> EmbeddingPlan:
    """Reads the body of an embedding model. Raises EmulatedError in the model's words."""
    body = checks.as_object(body, "")
    if model.id.startswith("cohere."):
        return _read_cohere(body, model)
    if model.id.startswith("amazon.nova"):
        return _read_nova(body, model)
    return _read_titan(body, model)


def _read_titan(body: dict[str, Any], model: Model) -> EmbeddingPlan:
    _only(body, _TITAN_MEMBERS.get(model.id, _TITAN_1_MEMBERS), "")
    if body.get("inputText") is None:
        raise errors.missing_key("", "inputText")
    text = checks.as_text(body["inputText"], "inputText")
    if not text:
        raise errors.validation(
            "Malformed input request: #/inputText: expected minLength: 1, actual: 0, "
            "please reformat your input and try again."
        )
    if len(text) > _TITAN_CHARACTERS_MAX:
        raise errors.validation(
            f"Malformed input request: expected maxLength: {_TITAN_CHARACTERS_MAX}, "
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
        config = checks.object_in(body, "embeddingConfig")
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
    return next(known for known in allowed if known == value)  # 256 where JSON has 256.0


def _titan(vectors: Vectors, plan: EmbeddingPlan, identity: str) -> dict[str, Any]:
    return {"embedding": vectors[0], "inputTextTokenCount": plan.tokens}


def _titan_by_type(vectors: Vectors, plan: EmbeddingPlan, identity: str) -> dict[str, Any]:
    vector = vectors[0]
    forms = {"float": vector, "binary": [int(number > 0) for number in vector]}
    body = _titan(vectors, plan, identity)
    body["embeddingsByType"] = {kind: forms[kind] for kind in plan.types}
    return body


def _read_cohere(body: dict[str, Any], model: Model) -> EmbeddingPlan:
    newer = model.id == "cohere.embed-v4:0"
    _only(body, _COHERE_4_MEMBERS if newer else _COHERE_MEMBERS, "")
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
    if not newer:
        _check_length(texts)
    counts = [tokeniser(model.encoding).count(text) for text in texts]
    if max(counts) > most and cut == "NONE":
        raise errors.validation(f"too many tokens: max {most} tokens, request had {max(counts)}")
    tokens = sum(min(count, most) for count in counts)
    read = tuple(_cut(text, most, cut, model) for text in texts)
    dimensions = 1024
    if newer:
        dimensions = _one_of(
            body.get("output_dimension", 1536), (256, 512, 1024, 1536), "output_dimension"
        )
    types = _cohere_types(body) or (("float",) if newer else ())
    render = _cohere_by_type if types else _cohere_floats
    lowers = model.id.startswith("cohere.embed-english")
    said = tuple(text.lower() for text in texts) if lowers else texts
    return EmbeddingPlan(read, dimensions, True, tokens, render, types, said)


def _check_length(texts: Sequence[str]) -> None:
    """Whatever is cut: the bound is of what is sent."""
    for number, text in enumerate(texts):
        if len(text) > _COHERE_3_CHARACTERS_MAX:
            raise errors.validation(
                f"Malformed input request: #/texts/{number}: expected maxLength: "
                f"{_COHERE_3_CHARACTERS_MAX}, actual: {len(text)}, please reformat your input and "
                "try again."
            )


def _cut(text: str, most: int, cut: str, model: Model) -> str:
    """What is embedded of a text: the tokens at its beginning, or at its end."""
    encoding = tokeniser(model.encoding)
    if encoding.count(text) <= most:
        return text
    ids = encoding.encode(text)
    return encoding.decode(ids[-most:] if cut in ("START", "LEFT") else ids[:most])


def _cohere_texts(body: dict[str, Any]) -> tuple[str, ...]:
    """Of `texts`, or one for each of `inputs`. Images are not embedded here."""
    if checks.list_in(body, "images"):
        raise errors.unsupported_field("images")
    name = "texts" if body.get("inputs") is None else "inputs"
    if name == "inputs" and body.get("texts") is not None:
        raise errors.validation("Only one of texts and inputs can be given.")
    entries = checks.as_list(body.get(name), name)
    if not 1 <= len(entries) <= _COHERE_TEXTS_MAX:
        raise errors.validation(
            f"Malformed input request: #/{name}: expected 1 to {_COHERE_TEXTS_MAX} items, actual: "
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
    types = checks.list_in(body, "embedding_types")
    return tuple(str(_one_of(kind, _COHERE_TYPES, "embedding_types")) for kind in types)


def _cohere_by_type(vectors: Vectors, plan: EmbeddingPlan, identity: str) -> dict[str, Any]:
    return {
        "id": identity,
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


def _cohere_floats(vectors: Vectors, plan: EmbeddingPlan, identity: str) -> dict[str, Any]:
    return {
        "id": identity,
        "texts": list(plan.said),
        "embeddings": vectors,
        "response_type": "embeddings_floats",
    }


def _read_nova(body: dict[str, Any], model: Model) -> EmbeddingPlan:
    _only(body, _NOVA_MEMBERS, "")
    _one_of(body.get("schemaVersion", _NOVA_VERSION), (_NOVA_VERSION,), "schemaVersion")
    if "taskType" not in body:
        raise errors.missing_key("", "taskType")
    _one_of(body["taskType"], ("SINGLE_EMBEDDING",), "taskType")
    path = "singleEmbeddingParams"
    params = checks.as_object(body.get(path), path)
    _only(params, _NOVA_PARAMS | _NOVA_MEDIA, f"/{path}")
    for medium in _NOVA_MEDIA:
        if params.get(medium) is not None:
            raise errors.unsupported_field(medium)
    if "embeddingPurpose" not in params:
        raise errors.missing_key(f"/{path}", "embeddingPurpose")
    purpose = _one_of(params["embeddingPurpose"], tuple(_NOVA_PURPOSES), f"{path}/embeddingPurpose")
    dimensions = _one_of(
        params.get("embeddingDimension", 3072),
        (256, 384, 1024, 3072),
        f"{path}/embeddingDimension",
    )
    text, path = checks.as_object(params.get("text"), f"{path}/text"), f"{path}/text"
    _only(text, _NOVA_TEXT, f"/{path}")
    if text.get("source") is not None:
        raise errors.unsupported_field("source")
    value = checks.as_text(text.get("value"), f"{path}/value")
    if not value:
        raise errors.validation(
            f"Malformed input request: #/{path}/value: expected minLength: 1, actual: 0, "
            "please reformat your input and try again."
        )
    cut = _one_of(text.get("truncationMode", "NONE"), _COHERE_CUTS, f"{path}/truncationMode")
    tokens = tokeniser(model.encoding).count(value)
    if tokens > model.window and cut == "NONE":
        raise errors.validation("Input is too long for requested model.")
    tokens = min(tokens, model.window) + _NOVA_PURPOSES[purpose]
    return EmbeddingPlan((value,), dimensions, True, tokens, _nova)


def _only(members: dict[str, Any], allowed: frozenset[str], path: str) -> None:
    for key in members:
        if key not in allowed:
            raise errors.extraneous_key(path, key)


def _nova(vectors: Vectors, plan: EmbeddingPlan, identity: str) -> dict[str, Any]:
    return {"embeddings": [{"embedding": vectors[0], "embeddingType": "TEXT"}]}
