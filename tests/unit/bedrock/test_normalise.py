"""Usage as real and hostile reports give it: disjoint classes, or quarantine; never a crash."""

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenantry.domain import normalise
from tenantry.domain.normalise import InvokeStreamUsage, Normalised, Quarantined
from tenantry.domain.usage import TokenClass, Usage
from tenantry.domain.usage_figures import MAX_COUNT, MAX_RAW_BYTES, numeric_members


def usage_of(reading):
    assert isinstance(reading, Normalised), reading
    assert reading.version == normalise.NORMALISER_VERSION
    return reading.usage


def reason_of(reading):
    assert isinstance(reading, Quarantined), reading
    return reading.reason


def converse(given_in, out, read=0, write=0, total=None, details=None):
    """A usage member with Bedrock's duplicates, as Claude and Nova send it."""
    usage = {
        "inputTokens": given_in,
        "outputTokens": out,
        "totalTokens": given_in + out + read + write if total is None else total,
        "cacheReadInputTokens": read,
        "cacheReadInputTokenCount": read,
        "cacheWriteInputTokens": write,
        "cacheWriteInputTokenCount": write,
        "serverToolUsage": {},
    }
    return usage | ({} if details is None else {"cacheDetails": details})


def details(**by_ttl):
    return [{"ttl": ttl.removeprefix("t"), "inputTokens": n} for ttl, n in by_ttl.items()]


# Figures of real exchanges: (family, usage, what it is in disjoint classes).
RECORDED = [
    ("mistral", {"inputTokens": 21, "outputTokens": 26, "serverToolUsage": {}, "totalTokens": 47}),
    ("anthropic", {"inputTokens": 68, "outputTokens": 42, "totalTokens": 110}),
    ("openai", {"inputTokens": 70, "outputTokens": 43, "serverToolUsage": {}, "totalTokens": 113}),
]


@pytest.mark.parametrize(("family", "usage"), RECORDED)
def test_recorded_plain_usage(family, usage):
    expected = Usage(uncached_in=usage["inputTokens"], out=usage["outputTokens"])
    assert usage_of(normalise.from_converse(usage, family)) == expected


def test_recorded_cache_read_of_nova():
    usage = converse(22, 13, read=2_492)
    assert usage["totalTokens"] == 2_527
    expected = Usage(uncached_in=22, cache_read=2_492, out=13)
    assert usage_of(normalise.from_converse(usage, "nova")) == expected


def test_recorded_cache_write_and_read_of_claude():
    usage = converse(3, 61, read=2_074, write=297, details=details(t5m=297))
    assert usage["totalTokens"] == 2_435
    expected = Usage(uncached_in=3, cache_read=2_074, cache_write_5m=297, out=61)
    reading = normalise.from_converse(usage, "anthropic")
    assert usage_of(reading) == expected
    assert reading.flags == frozenset()


def test_case_11_cache_writes_are_split_by_time_to_live():
    usage = converse(2, 300, 13_923, 7_262, details=details(t1h=5_000, t5m=2_262))
    assert usage_of(normalise.from_converse(usage, "anthropic")) == Usage(
        uncached_in=2, cache_read=13_923, cache_write_5m=2_262, cache_write_1h=5_000, out=300
    )


@pytest.mark.parametrize("total", [12_501, 24_900, None])
def test_case_12_gross_input_is_made_net(total):
    """OpenAI's family counts cached tokens in its input, and in its total once or twice."""
    usage = {
        "inputTokens": 12_401,
        "outputTokens": 100,
        "cacheReadInputTokens": 8_367,
        "cacheWriteInputTokens": 4_032,
        "totalTokens": total,
    }
    assert usage_of(normalise.from_converse(usage, "openai")) == Usage(
        uncached_in=2, cache_read=8_367, cache_write_5m=4_032, out=100
    )
    if total == 12_501:  # the same figures of a net family contradict themselves
        assert "total" in reason_of(normalise.from_converse(usage, "anthropic"))


