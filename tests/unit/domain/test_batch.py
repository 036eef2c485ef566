"""Records of a batch: written, read back, and never taken for another's."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenantry.domain.batch import (
    BUCKET_PATTERN,
    ROLE_PATTERN,
    Answered,
    Failed,
    input_lines,
    read_record,
    record_id,
    records_uri,
)
from tenantry.domain.errors import BadRequest
from tenantry.domain.normalise import Normalised, Quarantined
from tenantry.domain.usage import TokenClass, Usage

CLASS = TokenClass.CACHE_WRITE_5M


def read(document: object, operation: str = "Converse", family: str = "anthropic") -> Any:
    return read_record(json.dumps(document).encode(), operation, family, CLASS)


@given(st.lists(st.dictionaries(st.text(max_size=5), st.text(max_size=20), max_size=3), max_size=5))
def test_the_nth_line_is_the_nth_call(bodies: list[dict[str, str]]) -> None:
    lines = input_lines(bodies).decode().split("\n")[:-1]
    records = [json.loads(line) for line in lines]
    assert [record["recordId"] for record in records] == [record_id(n) for n in range(len(bodies))]
    assert [record["modelInput"] for record in records] == bodies
    assert all(len(record["recordId"]) == 11 for record in records)


@pytest.mark.parametrize("odd", [float("nan"), float("inf"), "\ud83d", {"\udc00": 1}])
def test_no_line_is_written_that_is_not_json(odd: object) -> None:
    with pytest.raises(BadRequest, match="record 2: "):
        input_lines([{}, {"prompt": odd}, {}])


def test_an_answer_tells_its_usage_in_both_shapes() -> None:
    usage = {"inputTokens": 7, "outputTokens": 3, "totalTokens": 10}
    found = read({"recordId": record_id(5), "modelOutput": {"usage": usage}})
    assert isinstance(found, Answered) and found.call == 5
    assert isinstance(found.reading, Normalised) and found.reading.usage == Usage(
        uncached_in=7, out=3
    )
    native = {"usage": {"input_tokens": 7, "output_tokens": 3}}
    found = read({"recordId": record_id(6), "modelOutput": native}, "InvokeModel")
    assert found.reading.usage == Usage(uncached_in=7, out=3)
    titan = {"inputTextTokenCount": 9, "embedding": [0.1]}
    found = read({"recordId": record_id(7), "modelOutput": titan}, "InvokeModel", "titan_embed")
    assert found.reading.usage == Usage(embedding=9)


def test_an_answer_without_usage_is_not_free() -> None:
    for output in ({}, None, [], {"usage": {}}, {"usage": {"inputTokens": 1}}):
        found = read({"recordId": record_id(1), "modelOutput": output})
        assert isinstance(found, Answered) and isinstance(found.reading, Quarantined)


def test_a_failure_and_what_is_none_of_ours() -> None:
    assert read({"recordId": record_id(3), "error": {"errorCode": 400}}) == Failed(3, "400")
    assert read({"recordId": record_id(3), "error": "odd"}) == Failed(3, "None")
    for other in ({"recordId": "R12"}, {"recordId": "X0000000001"}, {}, [], 5, {"recordId": 5}):
        assert read(other) is None
    assert read_record(b"{", "Converse", "anthropic", CLASS) is None
    assert read_record(b"[" * 100_000, "Converse", "anthropic", CLASS) is None


def test_where_bedrock_writes() -> None:
    arn = "arn:aws:bedrock:us-east-1:111111111111:model-invocation-job/abc"
    assert records_uri("s3://b/p/", arn, "s3://b/p/in.jsonl") == "s3://b/p/abc/in.jsonl.out"


def test_what_a_placement_may_name() -> None:
    for good in ("s3://bucket-1/jobs", "s3://bucket.name", "s3://abc/a/b/c"):
        assert re.match(BUCKET_PATTERN, good)
    for bad in ("s3://b", "file:///x", "s3://bucket/../x\n", "s3://Bucket/x", "s3://bucket//x"):
        assert not re.match(BUCKET_PATTERN, bad)
    assert re.match(ROLE_PATTERN, "arn:aws:iam::111111111111:role/service/batches")
    assert not re.match(ROLE_PATTERN, "arn:aws:iam::1:role/x")
