"""How long the vectors of embedding models are: Bedrock user guide, parameters of each model."""

from __future__ import annotations

from collections.abc import Mapping

from tenantry.domain.errors import BadRequest

# By id without a version. A model that is not here is asked for any length, and answers itself.
_LENGTHS: Mapping[str, tuple[int, ...]] = {
    "amazon.titan-embed-text-v1": (1_536,),
    "amazon.titan-embed-g1-text-02": (1_536,),
    "amazon.titan-embed-text-v2": (256, 512, 1_024),
    "amazon.titan-embed-image-v1": (256, 384, 1_024),
    "cohere.embed-english-v3": (1_024,),
    "cohere.embed-multilingual-v3": (1_024,),
    "cohere.embed-v4": (256, 512, 1_024, 1_536),
}


def vector_lengths(model_id: str) -> tuple[int, ...]:
    """Those that a model makes; none where that is not known."""
    return _LENGTHS.get(model_id.partition(":")[0], ())


def length_to_ask_for(model_id: str, dimensions: int | None) -> int | None:
    """None where the model has one length, and takes no wish. BadRequest for one it cannot make."""
    lengths = vector_lengths(model_id)
    if dimensions is not None and lengths and dimensions not in lengths:
        *others, last = (f"{length:,}" for length in lengths)
        made = f"{', '.join(others)} or {last} numbers" if others else f"{last} numbers alone"
        raise BadRequest(f"model {model_id} makes vectors of {made}")
    return None if len(lengths) == 1 else dimensions