@pytest.mark.parametrize(
    ("family", "usage", "reason"),
    [
        ("anthropic", None, "missing"),
        ("anthropic", [], "missing"),
        ("anthropic", "usage", "missing"),
        ("anthropic", {}, "inputTokens is missing"),
        ("anthropic", {"inputTokens": 1}, "outputTokens is missing"),
        ("anthropic", converse(-1, 2), "range"),
        ("anthropic", converse(MAX_COUNT + 1, 2), "range"),
        ("anthropic", converse(1, 2) | {"inputTokens": math.nan}, "not an integer"),
        ("anthropic", converse(1, 2) | {"outputTokens": math.inf}, "not an integer"),
        ("anthropic", converse(1, 2) | {"inputTokens": "1e9"}, "not an integer"),
        ("anthropic", converse(1, 2) | {"inputTokens": "1"}, "not an integer"),
        ("anthropic", converse(1, 2) | {"inputTokens": 1.0}, "not an integer"),
        ("anthropic", converse(1, 2) | {"inputTokens": True}, "not an integer"),
        ("anthropic", converse(1, 2, total=4), "total"),
        ("anthropic", converse(1, 2) | {"totalTokens": "3"}, "not an integer"),
        ("anthropic", converse(1, 2, read=5) | {"cacheReadInputTokenCount": 6}, "contradicts"),
        ("anthropic", converse(1, 2, write=9, details=details(t5m=4, t1h=4)), "do not sum"),
        ("anthropic", converse(1, 2, write=9, details=details(t5m=10, t1h=-1)), "range"),
        ("anthropic", converse(1, 2, write=9, details=details(t2h=9)), "time to live"),
        ("anthropic", converse(1, 2, write=9, details={"5m": 9}), "short list"),
        ("anthropic", converse(1, 2, write=9, details=[9]), "time to live"),
        ("anthropic", converse(1, 2, write=9, details=[{"ttl": [], "inputTokens": 9}]), "live"),
        ("anthropic", converse(1, 2, details=details(t5m=4)), "do not sum"),
        ("openai", converse(10, 2, read=8, write=3, total=12), "smaller than its cached part"),
    ],
)
def test_case_13_what_does_not_add_up_is_quarantined(family, usage, reason):
    assert reason in reason_of(normalise.from_converse(usage, family))


def test_writes_without_a_split_go_where_the_request_could_send_them():
    usage = converse(1, 2, write=9)
    reading = normalise.from_converse(usage, "anthropic", TokenClass.CACHE_WRITE_1H)
    assert usage_of(reading) == Usage(uncached_in=1, cache_write_1h=9, out=2)
    assert reading.flags == {"write_class_assumed"}
    # Where the answer does split them, the request's class is not needed.
    usage = converse(1, 2, write=9, details=details(t5m=9))
    reading = normalise.from_converse(usage, "anthropic", TokenClass.CACHE_WRITE_1H)
    assert usage_of(reading) == Usage(uncached_in=1, cache_write_5m=9, out=2)


def metering(given_in, out=None, read=None, write=None):
    counts = {
        "input-token-count": given_in,
        "output-token-count": out,
        "cache-read-input-token-count": read,
        "cache-write-input-token-count": write,
    }
    return {f"x-amzn-bedrock-{n}": str(v) for n, v in counts.items() if v is not None}


def anthropic_body(given_in, out, read, write, split=None):
    usage = {
        "input_tokens": given_in,
        "output_tokens": out,
        "cache_read_input_tokens": read,
        "cache_creation_input_tokens": write,
    }
    if split:
        usage["cache_creation"] = {
            "ephemeral_5m_input_tokens": split[0],
            "ephemeral_1h_input_tokens": split[1],
        }
    return {"type": "message", "usage": usage, "content": []}


INVOKED = [
    # recorded: a Claude answer, body and headers agreeing
    (
        "anthropic",
        metering(3, 44, 9_511, 1_956),
        anthropic_body(3, 44, 9_511, 1_956, (1_956, 0)),
        Usage(uncached_in=3, cache_read=9_511, cache_write_5m=1_956, out=44),
    ),
    (
        "anthropic",
        {},
        anthropic_body(2, 300, 13_923, 7_262, (2_262, 5_000)),
        Usage(
            uncached_in=2, cache_read=13_923, cache_write_5m=2_262, cache_write_1h=5_000, out=300
        ),
    ),
    ("titan_embed", metering(5), {"inputTextTokenCount": 5, "embedding": []}, Usage(embedding=5)),
    ("titan_embed", {}, {"inputTextTokenCount": 4}, Usage(embedding=4)),
    ("cohere_embed", metering(6), {"embeddings": [[0.5]]}, Usage(embedding=6)),
    (
        "nova",
        metering(22, 13, 2_492, 0),
        {"usage": converse(22, 13, read=2_492)},
        Usage(uncached_in=22, cache_read=2_492, out=13),
    ),
    (
        "llama",
        {},
        {"generation": "x", "prompt_token_count": 7, "generation_token_count": 9},
        Usage(uncached_in=7, out=9),
    ),
    ("mistral", metering(11, 12), {"outputs": [{"text": "x"}]}, Usage(uncached_in=11, out=12)),
    (
        "openai",
        metering(100, 20),
        {
            "usage": {
                "prompt_tokens": 100,
                "completion_tokens": 20,
                "total_tokens": 120,
                "prompt_tokens_details": {"cached_tokens": 64},
            }
        },
        Usage(uncached_in=36, cache_read=64, out=20),
    ),
]


