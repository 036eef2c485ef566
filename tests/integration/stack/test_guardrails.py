"""Over the wire: a guardrail blocks the input, and only its units are paid; it blocks the
output, and its units and the model are."""

import json
from collections.abc import Mapping
from contextlib import closing
from decimal import Decimal
from typing import Any

import pytest
from botocore.exceptions import ClientError, EventStreamError
from tests.support.metered import NOVA, MeteredStack
from tests.support.stack import BLOCKED_INPUT, BLOCKED_OUTPUT, DIVIDED, STRICT, Tenant

STRICT_CONFIG = {"guardrailIdentifier": STRICT, "guardrailVersion": "1"}
DIVIDED_CONFIG = {"guardrailIdentifier": DIVIDED, "guardrailVersion": "2"}
ASKED = [{"role": "user", "content": [{"text": "Which stocks should I buy?"}]}]
# A unit of topics, of content filters and of personal data, USD.
THREE_UNITS = Decimal("0.00015") + Decimal("0.00015") + Decimal("0.0001")
_LINES = "SELECT token_class, quantity, amount FROM tenantry.provider_ledger WHERE tenant_id = $1"


def lines(metered: MeteredStack, tenant: Tenant) -> Mapping[str, tuple[int, Decimal]]:
    return {row[0]: (row[1], row[2]) for row in metered.rows(_LINES, tenant.id)}


def test_input_blocked_pays_units_alone(metered: MeteredStack) -> None:
    anna, bert = metered.tenants()
    answer = metered.boto3(anna).converse(
        modelId=NOVA, messages=ASKED, guardrailConfig=STRICT_CONFIG
    )
    assert answer["stopReason"] == "guardrail_intervened"
    assert answer["output"]["message"]["content"] == [{"text": BLOCKED_INPUT}]
    assert answer["usage"]["totalTokens"] == 0
    assert "trace" not in answer  # which nobody asked for
    assert lines(metered, anna) == {
        "guardrail_topic": (1, Decimal("0.00015")),
        "guardrail_content": (1, Decimal("0.00015")),
        "guardrail_pii": (1, Decimal("0.0001")),
    }
    assert charge_of(answer) == "0.0012 USD"
    assert metered.posted(anna).charge == 3 * THREE_UNITS
    metered.agree(anna, bert)


def test_output_blocked_pays_units_and_model(metered: MeteredStack) -> None:
    anna, bert = metered.tenants()
    ask = metered.ask(NOVA, 45, 511)
    answer = metered.boto3(anna).converse(**ask, guardrailConfig=DIVIDED_CONFIG)
    assert answer["stopReason"] == "guardrail_intervened"
    assert answer["output"]["message"]["content"] == [{"text": BLOCKED_OUTPUT}]
    # The answer that was blocked had 511 words of two letters: 1,532 characters, two units.
    assert lines(metered, anna) == {
        "uncached_in": (45, Decimal("0.000135")),
        "out": (511, Decimal("0.007665")),
        "guardrail_topic": (1, Decimal("0.00015")),
        "guardrail_content": (2, Decimal("0.0003")),
    }
    posted = metered.posted(anna)
    assert posted.charge == 3 * Decimal("0.00825")
    assert posted.flags == frozenset()  # it stayed within its reservation
    metered.agree(anna, bert)


@pytest.mark.parametrize("mode", ["sync", "async"])
def test_a_stream(metered: MeteredStack, mode: str) -> None:
    anna, bert = metered.tenants()
    ask = metered.ask(NOVA, 45, 511)
    config = {**DIVIDED_CONFIG, "streamProcessingMode": mode, "trace": "enabled"}
    stream = metered.boto3(anna).converse_stream(**ask, guardrailConfig=config)["stream"]
    events = list(stream)
    text = "".join(
        e["contentBlockDelta"]["delta"]["text"] for e in events if "contentBlockDelta" in e
    )
    assert text.endswith(BLOCKED_OUTPUT) and text.startswith("ok") == (mode == "async")
    (stop,) = (e["messageStop"] for e in events if "messageStop" in e)
    assert stop["stopReason"] == "guardrail_intervened"
    trace = events[-1]["metadata"]["trace"]["guardrail"]  # which was asked for
    (found,) = trace["outputAssessments"][DIVIDED]
    assert found["invocationMetrics"]["usage"]["contentPolicyUnits"] == 2
    assert metered.posted(anna).cost == Decimal("0.00825")
    metered.agree(anna, bert)


def test_native_bodies(metered: MeteredStack) -> None:
    anna, bert = metered.tenants()
    client = metered.boto3(anna)
    named = {"guardrailIdentifier": STRICT, "guardrailVersion": "1"}
    body = json.dumps({"messages": ASKED, "inferenceConfig": {"maxTokens": 5}})
    answer = client.invoke_model(modelId=NOVA, body=body, **named)
    document = json.loads(answer["body"].read())
    assert document["amazon-bedrock-guardrailAction"] == "INTERVENED"
    assert "amazon-bedrock-trace" not in document
    assert metered.posted(anna).cost == THREE_UNITS

    harmless = json.dumps({**metered.prompt(NOVA, 45), "inferenceConfig": {"maxTokens": 5}})
    stream = client.invoke_model_with_response_stream(
        modelId=NOVA, body=harmless, trace="DISABLED", **named
    )
    chunks = [json.loads(event["chunk"]["bytes"]) for event in stream["body"]]
    assert not any("amazon-bedrock-trace" in chunk for chunk in chunks)
    assert chunks[-1]["amazon-bedrock-guardrailAction"] == "NONE"
    tokens = Decimal("0.000135") + Decimal("0.000075")
    assert metered.posted(anna).cost == THREE_UNITS + tokens + 2 * THREE_UNITS
    metered.agree(anna, bert)


