"""What goes wrong on demand, as unmodified boto3 meets it, and what it costs."""

from __future__ import annotations

import http.client
import json
from contextlib import closing

import pytest
from botocore.eventstream import ChecksumMismatch
from botocore.exceptions import ClientError, EventStreamError, ReadTimeoutError
from tests.support.emulator import eventually

NOVA = "amazon.nova-lite-v1:0"
CLAUDE = "anthropic.claude-sonnet-4-5-20250929-v1:0"
HELLO = [{"role": "user", "content": [{"text": "Say hello."}]}]


def found(records, tagged, key="requestMetadata"):
    return [record for record in records if record.get(key) == tagged]


def bill_of(emulator, tagged, account=None):
    return found(
        emulator.bill((account or emulator.pool).id)["records"], tagged, "request_metadata"
    )


def log_of(emulator, tagged):
    return found(emulator.logged(), tagged)


def full_output(emulator):
    answer = emulator.client().converse(modelId=NOVA, messages=HELLO)
    return answer["usage"]["outputTokens"]


def drain(stream):
    """The events of a stream and the exception that ended it, if one did."""
    events = []
    try:
        for event in stream:
            events.append(event)
    except Exception as error:
        return events, error
    return events, None


@pytest.mark.parametrize(
    ("action", "status", "code"),
    [
        ({"kind": "throttle"}, 429, "ThrottlingException"),
        ({"kind": "error"}, 500, "InternalServerException"),
        (
            {"kind": "error", "status": 503, "code": "ServiceUnavailableException"},
            503,
            "ServiceUnavailableException",
        ),
        (
            {"kind": "error", "status": 408, "code": "ModelTimeoutException"},
            408,
            "ModelTimeoutException",
        ),
        (
            {"kind": "error", "status": 529, "code": "OverloadedException"},
            529,
            "OverloadedException",
        ),
        ({"kind": "error", "status": 499, "code": "ClientClosed"}, 499, "ClientClosed"),
    ],
)
def test_refusals_by_rule_are_logged_and_not_billed(emulator, tagged, action, status, code):
    emulator.rules({"match": {"request_metadata": tagged}, "action": action})
    client = emulator.client()
    for call in (client.converse, client.converse_stream):
        with pytest.raises(ClientError) as caught:
            call(modelId=NOVA, messages=HELLO, requestMetadata=tagged)
        assert caught.value.response["Error"]["Code"] == code
        assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == status
    client.converse(modelId=NOVA, messages=HELLO, requestMetadata={"test": "another"})
    assert bill_of(emulator, tagged) == []
    assert [record["errorCode"] for record in log_of(emulator, tagged)] == [code, code]


def test_an_error_that_was_billed(emulator, tagged):
    action = {"kind": "error", "status": 503, "code": "ServiceUnavailableException", "bill": "full"}
    emulator.rules({"match": {"request_metadata": tagged}, "times": 1, "action": action})
    client = emulator.client()
    with pytest.raises(ClientError):
        client.converse(modelId=NOVA, messages=HELLO, requestMetadata=tagged)
    client.converse(modelId=NOVA, messages=HELLO, requestMetadata=tagged)
    lost, answered = bill_of(emulator, tagged)
    assert lost["usage"] == answered["usage"]
    assert (lost["error_code"], answered["error_code"]) == ("ServiceUnavailableException", None)


def test_the_nth_call_of_one_account(emulator, tagged):
    emulator.rules(
        {
            "match": {"account": emulator.silo.id, "request_metadata": tagged},
            "nth": 2,
            "times": 2,
            "action": {"kind": "throttle", "retry_after_ms": 1500},
        }
    )

    def outcomes(account):
        client = emulator.client(account=account)
        for _ in range(5):
            try:
                client.converse(modelId=NOVA, messages=HELLO, requestMetadata=tagged)
                yield "answered"
            except ClientError as error:
                headers = error.response["ResponseMetadata"]["HTTPHeaders"]
                yield headers["x-amz-retry-after"]

    assert list(outcomes(emulator.silo)) == ["answered", "1500", "1500", "answered", "answered"]
    assert list(outcomes(emulator.pool)) == ["answered"] * 5
    assert len(bill_of(emulator, tagged, emulator.silo)) == 3


def test_error_frame_mid_stream(emulator, tagged):
    action = {"kind": "error_frame", "after_events": 5}
    emulator.rules({"match": {"request_metadata": tagged}, "action": action})
    response = emulator.client().converse_stream(
        modelId=NOVA, messages=HELLO, requestMetadata=tagged
    )
    events, error = drain(response["stream"])
    assert isinstance(error, EventStreamError)
    assert error.response["Error"]["Code"] == "modelStreamErrorException"
    assert len(events) == 5
    [record] = bill_of(emulator, tagged)
    assert 0 < record["usage"]["output"] < full_output(emulator)
    [logged] = log_of(emulator, tagged)
    assert logged["errorCode"] == "ModelStreamErrorException"
    assert logged["output"]["outputTokenCount"] == record["usage"]["output"]