@pytest.mark.parametrize(("family", "headers", "body", "expected"), INVOKED)
def test_native_answers(family, headers, body, expected):
    assert usage_of(normalise.from_invoke(headers, body, family)) == expected


@pytest.mark.parametrize(
    ("family", "headers", "body", "reason"),
    [
        ("mistral", {}, {"outputs": []}, "usage is missing"),
        ("mistral", {}, None, "usage is missing"),
        ("mistral", metering(11), {}, "output token count is missing"),
        ("mistral", metering("1e9", 1), {}, "not a count"),
        ("mistral", metering("-1", 1), {}, "not a count"),
        ("mistral", metering("٣", 1), {}, "not a count"),
        ("mistral", metering("9" * 14, 1), {}, "not a count"),
        ("anthropic", metering(3, 45, 0, 0), anthropic_body(3, 44, 0, 0), "contradict"),
        ("anthropic", {}, anthropic_body(3, 44, 0, 9, (4, 4)), "do not sum"),
        ("anthropic", {}, anthropic_body(3, None, 0, 0), "output_tokens is missing"),
        ("anthropic", {}, {"usage": 3}, "not an object"),
        ("titan_embed", metering(4), {"inputTextTokenCount": 5}, "contradict"),
        ("titan_embed", metering(4, 1), {}, "input alone"),
        ("openai", {}, {"usage": {"prompt_tokens": 1, "total_tokens": 9}}, "total"),
    ],
)
def test_native_answers_that_do_not_add_up(family, headers, body, reason):
    assert reason in reason_of(normalise.from_invoke(headers, body, family))


def stream_of(family, *chunks, **options):
    gathered = InvokeStreamUsage(family, **options)
    for chunk in chunks:
        gathered.feed(chunk)
    return gathered.finish()


def message_start(split):
    creation = {"ephemeral_5m_input_tokens": split[0], "ephemeral_1h_input_tokens": split[1]}
    return {"type": "message_start", "message": {"usage": {"cache_creation": creation}}}


def message_stop(given_in, out, read=0, write=0):
    metrics = {
        "inputTokenCount": given_in,
        "outputTokenCount": out,
        "invocationLatency": 3,
        "firstByteLatency": 1,
        "cacheReadInputTokenCount": read,
        "cacheWriteInputTokenCount": write,
    }
    return {"type": "message_stop", "amazon-bedrock-invocationMetrics": metrics}


def test_a_native_stream_takes_the_split_from_its_start():
    reading = stream_of(
        "anthropic", message_start((2_262, 5_000)), {}, message_stop(2, 300, 13_923, 7_262)
    )
    assert usage_of(reading) == Usage(
        uncached_in=2, cache_read=13_923, cache_write_5m=2_262, cache_write_1h=5_000, out=300
    )
    assert reading.flags == frozenset()


def test_native_streams_that_do_not_add_up():
    assert "missing" in reason_of(stream_of("anthropic", message_start((0, 0))))
    contradiction = stream_of("anthropic", message_start((1, 1)), message_stop(1, 1, 0, 9))
    assert "do not sum" in reason_of(contradiction)
    assert "missing" in reason_of(stream_of("nova", None, [], "x", 3))
    broken = {"amazon-bedrock-invocationMetrics": []}
    assert "not an object" in reason_of(stream_of("nova", broken))


def log_record(given_in, out, read=None, write=None, **more):
    sent = {
        "inputBodyJson": {"secret": "text"},
        "inputTokenCount": given_in,
        "cacheReadInputTokenCount": read,
        "cacheWriteInputTokenCount": write,
    }
    received = {} if out is None else {"outputTokenCount": out}
    return {"schemaVersion": "1.0", "input": sent, "output": received, **more}


