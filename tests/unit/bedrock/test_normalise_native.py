"""Usage in InvokeModel's headers, native bodies and chunks, and in the invocation log."""

import pytest
from tests.support.readings import converse, reason_of, stream_of, usage_of

from tenantry.domain import normalise
from tenantry.domain.usage import TokenClass, Usage


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


@pytest.mark.parametrize(("documents", "units"), [(1, 1), (100, 1), (101, 2), (1_000, 10)])
def test_rerank_queries_are_billed_by_the_hundred(documents, units):
    assert normalise.from_rerank(documents).usage == Usage(rerank_units=units)
