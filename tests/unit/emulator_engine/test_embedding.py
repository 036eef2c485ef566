"""Vectors: of the real small model, lifted, and fixed."""

from __future__ import annotations

import math
import subprocess
import sys
from contextlib import closing

import pytest

from bedrock_emulator.engine import EmulatedError
from bedrock_emulator.engine.models import minilm as minilm_module
from bedrock_emulator.engine.models.minilm import MiniLm, ModelFileError

TITAN = "amazon.titan-embed-text-v2:0"
CAT = "The cat sleeps on the sofa."
KITTEN = "A kitten naps on the couch."
RATE = "The central bank raised its interest rate."


def dot(a: list[float], b: list[float]) -> float:
    return math.fsum(x * y for x, y in zip(a, b, strict=True))


def embed(engine, call, text: str, **members) -> list[float]:
    body = {"inputText": text, **members}
    return engine.answer(call(body, "InvokeModel", TITAN)).body["embedding"]


def test_meaning_is_near_and_other_meaning_is_far(models, call) -> None:
    cat, kitten, rate = (embed(models, call, text) for text in (CAT, KITTEN, RATE))
    assert dot(cat, kitten) > 0.5 > 0.2 > dot(cat, rate)


@pytest.mark.parametrize("dimensions", [512, 1024])
def test_lifting_keeps_cosines_exactly(models, call, dimensions) -> None:
    small = MiniLm()
    expected = float(small.vector(CAT) @ small.vector(KITTEN))
    pair = [embed(models, call, text, dimensions=dimensions) for text in (CAT, KITTEN)]
    assert [len(vector) for vector in pair] == [dimensions, dimensions]
    assert dot(*pair) == pytest.approx(expected, abs=1e-5)
    assert dot(pair[0], pair[0]) == pytest.approx(1, abs=1e-5)


def test_256_dimensions_stay_near(models, call) -> None:
    cat, kitten, rate = (embed(models, call, text, dimensions=256) for text in (CAT, KITTEN, RATE))
    assert dot(cat, cat) == pytest.approx(1, abs=1e-5)
    assert dot(cat, kitten) > 0.4 > dot(cat, rate)


def test_binary_and_unnormalised_forms(models, call) -> None:
    body = {"inputText": CAT, "embeddingTypes": ["float", "binary"], "normalize": False}
    answer = models.answer(call(body, "InvokeModel", TITAN)).body
    forms = answer["embeddingsByType"]
    assert forms["float"] == answer["embedding"]
    assert set(forms["binary"]) == {0, 1}
    assert dot(forms["float"], forms["float"]) != pytest.approx(1, abs=1e-2)


def test_a_text_over_the_limit_is_refused_with_its_count(fixed, call) -> None:
    with pytest.raises(EmulatedError, match=r"Max input tokens: 8192.*count: 9002"):
        fixed.answer(call({"inputText": "a " * 9_000}, "InvokeModel", TITAN))
    with pytest.raises(EmulatedError, match="maxLength: 50000"):
        fixed.answer(call({"inputText": "a" * 50_001}, "InvokeModel", TITAN))


def test_titan_refuses_members_that_it_does_not_know(fixed, call) -> None:
    with pytest.raises(EmulatedError, match=r"extraneous key \[input\] is not permitted"):
        fixed.answer(call({"inputText": "a", "input": 1}, "InvokeModel", TITAN))
    with pytest.raises(EmulatedError, match="not a valid enum value"):
        fixed.answer(call({"inputText": "a", "dimensions": 300}, "InvokeModel", TITAN))


def test_cohere_s_third_generation_has_one_length(fixed, call) -> None:
    body = {"texts": ["a"], "input_type": "search_query"}
    model = "cohere.embed-english-v3"
    assert len(fixed.answer(call(body, "InvokeModel", model)).body["embeddings"][0]) == 1024
    with pytest.raises(EmulatedError, match=r"extraneous key \[output_dimension\]"):
        fixed.answer(call({**body, "output_dimension": 512}, "InvokeModel", model))


NOVA = "amazon.nova-2-multimodal-embeddings-v1:0"


def nova(text: object = None, **params: object) -> dict[str, object]:
    params = {"embeddingPurpose": "GENERIC_INDEX", "text": {"value": "a"}, **params}
    if text is not None:
        params["text"] = text
    return {"taskType": "SINGLE_EMBEDDING", "singleEmbeddingParams": params}


