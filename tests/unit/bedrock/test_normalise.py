"""Usage as real and hostile reports give it: disjoint classes, or quarantine; never a crash."""

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.readings import converse, reason_of, stream_of, usage_of

from tenantry.domain import normalise
from tenantry.domain.normalise import Normalised, Quarantined
from tenantry.domain.usage import TokenClass, Usage
from tenantry.domain.usage_figures import COUNT_MAX, RAW_BYTES_MAX, numeric_members


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


def test_cache_writes_are_split_by_time_to_live():
    usage = converse(2, 300, 13_923, 7_262, details=details(t1h=5_000, t5m=2_262))
    assert usage_of(normalise.from_converse(usage, "anthropic")) == Usage(
        uncached_in=2, cache_read=13_923, cache_write_5m=2_262, cache_write_1h=5_000, out=300
    )


@pytest.mark.parametrize("total", [12_501, 24_900, None])
def test_gross_input_is_made_net(total):
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
        ("anthropic", converse(COUNT_MAX + 1, 2), "range"),
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
def test_what_does_not_add_up_is_quarantined(family, usage, reason):
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
        stream_of(family, report),
    ]
    for reading in readings:
        assert isinstance(reading, Normalised | Quarantined)
        assert len(json.dumps(dict(reading.raw), allow_nan=False)) <= 2 * RAW_BYTES_MAX


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
    assert 0 < len(json.dumps(dict(flood))) <= RAW_BYTES_MAX
