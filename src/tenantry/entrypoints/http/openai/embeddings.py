"""OpenAI embeddings, to and from vectors. Pure."""

from __future__ import annotations

import base64
from typing import Any, Final

import numpy as np

from tenantry.application.calls import Embedded
from tenantry.domain.vector_lengths import DIMENSIONS_MAX
from tenantry.entrypoints.http.openai.refusing import refused
from tenantry.entrypoints.http.openai.schema import EmbeddingsRequest

TEXTS_MAX: Final = 2_048  # OpenAI's own limit of an array


def texts_of(request: EmbeddingsRequest) -> list[str]:
    """The texts to embed. Raises `BadRequest`, also for arrays of token ids."""
    texts = [request.input] if isinstance(request.input, str) else request.input
    if not texts or len(texts) > TEXTS_MAX:
        raise refused("input", f"takes 1 to {TEXTS_MAX:,} texts.")
    if request.dimensions is not None and not 1 <= request.dimensions <= DIMENSIONS_MAX:
        raise refused("dimensions", f"must be 1 to {DIMENSIONS_MAX:,}.")
    for text in texts:
        if isinstance(text, (int, list)):
            raise refused("input", "takes texts; arrays of token ids are not supported.")
        if not isinstance(text, str) or not text:
            raise refused("input", "takes non-empty strings.")
    return texts


def from_embedded(done: Embedded, request: EmbeddingsRequest) -> dict[str, Any]:
    data = [
        {"object": "embedding", "index": i, "embedding": _encode(v, request.encoding_format)}
        for i, v in enumerate(done.vectors)
    ]
    tokens = done.usage.prompt_tokens
    return {
        "object": "list",
        "data": data,
        "model": request.model,
        "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
    }


def _encode(vector: Any, encoding: str) -> list[float] | str:
    """base64 is that of little-endian 32-bit floats, which the openai SDK asks for by default."""
    if encoding == "float":
        return [float(value) for value in vector]
    return base64.b64encode(np.asarray(vector, dtype="<f4").tobytes()).decode("ascii")
