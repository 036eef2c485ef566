"""As much of a text as an embedding model takes: what is longer is embedded by its beginning.

Only what is embedded is shortened. A passage keeps its text, its words and its place.
"""

from __future__ import annotations

from tenantry.domain.catalogue import Model

FAMILIES = frozenset({"titan_embed", "cohere_embed"})  # whose bodies are known here
SPECIAL_TOKENS = 2  # a model's own marks of a text's beginning and end
_COHERE_3 = ("cohere.embed-english-v3", "cohere.embed-multilingual-v3")
_COHERE_3_CHARS_MAX = 2_048  # of one text (Bedrock user guide, Cohere Embed v3)


def embeds_texts(model: Model) -> bool:
    """Whether documents and queries can be embedded with it here."""
    return model.kind == "embedding" and model.family in FAMILIES


def drops_the_end(model: Model) -> bool:
    """Whether the model, if asked to, cuts a text to its window itself: it alone knows where."""
    return model.id.startswith(_COHERE_3)


def beginning_of(text: str, model: Model) -> str:
    """The whole text where the model takes it for sure. Never blank where the text is not."""
    if drops_the_end(model):
        return text if len(text) <= _COHERE_3_CHARS_MAX else text.strip()[:_COHERE_3_CHARS_MAX]
    bytes_max = model.window - SPECIAL_TOKENS  # no tokeniser makes more tokens than bytes
    if len(text.encode()) <= bytes_max:
        return text
    return text.strip().encode()[:bytes_max].decode(errors="ignore")
