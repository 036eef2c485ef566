"""Cohere's embedding bodies: types of vectors, members, texts, inputs."""

from __future__ import annotations

from typing import Any

import pytest

from bedrock_emulator.engine import EmulatedError

ENGLISH = "cohere.embed-english-v3"
MANY = "cohere.embed-multilingual-v3"
FOUR = "cohere.embed-v4:0"
BODY = {"texts": ["A Cat"], "input_type": "search_query"}


def answered(engine, call, model: str, **members: Any) -> dict[str, Any]:
    body = {key: value for key, value in {**BODY, **members}.items() if value is not None}
    return engine.answer(call(body, "InvokeModel", model)).body


@pytest.mark.parametrize(("model", "dimensions"), [(ENGLISH, 1024), (FOUR, 1536)])
def test_every_type_of_vector(fixed, call, model, dimensions) -> None:
    types = ["float", "int8", "uint8", "binary", "ubinary"]
    made = answered(fixed, call, model, embedding_types=types)["embeddings"]
    assert list(made) == types
    forms = {kind: made[kind][0] for kind in types}
    assert {len(forms[kind]) for kind in ("float", "int8", "uint8")} == {dimensions}
    assert forms["uint8"] == [number + 128 for number in forms["int8"]]
    assert len(forms["ubinary"]) == dimensions // 8
    assert forms["binary"] == [number - 128 for number in forms["ubinary"]]
    assert all(0 <= number <= 255 for number in forms["ubinary"])
    bits = "".join(f"{number:08b}" for number in forms["ubinary"])
    assert bits == "".join(str(int(number > 0)) for number in forms["float"])


@pytest.mark.parametrize("types", [None, ["float"]])
def test_the_english_model_alone_repeats_texts_in_small_letters(fixed, call, types) -> None:
    assert answered(fixed, call, ENGLISH, embedding_types=types)["texts"] == ["a cat"]
    for model in (MANY, FOUR):
        assert answered(fixed, call, model, embedding_types=types)["texts"] == ["A Cat"]


@pytest.mark.parametrize(
    ("model", "members", "words"),
    [
        (ENGLISH, {"input_type": "query"}, "input_type: query is not a valid enum"),
        (ENGLISH, {"input_type": None}, r"required key \[input_type\]"),
        (ENGLISH, {"truncate": "LEFT"}, "truncate: LEFT is not a valid enum"),
        (FOUR, {"truncate": "MIDDLE"}, "truncate: MIDDLE is not a valid enum"),
        (ENGLISH, {"embedding_types": ["int4"]}, "int4 is not a valid enum"),
        (ENGLISH, {"name": "embed"}, r"extraneous key \[name\]"),
        (ENGLISH, {"inputs": []}, r"extraneous key \[inputs\]"),
        (FOUR, {"priority": 1}, r"extraneous key \[priority\]"),
        (FOUR, {"images": ["data:"]}, "doesn't support the images field"),
        (FOUR, {"max_tokens": 1}, "too many tokens: max 1 tokens"),
        (FOUR, {"inputs": [{"content": []}]}, "Only one of texts and inputs"),
        (FOUR, {"texts": None, "inputs": []}, "1 to 96 items"),
        (FOUR, {"texts": None, "inputs": [{"content": []}]}, "1 or more items"),
        (FOUR, {"texts": None, "inputs": [{"content": [{"type": "x"}]}]}, "x is not a valid enum"),
        (
            FOUR,
            {"texts": None, "inputs": [{"content": [{"type": "image_url", "image_url": "data:"}]}]},
            "doesn't support the image_url content block",
        ),
    ],
)
def test_what_cohere_s_models_do_not_take_is_refused(fixed, call, model, members, words) -> None:
    with pytest.raises(EmulatedError, match=words):
        answered(fixed, call, model, **members)


def test_inputs_of_text_are_embedded_as_texts_are(fixed, call) -> None:
    inputs = [{"content": [{"type": "text", "text": text}]} for text in ("a", "b")]
    made = answered(fixed, call, FOUR, texts=None, inputs=inputs)
    assert made["embeddings"] == answered(fixed, call, FOUR, texts=["a", "b"])["embeddings"]
    parts = [{"type": "text", "text": text} for text in ("a", "b")]
    made = answered(fixed, call, FOUR, texts=None, inputs=[{"content": parts}])
    assert made["embeddings"] == answered(fixed, call, FOUR, texts=["a\nb"])["embeddings"]


def test_a_text_is_billed_up_to_where_it_is_cut(fixed, call) -> None:
    body = {**BODY, "texts": ["a " * 50], "truncate": "RIGHT", "max_tokens": 10}
    assert fixed.answer(call(body, "InvokeModel", FOUR)).usage.input == 10


def test_titan_s_types_are_of_its_second_text_model(fixed, call) -> None:
    body = {"inputText": "a"}
    made = fixed.answer(call(body, "InvokeModel", "amazon.titan-embed-text-v2:0")).body
    assert set(made) == {"embedding", "embeddingsByType", "inputTextTokenCount"}
    for model in ("amazon.titan-embed-image-v1", "amazon.titan-embed-text-v1"):
        made = fixed.answer(call(body, "InvokeModel", model)).body
        assert set(made) == {"embedding", "inputTextTokenCount"}


@pytest.mark.parametrize("cut", ["START", "END", "LEFT", "RIGHT"])
def test_the_fourth_model_takes_the_older_names_of_cuts_too(fixed, call, cut) -> None:
    """START and END are recorded, LEFT and RIGHT documented."""
    body = {**BODY, "texts": ["many words"], "max_tokens": 1, "truncate": cut}
    answer = fixed.answer(call(body, "InvokeModel", FOUR))
    assert answer.headers["x-amzn-bedrock-input-token-count"] == "1"


@pytest.mark.parametrize("cut", ["NONE", "START", "END"])
def test_the_third_model_takes_no_more_than_so_many_characters(fixed, call, cut) -> None:
    answered(fixed, call, ENGLISH, texts=["a " * 255], truncate=cut)
    with pytest.raises(EmulatedError, match=r"texts/1: expected maxLength: 2048, actual: 2049"):
        answered(fixed, call, ENGLISH, texts=["a", "a" * 2_049], truncate=cut)


def test_what_is_cut_off_is_not_embedded(fixed, call) -> None:
    words = [f" w{number}" for number in range(400)]  # two tokens each, and more
    text = "".join(words)

    def vector(text: str, **more: object) -> list[float]:
        vectors: list[list[float]] = answered(fixed, call, ENGLISH, texts=[text], **more)[
            "embeddings"
        ]
        return vectors[0]

    for cut in ("START", "END"):
        kept, other = (text[:600], text[-600:]) if cut == "END" else (text[-600:], text[:600])
        whole = vector(text, truncate=cut)
        changed = vector(text.replace(other, other.upper()), truncate=cut)
        assert changed == whole
        assert vector(text.replace(kept, kept.upper()), truncate=cut) != whole