@pytest.mark.parametrize(
    "legal",
    [
        nova(),
        nova({"value": "a", "truncationMode": "END"}, embeddingPurpose="CLUSTERING"),
        {**nova(), "schemaVersion": "nova-multimodal-embed-v1"},
        nova({"value": "a", "truncationMode": "START"}, embeddingDimension=256.0),
    ],
)
def test_nova_takes_what_its_schema_has(fixed, call, legal) -> None:
    assert fixed.answer(call(legal, "InvokeModel", NOVA)).body["embeddings"][0]["embedding"]


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"singleEmbeddingParams": nova()["singleEmbeddingParams"]}, r"key \[taskType\] not found"),
        ({**nova(), "taskType": "SEGMENTED"}, "taskType: SEGMENTED is not a valid enum"),
        ({**nova(), "schemaVersion": "v2"}, "schemaVersion: v2 is not a valid enum"),
        ({**nova(), "inputText": "a"}, r"extraneous key \[inputText\]"),
        (nova(purpose="x"), r"#/singleEmbeddingParams: extraneous key \[purpose\]"),
        (nova(embeddingPurpose="SEARCH"), "embeddingPurpose: SEARCH is not a valid enum"),
        (nova(embeddingPurpose=None), "embeddingPurpose: None is not a valid enum"),
        (nova({"value": ""}), "text/value: expected minLength: 1"),
        (nova({"value": 0}), "text/value: expected type: string"),
        (nova({"value": "a", "truncationMode": "MIDDLE"}), "truncationMode: MIDDLE is not"),
        (nova({"value": "a", "language": "en"}), r"text: extraneous key \[language\]"),
        (nova({"source": {"s3Location": {}}}), "doesn't support the source field"),
        (nova(image={"format": "png"}), "doesn't support the image field"),
        (nova(embeddingDimension=True), "embeddingDimension: True is not"),
        (nova({"value": "a " * 9_000}), "Input is too long"),
        ({"taskType": "SINGLE_EMBEDDING"}, "singleEmbeddingParams: expected type: object"),
    ],
)
def test_nova_refuses_what_its_schema_has_not(fixed, call, wrong, words) -> None:
    with pytest.raises(EmulatedError, match=words) as refused:
        fixed.answer(call(wrong, "InvokeModel", NOVA))
    assert (refused.value.name, refused.value.status) == ("ValidationException", 400)


def test_a_long_text_is_read_to_its_end(models, call) -> None:
    filler = "The committee met on a Tuesday and discussed the minutes. " * 60
    plain = embed(models, call, filler)
    with_end = embed(models, call, filler + (CAT + " ") * 60)
    cat = embed(models, call, CAT)
    assert dot(with_end, cat) > dot(plain, cat) + 0.2


def test_vectors_are_kept_between_runs(tmp_path, monkeypatch) -> None:
    with closing(MiniLm(tmp_path)) as before:
        first = before.embed(CAT, 384, normalize=True)
    fresh = MiniLm(tmp_path)
    monkeypatch.setattr(fresh, "_compute", lambda text: pytest.fail("was not kept"))
    assert fresh.embed(CAT, 384, normalize=True) == first
    fresh.close()


def test_a_broken_file_of_vectors_is_told_and_done_without(tmp_path, caplog) -> None:
    (tmp_path / "minilm.sqlite").write_bytes(b"this is no database" * 100)
    broken = MiniLm(tmp_path)
    assert len(broken.embed(CAT, 384, normalize=True)) == 384
    assert "embeddings are not kept" in caplog.text


def test_another_model_file_is_not_loaded(monkeypatch) -> None:
    monkeypatch.setattr(minilm_module, "MODEL_SHA256", "0" * 64)
    with pytest.raises(ModelFileError, match="sha256"):
        MiniLm().vector(CAT)


def test_fixed_vectors_depend_on_the_text_alone(fixed, call) -> None:
    a, again, b = (embed(fixed, call, text) for text in (CAT, CAT, KITTEN))
    assert a == again
    assert dot(a, a) == pytest.approx(1)
    assert abs(dot(a, b)) < 0.2


def test_the_fixed_mode_loads_no_model() -> None:
    code = (
        "import sys; from bedrock_emulator.engine import Engine, Call\n"
        "engine = Engine(mode='fixed')\n"
        "assert not {'numpy', 'onnxruntime', 'tokenizers', 'quicktok'} & set(sys.modules)\n"
        "body = {'inputText': 'a'}\n"
        f"engine.answer(Call('InvokeModel', '{TITAN}', '111122223333', 'us-east-1', body))\n"
        "assert not {'numpy', 'onnxruntime', 'tokenizers'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
