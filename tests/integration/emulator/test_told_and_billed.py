"""What broken answers tell of their usage, and what they cost; which calls no rule counts."""

from __future__ import annotations

import contextlib
import json

import pytest
from botocore.exceptions import ClientError, HTTPClientError

NOVA = "amazon.nova-lite-v1:0"
CLAUDE = "anthropic.claude-sonnet-4-5-20250929-v1:0"
TITAN = "amazon.titan-embed-text-v2:0"
LLAMA = "meta.llama3-1-8b-instruct-v1:0"
QWEN = "qwen.qwen3-32b-v1:0"
HELLO = [{"role": "user", "content": [{"text": "Say hello."}]}]
OF_CLAUDE = {"anthropic_version": "bedrock-2023-05-31", "max_tokens": 99}
NATIVE = {
    CLAUDE: {**OF_CLAUDE, "messages": [{"role": "user", "content": "hi"}]},
    NOVA: {"messages": HELLO},
    LLAMA: {"prompt": "hi"},
    QWEN: {"messages": [{"role": "user", "content": "hi"}]},
    TITAN: {"inputText": "hi"},
}
LIE = {"prompt_token_count": 7, "inputTextTokenCount": 7}


def billed(emulator, tagged):
    records = emulator.bill(emulator.pool.id)["records"]
    return [record for record in records if record["request_metadata"] == tagged]


@pytest.mark.parametrize(
    ("action", "share"),
    [
        ({"kind": "error"}, 0),
        ({"kind": "error_frame"}, 0),
        ({"kind": "hang", "for_ms": 0}, 0),
        ({"kind": "rubbish", "what": "html"}, 0),
        ({"kind": "rubbish", "what": "truncated_json"}, 0.5),
        ({"kind": "cut"}, 0.5),
        ({"kind": "rubbish", "what": "usage"}, 1),
    ],
)
def test_of_a_whole_answer_what_was_sent_is_billed(emulator, tagged, action, share):
    match = {"request_metadata": tagged}
    emulator.rules({"match": match, "action": {**action, "bill": "emitted"}})
    with contextlib.suppress(ClientError, HTTPClientError):
        emulator.client().converse(modelId=NOVA, messages=HELLO, requestMetadata=tagged)
    emulator.clear_rules()
    full = emulator.client().converse(modelId=NOVA, messages=HELLO)["usage"]["outputTokens"]
    [record] = billed(emulator, tagged)
    assert record["usage"]["output"] == int(full * share)
    assert record["usage"]["input"] > 0


def counts(document):
    """Every count of tokens in a document, by its member."""
    found = []
    for name, value in document.items():
        if isinstance(value, dict):
            found += counts(value)
        elif "token" in name.lower() and isinstance(value, int):
            found.append((name, value))
    return found


@pytest.mark.parametrize("usage", [None, LIE])
@pytest.mark.parametrize(("model", "body"), NATIVE.items(), ids=list(NATIVE))
def test_a_native_usage_that_lies_is_the_only_one_told(emulator, tagged, usage, model, body):
    action = {"kind": "rubbish", "what": "usage", "usage": usage}
    emulator.rules({"match": {"request_metadata": tagged}, "action": action})
    client = emulator.client()
    asked = {"modelId": model, "body": json.dumps(body), "requestMetadata": json.dumps(tagged)}
    response = client.invoke_model(**asked)
    documents = [json.loads(response["body"].read())]
    assert not [n for n in response["ResponseMetadata"]["HTTPHeaders"] if "token-count" in n]
    if model != TITAN:
        streamed = client.invoke_model_with_response_stream(**asked)
        documents += [json.loads(event["chunk"]["bytes"]) for event in streamed["body"]]
    told = [count for document in documents for count in counts(document)]
    assert set(told) <= (set() if usage is None else set(LIE.items()))
    assert bool(told) == (usage is not None)
    assert all(record["usage"]["input"] > 0 for record in billed(emulator, tagged))


def test_a_call_that_is_refused_as_invalid_uses_up_no_rule(emulator, tagged):
    match = {"request_metadata": tagged}
    emulator.rules({"match": match, "nth": 1, "action": {"kind": "throttle"}})
    client = emulator.client()
    bad = [{"role": "assistant", "content": [{"text": "hi"}]}]
    codes = []
    for messages in (bad, HELLO):
        with pytest.raises(ClientError) as caught:
            client.converse(modelId=NOVA, messages=messages, requestMetadata=tagged)
        codes.append(caught.value.response["Error"]["Code"])
    assert codes == ["ValidationException", "ThrottlingException"]
    client.converse(modelId=NOVA, messages=HELLO, requestMetadata=tagged)