@pytest.mark.parametrize(
    ("code", "converse", "native"),
    [
        ("ThrottlingException", "throttlingException", "throttlingException"),
        ("ModelTimeoutException", "ModelTimeoutException", "modelTimeoutException"),
        ("AccessDeniedException", "AccessDeniedException", "AccessDeniedException"),
    ],
)
def test_an_error_frame_says_its_code_whether_the_stream_models_it(
    emulator, code, converse, native
):
    action = {"kind": "error_frame", "code": code, "message": "that is why", "after_events": 1}
    emulator.rules({"action": action})
    client = emulator.client()
    body = json.dumps({"messages": HELLO})
    streams = (
        (client.converse_stream(modelId=NOVA, messages=HELLO)["stream"], converse),
        (client.invoke_model_with_response_stream(modelId=NOVA, body=body)["body"], native),
    )
    for stream, expected in streams:
        events, error = drain(stream)
        assert len(events) == 1
        assert isinstance(error, EventStreamError)
        assert error.response["Error"] == {"Code": expected, "Message": "that is why"}


@pytest.mark.parametrize("clean", [True, False])
def test_cut_stream_is_billed_up_to_the_cut(emulator, tagged, clean):
    action = {"kind": "cut", "after_events": 8, "clean": clean}
    emulator.rules({"match": {"request_metadata": tagged}, "action": action})
    response = emulator.client().converse_stream(
        modelId=NOVA, messages=HELLO, requestMetadata=tagged
    )
    events, error = drain(response["stream"])
    assert len(events) == 8
    assert "metadata" not in events[-1]
    # A clean cut looks to boto3 like a proper end.
    assert error is None if clean else not isinstance(error, AssertionError)
    [record] = bill_of(emulator, tagged)
    assert 0 < record["usage"]["output"] < full_output(emulator)
    assert log_of(emulator, tagged)[0]["output"]["outputTokenCount"] == record["usage"]["output"]


def test_cut_answer_is_billed_in_full(emulator, tagged):
    emulator.rules({"match": {"request_metadata": tagged}, "action": {"kind": "cut"}})
    # boto3 takes half a body for an empty answer, without a word: a gateway must look closer.
    answer = emulator.client().converse(modelId=NOVA, messages=HELLO, requestMetadata=tagged)
    assert "output" not in answer
    body = json.dumps({"messages": HELLO}).encode()
    headers = {"Authorization": f"Bearer {emulator.pool.bearer_key}"}
    emulator.rules({"action": {"kind": "cut"}})
    address = emulator.url.removeprefix("http://")
    with closing(http.client.HTTPConnection(address, timeout=30)) as connection:
        connection.request("POST", "/model/amazon.nova-lite-v1%3A0/converse", body, headers)
        response = connection.getresponse()
        with pytest.raises((http.client.IncompleteRead, ConnectionResetError)):
            response.read()
    emulator.clear_rules()
    [record] = bill_of(emulator, tagged)
    assert record["usage"]["output"] == full_output(emulator)


def test_hang_is_billed_although_the_client_times_out(emulator, tagged):
    emulator.rules({"match": {"request_metadata": tagged}, "action": {"kind": "hang"}})
    client = emulator.client(read_timeout=1)
    with pytest.raises(ReadTimeoutError):
        client.converse(modelId=NOVA, messages=HELLO, requestMetadata=tagged)
    [record] = bill_of(emulator, tagged)
    assert record["usage"]["output"] == full_output(emulator)


def test_hang_mid_stream(emulator, tagged):
    action = {"kind": "hang", "after_events": 4, "bill": "none"}
    emulator.rules({"match": {"request_metadata": tagged}, "action": action})
    client = emulator.client(read_timeout=2)
    response = client.converse_stream(modelId=NOVA, messages=HELLO, requestMetadata=tagged)
    events, error = drain(response["stream"])
    assert len(events) == 4
    assert error is not None
    assert bill_of(emulator, tagged) == []
    assert log_of(emulator, tagged)[0]["errorCode"] == "InternalServerException"


@pytest.mark.parametrize("stops", [False, True])
def test_hangup_of_the_client(emulator, tagged, stops):
    match = {"request_metadata": tagged}
    emulator.rules({"match": match, "action": {"kind": "slow_tokens", "delay_ms": 30}})
    if stops:
        emulator.rules({"match": match, "action": {"kind": "stop_on_hangup"}})
    response = emulator.client().converse_stream(
        modelId=NOVA, messages=HELLO, requestMetadata=tagged
    )
    stream = response["stream"]
    for _, _event in zip(range(6), stream, strict=False):
        pass
    stream.close()
    [record] = eventually(lambda: bill_of(emulator, tagged))
    full = full_output(emulator)
    if stops:
        assert 0 < record["usage"]["output"] < full
    else:
        assert record["usage"]["output"] == full
    [logged] = log_of(emulator, tagged)
    assert logged["output"]["outputTokenCount"] == record["usage"]["output"]
    assert logged["requestId"] == record["request_id"]


