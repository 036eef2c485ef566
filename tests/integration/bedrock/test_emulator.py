"""The adapter and the normaliser against the emulator: what we count is what it bills and logs."""

import asyncio
import json
from datetime import UTC, datetime

import pytest
from tests.support.emulator import start_emulator

from tenantry.adapters.bedrock.client import BedrockModel
from tenantry.adapters.bedrock.connections import Connections
from tenantry.adapters.bedrock.credentials import Credentials, StaticCredentials
from tenantry.adapters.bedrock.stream import native_chunk
from tenantry.domain import normalise
from tenantry.domain.usage import Usage
from tenantry.ports.model import (
    Attempt,
    Failure,
    FailureKind,
    Operation,
    Reply,
    StreamEndKind,
    Upstream,
)

CLAUDE = "anthropic.claude-sonnet-4-5-20250929-v1:0"
NOVA = "us.amazon.nova-lite-v1:0"
TITAN = "amazon.titan-embed-text-v2:0"
LONG = "The tide came in and the tide went out again. " * 400  # over the least cacheable prefix
ACCOUNTS = ("pool", "silo")


class SystemClock:
    def now(self):
        return datetime.now(UTC)

    def monotonic(self):
        return 0.0

    def random(self, count):
        return bytes(count)


@pytest.fixture(scope="module")
def emulator(tmp_path_factory):
    config_free = tmp_path_factory.mktemp("adapter")
    with start_emulator(config_free) as running:
        yield running


def call(emulator, operation, model_id, document, account="pool", url=None):
    placed = getattr(emulator, account)
    return Attempt(
        Upstream(placed.id, "us-east-1", url or emulator.url, account),
        operation,
        model_id,
        json.dumps(document).encode(),
    )


def attempted(emulator, attempt):
    """The outcome of one attempt; of a stream also its frames and its end."""
    credentials = {
        name: Credentials(
            getattr(emulator, name).access_key_id, getattr(emulator, name).secret_access_key
        )
        for name in ACCOUNTS
    }

    async def run():
        connections = Connections(ca_pem=emulator.ca_bundle.read_bytes())
        bedrock = BedrockModel(StaticCredentials(credentials), SystemClock(), connections)
        try:
            if not attempt.operation.streams:
                return await bedrock.invoke(attempt), [], None
            reply = await bedrock.stream(attempt)
            assert not isinstance(reply, Failure), reply
            frames = [frame async for frame in reply]
            return reply, frames, reply.end
        finally:
            await bedrock.close()

    return asyncio.run(run())


def billed(emulator, account, request_id):
    """What the emulator bills for one call, as usage."""
    records = emulator.bill(getattr(emulator, account).id)["records"]
    (record,) = [r for r in records if r["request_id"] == request_id]
    usage = record["usage"]
    if record["model"] == TITAN:
        return Usage(embedding=usage["input"])
    return Usage(
        uncached_in=usage["input"],
        cache_read=usage["cache_read"],
        cache_write_5m=usage["cache_write_5m"],
        cache_write_1h=usage["cache_write_1h"],
        out=usage["output"],
    )


def prompt(*marks, salt=""):
    content = []
    for ttl in marks:
        content += [{"text": salt + ttl + LONG}, {"cachePoint": {"type": "default", "ttl": ttl}}]
    return {"messages": [{"role": "user", "content": [*content, {"text": "And then?"}]}]}


@pytest.mark.parametrize("account", ACCOUNTS)
@pytest.mark.parametrize("model_id", [CLAUDE, NOVA])
def test_a_plain_answer(emulator, account, model_id):
    attempt = call(emulator, Operation.CONVERSE, model_id, prompt(), account)
    reply, _, _ = attempted(emulator, attempt)
    assert isinstance(reply, Reply), reply
    reading = normalise.from_converse(reply.document["usage"], "anthropic")
    assert reading.usage == billed(emulator, account, reply.request_id)
    assert reading.usage.uncached_in > 0
    other = next(name for name in ACCOUNTS if name != account)
    others = emulator.bill(getattr(emulator, other).id)["records"]
    assert reply.request_id not in {record["request_id"] for record in others}


def test_cache_writes_by_class_and_then_reads(emulator):
    attempt = call(emulator, Operation.CONVERSE, CLAUDE, prompt("1h", "5m", salt="one "))
    written, _, _ = attempted(emulator, attempt)
    read, _, _ = attempted(emulator, attempt)
    usages = []
    for reply in (written, read):
        reading = normalise.from_converse(reply.document["usage"], "anthropic")
        assert reading.usage == billed(emulator, "pool", reply.request_id)
        assert reading.flags == frozenset()
        usages.append(reading.usage)
    assert usages[0].cache_write_1h > 0
    assert usages[0].cache_write_5m > 0
    assert usages[1].cache_read == usages[0].cache_write_1h + usages[0].cache_write_5m


