"""What goes wrong with CountTokens and ApplyGuardrail, which generate nothing."""

from __future__ import annotations

import time
import urllib.error

import pytest
from botocore.exceptions import ClientError, ReadTimeoutError
from tests.support.emulator import start_emulator

CLAUDE = "anthropic.claude-sonnet-4-5-20250929-v1:0"
HELLO = [{"role": "user", "content": [{"text": "Say hello."}]}]
CONFIG = """
[[accounts]]
id = "111111111111"
[[accounts.credentials]]
access_key_id = "AKIAEXAMPLE"
secret_access_key = "secret"
[[accounts.guardrails]]
id = "gr1strict"
version = "1"
topics = { Investment = ["stocks"] }
"""


def count_tokens(client):
    return client.count_tokens(modelId=CLAUDE, input={"converse": {"messages": HELLO}})


def apply_guardrail(client):
    return client.apply_guardrail(
        guardrailIdentifier="gr1strict",
        guardrailVersion="1",
        source="INPUT",
        content=[{"text": {"text": "on bonds"}}],
    )


CALLS = {"CountTokens": count_tokens, "ApplyGuardrail": apply_guardrail}


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    with start_emulator(tmp_path_factory.mktemp("unbilled"), config=CONFIG) as emulator:
        yield emulator


@pytest.fixture(params=CALLS)
def operation(request, running):
    running.clear_rules()
    return request.param


def add(emulator, operation, **action):
    emulator.rules({"match": {"operation": operation}, "action": action})


def billed(emulator):
    return emulator.bill()["records"]


@pytest.mark.parametrize("kind", ["error", "error_frame"])
@pytest.mark.parametrize("bill", ["full", "emitted", "none", None])
def test_an_error_is_one_whatever_is_billed(running, operation, kind, bill):
    add(running, operation, kind=kind, status=529, code="ModelNotReadyException", bill=bill)
    before = len(billed(running))
    with pytest.raises(ClientError) as caught:
        CALLS[operation](running.client())
    assert caught.value.response["Error"]["Code"] == "ModelNotReadyException"
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 529
    new = billed(running)[before:]
    lost = operation == "ApplyGuardrail" and bill in ("full", "emitted")
    assert [record["error_code"] for record in new] == ["ModelNotReadyException"] * lost


def test_the_first_byte_is_late(running, operation):
    add(running, operation, kind="slow_first_token", delay_ms=400)
    started = time.monotonic()
    CALLS[operation](running.client())
    assert time.monotonic() - started >= 0.4


def test_a_hang(running, operation):
    add(running, operation, kind="hang")
    with pytest.raises(ReadTimeoutError):
        CALLS[operation](running.client(read_timeout=1))


@pytest.mark.parametrize("bill", ["none", None])
@pytest.mark.parametrize("broken", [{"kind": "cut"}, {"kind": "rubbish", "what": "html"}])
def test_an_answer_that_is_broken(running, operation, broken, bill):
    add(running, operation, **broken, bill=bill)
    before = len(billed(running))
    answer = CALLS[operation](running.client())
    assert set(answer) == {"ResponseMetadata"}  # boto3 lets it pass as an empty answer
    assert len(billed(running)) - before == (operation == "ApplyGuardrail" and bill is None)


INVALID = {
    "CountTokens": lambda client: client.count_tokens(
        modelId=CLAUDE, input={"converse": {"messages": []}}
    ),
    "ApplyGuardrail": lambda client: client.apply_guardrail(
        guardrailIdentifier="gr1strict", guardrailVersion="1", source="INPUT", content=[]
    ),
}


def test_a_call_that_is_refused_as_invalid_uses_up_no_rule(running, operation):
    running.rules({"match": {"operation": operation}, "nth": 1, "action": {"kind": "throttle"}})
    codes = []
    for ask in (INVALID[operation], CALLS[operation]):
        with pytest.raises(ClientError) as caught:
            ask(running.client())
        codes.append(caught.value.response["Error"]["Code"])
    assert codes == ["ValidationException", "ThrottlingException"]


@pytest.mark.parametrize(
    "action",
    [
        {"kind": "slow_tokens", "delay_ms": 1},
        {"kind": "stop_on_hangup"},
        {"kind": "usage", "input": 1},
    ],
)
def test_what_would_do_nothing_is_refused_or_does_not_act(running, operation, action):
    with pytest.raises(urllib.error.HTTPError) as caught:
        add(running, operation, **action)
    with caught.value as error:
        assert error.code == 400
        assert f"does nothing to {operation}" in error.read().decode()
    running.rules({"times": 1, "action": action})
    CALLS[operation](running.client())
    [rule] = running.own("GET", "rules")["rules"]
    assert (rule["matched"], rule["acted"]) == (0, 0)
    running.client().converse(modelId=CLAUDE, messages=HELLO)
    [rule] = running.own("GET", "rules")["rules"]
    assert (rule["matched"], rule["acted"]) == (1, 1)
