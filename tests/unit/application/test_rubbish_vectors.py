"""What a model answers in a vector's place: never handed on, kept or searched with."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from tests.support.core import TITAN, principal
from tests.support.scripted import context, core, reply
from tests.support.skipping import run

from tenantry.application.embeddings import Purpose
from tenantry.domain import errors
from tenantry.domain.catalogue import Catalogue, Model

ACME = principal("acme")
FIRST = replace(TITAN, id="amazon.titan-embed-text-v1")
PICTURES = replace(TITAN, id="amazon.titan-embed-image-v1")
FOURTH = replace(TITAN, id="cohere.embed-v4:0", family="cohere_embed")
NOVA = replace(TITAN, id="amazon.nova-2-multimodal-embeddings-v1:0", family="nova_embed")
UNKNOWN = replace(TITAN, id="amazon.titan-embed-text-v9:0")
NO_VECTORS = {
    "null": None,
    "a null in it": [None, *[1.0] * 511],
    "a text": "abc",
    "a text in it": ["1.0", *[1.0] * 511],
    "a truth in it": [True, *[1.0] * 511],
    "a list in it": [[1.0], *[1.0] * 511],
    "nothing": [],
    "an object": {"0": 1.0},
    "too short": [1.0] * 511,
    "too long": [1.0] * 1_024,
    "beyond 32 bits": [1e39, *[1.0] * 511],
    "an integer without an end": [10**400, *[1.0] * 511],
}


@pytest.mark.parametrize("name", NO_VECTORS)
@pytest.mark.parametrize("purpose", ["client", "document", "query"])
def test_what_is_no_vector_of_the_length_that_was_asked_for_is_rubbish(
    name: str, purpose: Purpose
) -> None:
    said = {"embedding": NO_VECTORS[name], "inputTextTokenCount": 3}
    worker = core(replace(reply({}), document=said))
    with pytest.raises(errors.UpstreamRubbish):
        run(worker.embeddings.embed(context(ACME), TITAN.id, ["text"], 512, purpose=purpose))
    (outcome,) = worker.admission.outcomes
    assert outcome.end == "settled", "as any other answer that nobody can read"


@pytest.mark.parametrize(
    ("model", "dimensions", "made", "taken"),
    [
        (FIRST, None, 1_536, True),
        (FIRST, None, 512, False),
        (FIRST, 1_536, 1_535, False),
        (PICTURES, 384, 384, True),
        (PICTURES, 384, 256, False),
        (UNKNOWN, None, 7, True),
        (UNKNOWN, None, 0, False),
        (FOURTH, 512, 512, True),
        (FOURTH, 512, 256, False),
        (FOURTH, None, 1_536, True),
        (NOVA, 384, 384, True),
        (NOVA, 384, 1_024, False),
    ],
)
def test_a_vector_is_as_long_as_it_was_asked_to_be_or_as_the_model_makes_it(
    model: Model, dimensions: int | None, made: int, taken: bool
) -> None:
    said: dict[str, Any] = {
        "titan_embed": {"embedding": [0.0] * made},
        "cohere_embed": {"embeddings": {"float": [[0.0] * made]}},
        "nova_embed": {"embeddings": [{"embedding": [0.0] * made}]},
    }[model.family]
    worker = core(reply(said, {"x-amzn-bedrock-input-token-count": "3"}))
    worker.directory.found = Catalogue([model])
    asked = worker.embeddings.embed(context(ACME), model.id, ["text"], dimensions)
    if taken:
        assert list(run(asked).vectors) == [[0.0] * made]
    else:
        with pytest.raises(errors.UpstreamRubbish):
            run(asked)