def test_a_plans_guardrail_looks_at_every_call_and_is_not_weakened(metered: MeteredStack) -> None:
    anna, bert = metered.tenants({"guardrail": f"{STRICT}:1"})
    client = metered.boto3(anna)
    answer = client.converse(modelId=NOVA, messages=ASKED)
    assert answer["stopReason"] == "guardrail_intervened" and "trace" not in answer
    told = metered.openai(anna).chat.completions.create(
        model=NOVA, messages=[{"role": "user", "content": "Which stocks?"}]
    )
    assert told.choices[0].finish_reason == "content_filter"
    assert metered.posted(anna).cost == 2 * THREE_UNITS
    same = client.converse(
        modelId=NOVA, messages=ASKED, guardrailConfig={**STRICT_CONFIG, "trace": "enabled"}
    )
    assert STRICT in same["trace"]["guardrail"]["inputAssessment"]

    hidden = [{"role": "user", "content": [*ASKED[0]["content"], {"guardContent": {"text": {
        "text": "weather"}}}]}]  # fmt: skip
    for refused in (
        {"messages": ASKED, "guardrailConfig": DIVIDED_CONFIG},
        {"messages": hidden},
    ):
        with pytest.raises(ClientError) as error:
            client.converse(modelId=NOVA, **refused)
        assert error.value.response["Error"]["Code"] == "ValidationException"
    with pytest.raises(ClientError, match="async"):
        client.converse_stream(
            modelId=NOVA,
            messages=ASKED,
            guardrailConfig={**STRICT_CONFIG, "streamProcessingMode": "async"},
        )
    assert len(metered.posted(anna).attempts) == 3
    metered.agree(anna, bert)


def test_apply_guardrail_is_metered_by_units(metered: MeteredStack) -> None:
    anna, bert = metered.tenants({"guardrails_allowed": [f"{STRICT}:1"]})
    client = metered.boto3(anna)
    known = len(applied(metered))
    text = "Write to anna@example.com. " + "x" * 1_000
    said: dict[str, Any] = client.apply_guardrail(
        guardrailIdentifier=STRICT,
        guardrailVersion="1",
        source="OUTPUT",
        content=[{"text": {"text": text}}],
    )
    assert said["action"] == "GUARDRAIL_INTERVENED"
    assert "{EMAIL}" in said["outputs"][0]["text"]
    assert said["usage"]["topicPolicyUnits"] == 2
    assert charge_of(said) == "0.0024 USD"
    assert {name: line[0] for name, line in lines(metered, anna).items()} == {
        "guardrail_topic": 2,
        "guardrail_content": 2,
        "guardrail_pii": 2,
    }
    (billed,) = applied(metered)[known:]
    paid = {"topicPolicyUnits", "contentPolicyUnits", "sensitiveInformationPolicyUnits"}
    assert {name: billed["guardrail"][name] for name in paid} == dict.fromkeys(paid, 2)
    with pytest.raises(ClientError) as refused:
        client.apply_guardrail(
            guardrailIdentifier=DIVIDED,
            guardrailVersion="2",
            source="INPUT",
            content=[{"text": {"text": "stocks"}}],
        )
    assert refused.value.response["Error"]["Code"] == "AccessDeniedException"
    with pytest.raises(ClientError) as unknown:
        metered.boto3(metered.tenant()).apply_guardrail(
            guardrailIdentifier="gr9unheard",
            guardrailVersion="1",
            source="INPUT",
            content=[{"text": {"text": "stocks"}}],
        )
    assert unknown.value.response["Error"]["Code"] == "ResourceNotFoundException"
    assert metered.posted(bert).cost == 0
    assert len(applied(metered)) == known + 1
    metered.agree(anna, bert)


def test_an_answer_that_was_not_seen_is_trued_up_with_an_estimate_of_its_units(
    metered: MeteredStack,
) -> None:
    (anna,) = metered.tenants()[:1]
    metered.rule(anna, "error_frame", times=1)
    ask = metered.ask(NOVA, 45, 511)
    with (
        closing(
            metered.boto3(anna).converse_stream(**ask, guardrailConfig=STRICT_CONFIG)["stream"]
        ) as stream,
        pytest.raises(EventStreamError),
    ):
        list(stream)
    metered.wait_unknown(anna)
    metered.log()
    posted = metered.wait_posted(anna, 1)
    assert {"estimated", "trued_up"} <= posted.flags  # no log tells units
    found = lines(metered, anna)
    assert found["uncached_in"][0] == 45
    units = {name: line[0] for name, line in found.items() if name.startswith("guardrail_")}
    assert set(units.values()) <= {2, 3, 4} and units["guardrail_topic"] == units["guardrail_pii"]
    assert posted.charge == 0  # a failure is never the customer's
    assert metered.violations() == []


def applied(metered: MeteredStack) -> list[dict[str, Any]]:
    records = metered.bill_records()
    return [record for record in records if record["operation"] == "ApplyGuardrail"]


def charge_of(answer: Mapping[str, Any]) -> str:
    return str(answer["ResponseMetadata"]["HTTPHeaders"]["x-tenantry-charge"])
