"""The invocation log: found by the request id that the caller saw, with the counts it was told."""

from __future__ import annotations

NOVA = "amazon.nova-lite-v1:0"


def test_the_request_id_joins_answer_and_log(target):
    answer = target.client("bedrock-runtime").converse(
        modelId=NOVA,
        messages=[{"role": "user", "content": [{"text": "Say hello."}]}],
        inferenceConfig={"maxTokens": 20},
        requestMetadata={"conformance": "join"},
    )
    record = target.logged(answer["ResponseMetadata"]["RequestId"])
    assert record["schemaType"] == "ModelInvocationLog"
    assert (record["operation"], record["modelId"]) == ("Converse", NOVA)
    assert record["region"] == target.region
    assert record["requestMetadata"] == {"conformance": "join"}
    assert record["input"]["inputTokenCount"] == answer["usage"]["inputTokens"]
    assert record["output"]["outputTokenCount"] == answer["usage"]["outputTokens"]
    assert record["identity"]["arn"].startswith("arn:aws")