@pytest.mark.parametrize("account", ACCOUNTS)
def test_a_converse_stream(emulator, account):
    attempt = call(emulator, Operation.CONVERSE_STREAM, NOVA, prompt(), account)
    reply, frames, end = attempted(emulator, attempt)
    assert end.kind is StreamEndKind.COMPLETE
    assert frames[-1].event_type == "metadata"
    usage = json.loads(frames[-1].payload)["usage"]
    reading = normalise.from_converse(usage, "nova")
    assert reading.usage == billed(emulator, account, reply.request_id)


ANTHROPIC_BODY = {
    "anthropic_version": "bedrock-2023-05-31",
    "max_tokens": 50,
    "messages": [{"role": "user", "content": "Say hello."}],
}


def test_a_native_answer(emulator):
    attempt = call(emulator, Operation.INVOKE, CLAUDE, ANTHROPIC_BODY)
    reply, _, _ = attempted(emulator, attempt)
    reading = normalise.from_invoke(reply.headers, reply.document, "anthropic")
    assert reading.usage == billed(emulator, "pool", reply.request_id)


def test_a_native_stream(emulator):
    attempt = call(emulator, Operation.INVOKE_STREAM, CLAUDE, ANTHROPIC_BODY)
    reply, frames, end = attempted(emulator, attempt)
    assert end.kind is StreamEndKind.COMPLETE
    gathered = normalise.InvokeStreamUsage("anthropic")
    for frame in frames:
        gathered.feed(native_chunk(frame))
    assert gathered.finish().usage == billed(emulator, "pool", reply.request_id)


def test_an_embedding(emulator):
    attempt = call(emulator, Operation.INVOKE, TITAN, {"inputText": "high tide"})
    reply, _, _ = attempted(emulator, attempt)
    reading = normalise.from_invoke(reply.headers, reply.document, "titan_embed")
    assert reading.usage == billed(emulator, "pool", reply.request_id)
    assert reading.usage.embedding > 0


def test_counting_tokens(emulator):
    document = {"input": {"converse": prompt()}}
    reply, _, _ = attempted(emulator, call(emulator, Operation.COUNT_TOKENS, CLAUDE, document))
    assert reply.document["inputTokens"] > 0


def test_over_tls_with_its_ca(emulator):
    attempt = call(emulator, Operation.CONVERSE, NOVA, prompt(), url=emulator.https_url)
    reply, _, _ = attempted(emulator, attempt)
    assert isinstance(reply, Reply), reply


def test_another_accounts_secret_is_refused(emulator):
    """Signed with the silo's key id and the pool's secret: the emulator checks our signature."""
    attempt = call(emulator, Operation.CONVERSE, NOVA, prompt())
    forged = Credentials(emulator.silo.access_key_id, emulator.pool.secret_access_key)

    async def run():
        bedrock = BedrockModel(StaticCredentials({"pool": forged}), SystemClock(), Connections())
        try:
            return await bedrock.invoke(attempt)
        finally:
            await bedrock.close()

    failure = asyncio.run(run())
    assert isinstance(failure, Failure)
    assert (failure.kind, failure.status) == (FailureKind.REFUSED, 403)
    assert not failure.maybe_billed


def test_the_log_says_what_the_answer_said(emulator):
    attempt = call(emulator, Operation.CONVERSE, CLAUDE, prompt("5m", salt="logged "))
    reply, _, _ = attempted(emulator, attempt)
    answered = normalise.from_converse(reply.document["usage"], "anthropic")
    (record,) = [r for r in emulator.logged() if r["requestId"] == reply.request_id]
    logged = normalise.from_invocation_log(record, "anthropic")
    assert logged.usage == answered.usage
    assert logged.flags == {"write_class_assumed"}


@pytest.fixture
def rule(emulator):
    """Say what goes wrong with the calls that carry this tag."""
    tag = {"test": "fault"}

    def add(**action):
        emulator.rules({"match": {"request_metadata": tag}, "action": action})
        return prompt() | {"requestMetadata": tag}

    emulator.clear_rules()
    yield add
    emulator.clear_rules()


def test_throttled(emulator, rule):
    document = rule(kind="throttle", retry_after_ms=1_500)
    failure, _, _ = attempted(emulator, call(emulator, Operation.CONVERSE, NOVA, document))
    assert (failure.kind, failure.maybe_billed) == (FailureKind.THROTTLED, False)
    assert (failure.error_type, failure.retry_after_ms) == ("ThrottlingException", 1_500)


@pytest.mark.parametrize("clean", [True, False])
def test_a_cut_stream_is_never_taken_for_a_whole_one(emulator, rule, clean):
    document = rule(kind="cut", after_events=4, clean=clean)
    _, frames, end = attempted(emulator, call(emulator, Operation.CONVERSE_STREAM, NOVA, document))
    assert frames
    assert end.kind is StreamEndKind.CUT


def test_an_error_frame(emulator, rule):
    document = rule(kind="error_frame", after_events=3)
    _, frames, end = attempted(emulator, call(emulator, Operation.CONVERSE_STREAM, NOVA, document))
    assert end.kind is StreamEndKind.EXCEPTION
    assert end.error_type == frames[-1].exception_type
