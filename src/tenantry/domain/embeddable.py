"""As much of a text as an embedding model takes: passages are made to fit, and a query that is
longer is embedded by its beginning.

Only what is embedded is shortened: a query keeps its words, and so does a passage that was made
for another model.
"""

from __future__ import annotations

from tenantry.domain.catalogue import Model
from tenantry.domain.chunk import CHUNK_BYTES_MAX, ChunkLimit

FAMILIES = frozenset({"titan_embed", "cohere_embed"})  # whose bodies are known here
SPECIAL_TOKENS = 2  # a model's own marks of a text's beginning and end
_TOKENS_MIN = 4  # of one character in UTF-8: no passage is less
_COHERE_3 = ("cohere.embed-english-v3", "cohere.embed-multilingual-v3")
_COHERE_3_CHARS_MAX = 2_048  # of one text (Bedrock user guide, Cohere Embed v3)


def embeds_texts(model: Model) -> bool:
    """Whether documents and queries can be embedded with it here."""
    return model.kind == "embedding" and model.family in FAMILIES


def drops_the_end(model: Model) -> bool:
    """Whether the model, if asked to, cuts a text to its window itself: it alone knows where."""
    return model.id.startswith(_COHERE_3)


def chunk_limit(model: Model) -> ChunkLimit:
    """What passages may be, so that all of each is embedded. A model that would refuse one of too
    many tokens gets those that it takes for sure; one that drops the end, as many as words are.
    """
    tokens_max = max(_TOKENS_MIN, min(model.window - SPECIAL_TOKENS, CHUNK_BYTES_MAX))
    whole = tokens_max == CHUNK_BYTES_MAX
    return ChunkLimit(tokens_max, reads_words=drops_the_end(model) and not whole)


def beginning_of(text: str, model: Model) -> str:
    """The whole text where the model takes it for sure. Never blank where the text is not."""
    if drops_the_end(model):
        return text if len(text) <= _COHERE_3_CHARS_MAX else text.strip()[:_COHERE_3_CHARS_MAX]
    bytes_max = model.window - SPECIAL_TOKENS  # no tokeniser makes more tokens than bytes
    if len(text.encode()) <= bytes_max:
        return text
    return text.strip().encode()[:bytes_max].decode(errors="ignore")
