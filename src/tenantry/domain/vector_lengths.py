"""How long the vectors of embedding models are: Bedrock user guide, parameters of each model."""

from __future__ import annotations

from collections.abc import Mapping

from tenantry.domain.errors import BadRequest

DIMENSIONS_MAX = 4_096  # of any model: no vector that is stored or asked for is longer
USUAL_DIMENSIONS = 512  # where nothing is said and the model makes them
# By id without a version, shortest first. A model that is not here is asked for any length, and
# answers itself.
_LENGTHS: Mapping[str, tuple[int, ...]] = {
    "amazon.titan-embed-text-v1": (1_536,),
    "amazon.titan-embed-g1-text-02": (1_536,),
    "amazon.titan-embed-text-v2": (256, 512, 1_024),
    "amazon.titan-embed-image-v1": (256, 384, 1_024),
    "amazon.nova-2-multimodal-embeddings-v1": (256, 384, 1_024, 3_072),
    "cohere.embed-english-v3": (1_024,),
    "cohere.embed-multilingual-v3": (1_024,),
    "cohere.embed-v4": (256, 512, 1_024, 1_536),
}


def vector_lengths(model_id: str) -> tuple[int, ...]:
    """Those that a model makes; none where that is not known."""
    return _LENGTHS.get(model_id.partition(":")[0], ())


def lengths_in_words(model_id: str) -> str:
    """`256, 512 or 1,024 numbers`. Of a model whose lengths are known."""
    *others, last = (f"{length:,}" for length in vector_lengths(model_id))
    return f"{', '.join(others)} or {last} numbers" if others else f"{last} numbers alone"


def makes(model_id: str, dimensions: int) -> bool:
    """Whether the model makes vectors so long, as far as is known."""
    lengths = vector_lengths(model_id)
    return not lengths or dimensions in lengths


def length_near(model_id: str, wanted: int) -> int:
    """What is wanted where the model makes it, else its next longer one, else its longest."""
    lengths = vector_lengths(model_id) or (wanted,)
    return next((length for length in lengths if length >= wanted), lengths[-1])


def length_to_ask_for(model_id: str, dimensions: int | None) -> int | None:
    """None where the model has one length, and takes no wish. BadRequest for one it cannot make."""
    if dimensions is not None and not makes(model_id, dimensions):
        said = f"model {model_id} makes vectors of {lengths_in_words(model_id)}"
        raise BadRequest(said, of="dimensions")
    return None if len(vector_lengths(model_id)) == 1 else dimensions