def test_the_log_prices_writes_by_the_intent():
    record = log_record(2, 300, 13_923, 7_262)
    reading = normalise.from_invocation_log(record, "anthropic", TokenClass.CACHE_WRITE_1H)
    assert usage_of(reading) == Usage(
        uncached_in=2, cache_read=13_923, cache_write_1h=7_262, out=300
    )
    assert reading.flags == {"write_class_assumed"}
    assert not any("secret" in str(item) for item in reading.raw.items())


def test_the_log_of_embeddings_and_failures():
    assert usage_of(normalise.from_invocation_log(log_record(5, None), "titan_embed")) == Usage(
        embedding=5
    )
    failed = log_record(None, None, errorCode="ThrottlingException")
    reading = normalise.from_invocation_log(failed, "anthropic")
    assert usage_of(reading) == Usage()
    assert reading.flags == {"failed"}
    assert "inputTokenCount is missing" in reason_of(
        normalise.from_invocation_log(log_record(None, None), "anthropic")
    )
    assert "outputTokenCount is missing" in reason_of(
        normalise.from_invocation_log(log_record(5, None), "anthropic")
    )


def test_guardrail_units_leave_out_what_is_free():
    usage = {
        "topicPolicyUnits": 1,
        "contentPolicyUnits": 2,
        "sensitiveInformationPolicyUnits": 3,
        "sensitiveInformationPolicyFreeUnits": 50,
        "wordPolicyUnits": 60,
        "automatedReasoningPolicies": 70,
    }
    assert usage_of(normalise.from_guardrail(usage)) == Usage(guardrail_units=6)
    assert "range" in reason_of(normalise.from_guardrail({"topicPolicyUnits": -1}))


@pytest.mark.parametrize(("documents", "units"), [(1, 1), (100, 1), (101, 2), (1_000, 10)])
def test_rerank_queries_are_billed_by_the_hundred(documents, units):
    assert normalise.from_rerank(documents).usage == Usage(rerank_units=units)


junk = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                [
                    "inputTokens",
                    "outputTokens",
                    "totalTokens",
                    "cacheDetails",
                    "cacheWriteInputTokens",
                    "ttl",
                    "usage",
                    "input_tokens",
                    "output_tokens",
                    "cache_creation",
                    "cache_creation_input_tokens",
                    "prompt_tokens",
                    "prompt_tokens_details",
                    "inputTextTokenCount",
                    "prompt_token_count",
                    "input",
                    "output",
                    "inputTokenCount",
                    "outputTokenCount",
                    "amazon-bedrock-invocationMetrics",
                    "type",
                    "message",
                    "errorCode",
                ]
            )
            | st.text(max_size=5),
            inner,
            max_size=6,
        )
    ),
    max_leaves=20,
)
families = st.sampled_from(["anthropic", "nova", "openai", "titan_embed", "llama", "unheard-of"])


@given(junk, families)
def test_no_report_makes_it_raise(report, family):
    readings = [
        normalise.from_converse(report, family),
        normalise.from_invoke({}, report, family),
        normalise.from_invocation_log(report, family),
        normalise.from_guardrail(report),
        stream_of(family, report),
    ]
    for reading in readings:
        assert isinstance(reading, Normalised | Quarantined)
        assert len(json.dumps(dict(reading.raw), allow_nan=False)) <= 2 * MAX_RAW_BYTES


@given(st.integers(0, 10**6), st.integers(0, 10**6), st.integers(0, 10**6), st.integers(0, 10**6))
def test_classes_always_sum_to_the_reported_total(given_in, out, read, write):
    usage = usage_of(normalise.from_converse(converse(given_in, out, read, write), "anthropic"))
    assert usage.prompt_tokens + usage.out == given_in + out + read + write
    gross = converse(given_in + read + write, out, read, write, given_in + read + write + out)
    assert usage_of(normalise.from_converse(gross, "openai")) == usage


def test_raw_members_are_exact_bounded_and_hold_no_text():
    report = {
        "inputTokens": 3,
        "nested": {"cacheDetails": [{"ttl": "5m", "inputTokens": 7}]},
        "float": 0.1,
        "nan": math.nan,
        "huge": 10**40,
        "flag": True,
        "name": "a tenant's words",
    }
    assert numeric_members(report) == {
        "inputTokens": 3,
        "nested.cacheDetails.0.ttl": "5m",
        "nested.cacheDetails.0.inputTokens": 7,
        "float": "0.1",
        "nan": "nan",
        "huge": "out of range",
    }
    flood = numeric_members({f"member-{n}": n for n in range(10_000)})
    assert 0 < len(json.dumps(dict(flood))) <= MAX_RAW_BYTES
