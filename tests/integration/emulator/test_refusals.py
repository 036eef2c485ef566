"""Every refusal has Bedrock's status, name, message and headers, as boto3 surfaces them."""

from __future__ import annotations

import json
import urllib.error
import urllib.request

import pytest
from botocore.exceptions import ClientError
from tests.support.emulator import start_emulator
from tests.support.images import png

NOVA = "amazon.nova-lite-v1:0"
HELLO = [{"role": "user", "content": [{"text": "Say hello."}]}]


def refusal(call, **arguments) -> tuple[int, str, str]:
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    response = caught.value.response
    assert response["ResponseMetadata"]["RequestId"]
    error = response["Error"]
    return response["ResponseMetadata"]["HTTPStatusCode"], error["Code"], error["Message"]


@pytest.mark.parametrize("name", ["pool", "silo"])
def test_wrong_secret_and_unknown_key(emulator, name):
    from dataclasses import replace

    account = getattr(emulator, name)
    wrong = emulator.client(account=replace(account, secret_access_key="wrong"))
    status, code, message = refusal(wrong.converse, modelId=NOVA, messages=HELLO)
    assert (status, code) == (403, "InvalidSignatureException")
    assert message.startswith("The request signature we calculated does not match")
    unknown = emulator.client(account=replace(account, access_key_id="AKIAUNKNOWN"))
    assert refusal(unknown.converse, modelId=NOVA, messages=HELLO) == (
        403,
        "UnrecognizedClientException",
        "The security token included in the request is invalid.",
    )


def test_a_region_that_the_account_does_not_serve(emulator):
    client = emulator.client(region="ap-southeast-2")
    assert refusal(client.converse, modelId=NOVA, messages=HELLO) == (
        403,
        "InvalidSignatureException",
        "Credential should be scoped to a valid region.",
    )


def test_unknown_model(emulator):
    client = emulator.client()
    for call in (client.converse, client.converse_stream):
        assert refusal(call, modelId="no.such-model-v1:0", messages=HELLO) == (
            400,
            "ValidationException",
            "The provided model identifier is invalid.",
        )


def test_session_credentials_and_their_end(emulator):
    from dataclasses import replace

    def session(duration_s):
        made = emulator.own(
            "POST", "sessions", {"account": emulator.silo.id, "duration_s": duration_s}
        )
        return made, replace(
            emulator.silo,
            access_key_id=made["access_key_id"],
            secret_access_key=made["secret_access_key"],
            session_token=made["session_token"],
        )

    made, account = session(900)
    answer = emulator.client(account=account).converse(modelId=NOVA, messages=HELLO)
    [record] = [
        r
        for r in emulator.logged(emulator.silo)
        if r["requestId"] == answer["ResponseMetadata"]["RequestId"]
    ]
    assert record["identity"]["arn"] == made["arn"]
    _, expired = session(-1)
    client = emulator.client(account=expired)
    assert refusal(client.converse, modelId=NOVA, messages=HELLO)[:2] == (
        403,
        "ExpiredTokenException",
    )


def raw(emulator, method, path, body=b"{}", headers=None, bearer=True):
    sent = {"Content-Type": "application/json", **(headers or {})}
    if bearer:
        sent["Authorization"] = f"Bearer {emulator.pool.bearer_key}"
    request = urllib.request.Request(emulator.url + path, body, sent, method=method)
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=30) as response:
            return response.status, dict(response.headers), json.loads(response.read())
    except urllib.error.HTTPError as error:
        with error:
            return error.code, dict(error.headers), json.loads(error.read())


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/model/x/unknown"),
        ("GET", "/model/x/converse"),
        ("POST", "/model/x/converse/"),
        ("POST", "/model/arn:aws:bedrock:us-east-1:1:inference-profile/x/converse"),
        ("POST", "/"),
        ("GET", "/_emulator/nothing"),
        ("POST", "/logging/modelinvocations"),
    ],
)
def test_unknown_operations(emulator, method, path):
    status, headers, body = raw(emulator, method, path)
    assert status == 404
    assert headers["x-amzn-ErrorType"] == (
        "UnknownOperationException:http://internal.amazon.com/coral/com.amazon.bedrock/"
    )
    assert set(body) == {"message"}


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b"null", b'"x"', b"\xff", b'{"a": NaN}', b'{"a": "\\ud800"}']
)
def test_bodies_that_are_not_json_objects(emulator, body):
    for operation in ("converse", "converse-stream", "count-tokens"):
        status, headers, _ = raw(
            emulator, "POST", f"/model/amazon.nova-lite-v1%3A0/{operation}", body
        )
        assert status == 400
        assert headers["x-amzn-ErrorType"].startswith("SerializationException:")
    status, _, answer = raw(emulator, "POST", "/model/amazon.nova-lite-v1%3A0/invoke", body)
    assert status == 400
    assert answer["message"].startswith("Malformed input request")


@pytest.mark.parametrize(
    "metadata",
    [
        "[]",
        "{",
        "{}",
        '{"a": 1}',
        '{"": "x"}',
        '{"a": "<"}',
        json.dumps({"a": "x" * 257}),
        "9" * 9000,
    ],
)
def test_request_metadata_of_native_calls(emulator, metadata):
    status, headers, _ = raw(
        emulator,
        "POST",
        "/model/amazon.titan-embed-text-v2%3A0/invoke",
        b'{"inputText": "x"}',
        {"X-Amzn-Bedrock-Request-Metadata": metadata},
    )
    assert status == 400
    assert headers["x-amzn-ErrorType"].startswith("ValidationException:")


