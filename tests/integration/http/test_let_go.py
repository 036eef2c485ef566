"""A request that was refused is let go at once: its body does not wait for the collector."""

from collections.abc import Callable, Iterator

import pytest
from tests.support.held import held_of
from tests.support.http_edge import Edge
from tests.support.http_plain import post_json
from tests.support.http_services import FixedStream
from tests.support.waiting import eventually

from tenantry.domain import errors
from tenantry.entrypoints.http.wire.request import Request

CHAT = {"model": "micro", "messages": [{"role": "user", "content": "hi"}]}
Held = Callable[[], list[object]]
KEYS = ("tk_acme", "tk_bolt")


@pytest.fixture
def held() -> Iterator[Held]:
    with held_of(Request, FixedStream) as still:
        yield still


@pytest.mark.parametrize("key", KEYS)
def test_by_who_still_holds_the_refusal(edge: Edge, key: str, held: Held) -> None:
    refusal = edge.services.inference.refusal = errors.RateLimited()
    refusal.__cause__ = cause()
    status, _, _ = post_json(edge, "/v1/chat/completions", {**CHAT, "user": "ann"}, key=key)
    assert status == 429
    edge.services.inference.asked.clear()
    eventually(lambda: not held())
    assert refusal.__cause__.__traceback__ is None


@pytest.mark.parametrize("key", KEYS)
def test_by_an_idempotency_key_of_another_body(edge: Edge, key: str, held: Held) -> None:
    headers = {"idempotency-key": "mismatch"}
    assert post_json(edge, "/v1/chat/completions", CHAT, key=key, headers=headers)[0] == 200
    other = {**CHAT, "user": "ann"}
    assert post_json(edge, "/v1/chat/completions", other, key=key, headers=headers)[0] == 422
    eventually(lambda: not held())


def test_by_a_stream_that_fails_in_the_middle(edge: Edge, held: Held) -> None:
    edge.services.inference.events = lambda: [
        ("messageStart", {"role": "assistant"}),
        ("modelStreamErrorException", {"message": "it broke"}),
    ]
    status, _, body = post_json(edge, "/v1/chat/completions", {**CHAT, "stream": True})
    assert status == 200
    assert b'"error"' in body
    edge.services.inference.streams.clear()
    eventually(lambda: not held())


def cause() -> Exception:
    try:
        raise LookupError
    except LookupError as error:
        return error
