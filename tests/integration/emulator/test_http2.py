"""HTTP/2, as the AWS SDK for JavaScript speaks it, in clear and over TLS."""

from __future__ import annotations

import json

import pytest
from tests.support.emulator import eventually
from tests.support.http2_client import Client, fields, frame

NOVA = "/model/amazon.nova-lite-v1%3A0"
CANCEL = 8
REFUSED_STREAM = 7
GOAWAY = 7


def hello(**more):
    return json.dumps(
        {"messages": [{"role": "user", "content": [{"text": "hi"}]}], **more}
    ).encode()


def asked(emulator, path="/converse", *more):
    who = ("authorization", f"Bearer {emulator.pool.bearer_key}")
    return fields(NOVA + path, ("content-type", "application/json"), *more, who=who)


def port(url):
    return int(url.rpartition(":")[2])


def billed(emulator, tagged):
    records = emulator.bill(emulator.pool.id)["records"]
    return [record["usage"] for record in records if record["request_metadata"] == tagged]


def test_whole_and_streamed_answers_share_a_connection(emulator):
    with Client(port(emulator.url)) as client:
        paths = ["/converse", "/converse-stream", "/count", "/converse"]
        streams = [client.send(asked(emulator, path), hello()) for path in paths]
        whole, events, unknown, again = (client.answer(stream) for stream in streams)
    assert [answer.status for answer in (whole, events, unknown, again)] == [200, 200, 404, 200]
    assert json.loads(whole.body)["usage"] == json.loads(again.body)["usage"]
    assert int(whole.headers["content-length"]) == len(whole.body)
    assert events.headers["content-type"] == "application/vnd.amazon.eventstream"
    assert events.ended
    assert events.frames > 3
    assert unknown.headers["x-amzn-errortype"].startswith("UnknownOperationException:")


def test_over_tls_it_is_for_those_who_speak_nothing_else(emulator):
    with Client(port(emulator.https_url), ca=emulator.ca_bundle, alpn=["h2"]) as client:
        assert client.socket.selected_alpn_protocol() == "h2"
        assert client.ask(asked(emulator), hello()).status == 200
    offered = ["h2", "http/1.1"]
    both = Client(port(emulator.https_url), ca=emulator.ca_bundle, alpn=offered, begins=False)
    with both:
        assert both.socket.selected_alpn_protocol() == "http/1.1"


def test_the_own_endpoints_are_there_too(emulator):
    with Client(port(emulator.url)) as client:
        head = fields("/_emulator/health", method="GET", who=None, authority="localhost")
        assert json.loads(client.ask(head).body) == {"status": "ready"}


def test_what_is_refused_before_its_body_is_told(emulator):
    with Client(port(emulator.url)) as client:
        long = client.ask(asked(emulator, "/" + "x" * 17_000), hello())
        many = client.ask(asked(emulator, "/converse", *[("x", "y")] * 201), hello())
        large = client.ask(asked(emulator), b" " * 25_000_001)
        after = client.ask(asked(emulator), hello())
    assert [answer.status for answer in (long, many, large, after)] == [414, 431, 413, 200]


def test_an_answer_that_is_cut_ends_in_a_reset_and_no_other_does(emulator, tagged):
    emulator.rules(
        {"match": {"request_metadata": tagged}, "action": {"kind": "cut", "after_events": 2}}
    )
    with Client(port(emulator.url)) as client:
        cut = client.send(asked(emulator, "/converse-stream"), hello(requestMetadata=tagged))
        kept = client.send(asked(emulator, "/converse-stream"), hello())
        assert client.answer(kept).ended
        answer = client.answer(cut)
    assert (answer.status, answer.ended) == (200, False)
    assert answer.reset is not None
    assert answer.body


@pytest.mark.parametrize("stops", [True, False])
def test_a_stream_that_its_client_resets_is_billed_as_a_hang_up(emulator, tagged, stops):
    match = {"request_metadata": tagged}
    rules = [{"match": match, "action": {"kind": "slow_tokens", "delay_ms": 20}}]
    if stops:
        rules.append({"match": match, "action": {"kind": "stop_on_hangup"}})
    emulator.rules(*rules)
    with Client(port(emulator.url)) as client:
        stream = client.send(asked(emulator, "/converse-stream"), hello(requestMetadata=tagged))
        client.until(lambda: client.answers[stream].frames > 2)
        client.h2.reset_stream(stream, CANCEL)
        client.flush()
        (usage,) = eventually(lambda: billed(emulator, tagged))
        full = json.loads(client.ask(asked(emulator), hello()).body)["usage"]["outputTokens"]
    assert (0 < usage["output"] < full) if stops else usage["output"] == full


def test_a_client_that_says_that_it_goes_takes_what_it_waits_for(emulator):
    """As the AWS SDK for JavaScript does with each request."""
    with Client(port(emulator.url)) as client:
        stream = client.send(asked(emulator, "/converse-stream"), hello())
        client.raw(frame(GOAWAY, bytes(8)))
        assert client.answer(stream).ended


def test_streams_beyond_the_limit_are_refused_one_by_one(emulator):
    with Client(port(emulator.url)) as client:
        client.until(lambda: client.h2.remote_settings.max_concurrent_streams == 256)
        client.h2.remote_settings.acknowledge()
        open_streams = [client.begin(asked(emulator)) for _ in range(256)]
        client.h2.remote_settings.max_concurrent_streams = 1_000
        client.h2.remote_settings.acknowledge()
        beyond = client.begin(asked(emulator))
        assert client.answer(beyond).reset == REFUSED_STREAM
        client.body(open_streams[0], hello())
        assert client.answer(open_streams[0]).status == 200


@pytest.mark.parametrize("rubbish", [frame(0, b"x", stream_id=1), frame(1, b"\xff" * 9, 4, 1)])
def test_what_breaks_the_protocol_ends_the_connection_in_words(emulator, rubbish):
    with Client(port(emulator.url)) as client:
        client.raw(rubbish)
        client.read_all()
    assert client.goaway not in (None, 0)