def test_no_credentials(emulator):
    status, headers, body = raw(
        emulator, "POST", "/model/amazon.nova-lite-v1%3A0/converse", bearer=False
    )
    assert status == 403
    assert headers["x-amzn-ErrorType"].startswith("MissingAuthenticationTokenException:")
    assert body == {"message": "Missing Authentication Token"}


def test_own_endpoints_are_closed_to_web_pages(emulator):
    status, _, _ = raw(emulator, "GET", "/_emulator/bill", None, {"Origin": "http://evil.test"})
    assert status == 403


GUARDED = """
[[accounts]]
id = "333333333333"
[[accounts.credentials]]
access_key_id = "AKIAFIRST"
secret_access_key = "first"
bearer_key = "first"
[[accounts.guardrails]]
id = "gr1"
version = "1"
topics = { Investment = ["stocks"] }
"""
APPLY = "/guardrail/gr1/version/1/apply"
ASKED = {
    "source": "INPUT",
    "content": [
        {"text": {"text": "stocks", "qualifiers": ["guard_content"]}},
        {"image": {"format": "png", "source": {"bytes": png()}}},
    ],
    "outputScope": "FULL",
}
WRONG = (None, True, 1, "x", [], {})


def wrong_ones(node):
    """The document with each of its members and items replaced by what it cannot be."""
    yield from (value for value in WRONG if type(value) is not type(node))
    for key, value in node.items() if isinstance(node, dict) else enumerate(node):
        if isinstance(value, dict | list):
            inner = wrong_ones(value)
        else:
            inner = (other for other in WRONG if type(other) is not type(value))
        for changed in inner:
            copied = node.copy()
            copied[key] = changed
            yield copied


def test_a_guardrail_is_applied_to_nothing_that_is_malformed(tmp_path):
    with start_emulator(tmp_path, config=GUARDED, mode="fixed") as emulator:
        for body in wrong_ones(ASKED):
            status, headers, answer = raw(emulator, "POST", APPLY, json.dumps(body).encode())
            if status == 200:  # null is as if left out, and a text may have no qualifier
                assert answer["action"] == "GUARDRAIL_INTERVENED"
                continue
            assert (status, bool(answer["message"])) == (400, True), body
            assert headers["x-amzn-ErrorType"].startswith("ValidationException:")
        wrong = {**ASKED, "content": [{"text": {"text": "stocks", "qualifiers": True}}]}
        status, _, answer = raw(emulator, "POST", APPLY, json.dumps(wrong).encode())
        assert status == 400
        assert answer["message"].endswith("content/0/text/qualifiers: expected type: array")


def test_what_is_refused_is_not_billed(emulator):
    """Nor is it counted against a quota, whoever sends it."""
    content = [{"text": "What is that?"}, {"image": {"format": "png", "source": {"bytes": b"no"}}}]
    messages = [{"role": "user", "content": content}]
    billed = len(emulator.bill()["records"])
    for account in (emulator.pool, emulator.silo):
        client = emulator.client(account=account)
        for call in (client.converse, client.converse_stream):
            status, code, message = refusal(call, modelId=NOVA, messages=messages)
            assert (status, code) == (400, "ValidationException")
            assert message.endswith("Could not process image")
    assert len(emulator.bill()["records"]) == billed


QUOTAS = """
[[accounts]]
id = "333333333333"
[[accounts.credentials]]
access_key_id = "AKIAFIRST"
secret_access_key = "first"
[[accounts.quotas]]
model = "amazon.nova-lite*"
requests_per_minute = 2
[[accounts.quotas]]
model = "amazon.nova-pro*"
tokens_per_minute = 500

[[accounts]]
id = "444444444444"
[[accounts.credentials]]
access_key_id = "AKIASECOND"
secret_access_key = "second"
"""


def test_quotas_throttle_one_account_and_model_only(tmp_path):
    pro = "amazon.nova-pro-v1:0"
    with start_emulator(tmp_path, config=QUOTAS) as emulator:
        first, second = (emulator.client(account=account) for account in emulator.accounts)
        for _ in range(2):
            first.converse(modelId=NOVA, messages=HELLO)
        assert refusal(first.converse, modelId=NOVA, messages=HELLO) == (
            429,
            "ThrottlingException",
            "Too many requests, please wait before trying again.",
        )
        second.converse(modelId=NOVA, messages=HELLO)
        small = {"maxTokens": 100}
        assert refusal(first.converse, modelId=pro, messages=HELLO) == (
            429,
            "ThrottlingException",
            "Too many tokens, please wait before trying again.",
        )
        # What was not used of max_tokens comes back, else the fifth call would be throttled.
        for _ in range(6):
            first.converse(modelId=pro, messages=HELLO, inferenceConfig=small)
        codes = [r.get("errorCode") for r in emulator.logged(emulator.accounts[0])]
        assert codes.count("ThrottlingException") == 2
        totals = emulator.bill()["totals"]
        assert totals["333333333333"]["invocations"] == 8
        assert totals["444444444444"]["invocations"] == 1