@pytest.mark.parametrize("what", ["html", "not_json", "truncated_json", "bad_crc"])
def test_rubbish(emulator, tagged, what):
    action = {"kind": "rubbish", "what": what}
    emulator.rules({"match": {"request_metadata": tagged}, "action": action})
    client = emulator.client()
    whole = client.converse(modelId=NOVA, messages=HELLO, requestMetadata=tagged)
    assert set(whole) == {"ResponseMetadata"}  # boto3 lets it pass as an empty answer
    response = client.converse_stream(modelId=NOVA, messages=HELLO, requestMetadata=tagged)
    events, error = drain(response["stream"])
    if what in ("html", "bad_crc"):
        assert isinstance(error, ChecksumMismatch)
    else:
        assert {} in [next(iter(event.values())) for event in events]
    full = full_output(emulator)
    assert [record["usage"]["output"] for record in bill_of(emulator, tagged)] == [full] * 2


@pytest.mark.parametrize(
    "usage", [None, {"inputTokens": -1}, {"inputTokens": 1, "outputTokens": 9}]
)
def test_usage_that_lies(emulator, tagged, usage):
    action = {"kind": "rubbish", "what": "usage", "usage": usage}
    emulator.rules({"match": {"request_metadata": tagged}, "action": action})
    client = emulator.client()
    whole = client.converse(modelId=NOVA, messages=HELLO, requestMetadata=tagged)
    streamed = client.converse_stream(modelId=NOVA, messages=HELLO, requestMetadata=tagged)
    last = list(streamed["stream"])[-1]["metadata"]
    native = client.invoke_model_with_response_stream(
        modelId=CLAUDE,
        body=json.dumps(
            {
                "anthropic_version": "bedrock-2023-05-31",
                "max_tokens": 99,
                "messages": [{"role": "user", "content": "hi"}],
            }
        ),
        requestMetadata=json.dumps(tagged),
    )
    chunk = json.loads(list(native["body"])[-1]["chunk"]["bytes"])
    assert whole.get("usage") == usage
    assert last.get("usage") == usage
    assert chunk.get("amazon-bedrock-invocationMetrics") == usage
    assert len(bill_of(emulator, tagged)) == 3


@pytest.mark.parametrize(
    "rule",
    [
        {},
        {"action": {"kind": "explode"}},
        {"action": {"kind": "throttle", "delay_ms": 5}},
        {"action": {"kind": "throttle"}, "typo": 1},
        {"action": {"kind": "throttle"}, "match": {"tenant": "x"}},
        {"action": {"kind": "throttle"}, "probability": 2},
        {"action": {"kind": "throttle"}, "nth": 0},
        {"action": {"kind": "error", "status": 200}},
        {"action": {"kind": "slow_tokens", "delay_ms": -1}},
        {"action": {"kind": "cut", "bill": "half"}},
        {"action": {"kind": "error", "code": "A\r\nX-Evil: 1"}},
        {"action": {"kind": "error", "code": ""}},
        {"action": {"kind": "error_frame", "code": "A" * 129}},
        {"action": {"kind": "error_frame", "message": "a" * 8_001}},
        "throttle",
    ],
)
def test_rules_with_a_mistake_are_refused_whole(emulator, rule):
    import urllib.error

    good = {"action": {"kind": "slow_tokens", "delay_ms": 1}}
    with pytest.raises(urllib.error.HTTPError) as caught:
        emulator.rules(good, rule)
    with caught.value as error:
        assert error.code == 400
    assert emulator.own("GET", "rules") == {"rules": []}


def test_a_seed_repeats_itself(emulator, tagged):
    rule = {
        "match": {"request_metadata": tagged},
        "probability": 0.5,
        "seed": 11,
        "action": {"kind": "throttle"},
    }
    client = emulator.client()

    def run():
        emulator.clear_rules()
        emulator.rules(rule)
        for _ in range(12):
            try:
                client.converse(modelId=NOVA, messages=HELLO, requestMetadata=tagged)
                yield True
            except ClientError:
                yield False

    first = list(run())
    assert set(first) == {True, False}
    assert list(run()) == first


def test_stats_count_each_attempt_of_an_invocation(emulator, tagged):
    rule = {"match": {"request_metadata": tagged}, "times": 2, "action": {"kind": "error"}}
    emulator.rules(rule)
    client = emulator.client(retries={"total_max_attempts": 3, "mode": "standard"})
    response = client.converse(modelId=NOVA, messages=HELLO, requestMetadata=tagged)
    [record] = bill_of(emulator, tagged)
    stats = emulator.own("GET", "stats")
    assert response["ResponseMetadata"]["RetryAttempts"] == 2
    assert stats["invocation_ids"][record["invocation_id"]] == 3
    assert stats["requests"]["Converse"] >= 3
    assert stats["open_streams"] == 0
