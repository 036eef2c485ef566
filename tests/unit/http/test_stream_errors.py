"""A failure in a stream is told as what it would have been before the stream began."""

from __future__ import annotations

import pytest
from tests.support.core import principal
from tests.support.scripted import ScriptedStream, context, core, delta, exception, metadata
from tests.support.skipping import run

from tenantry.application.calls import ChatCall
from tenantry.domain import errors
from tenantry.entrypoints.http.stream_errors import error_of
from tenantry.ports.model import StreamEnd, StreamEndKind

CHAT = ChatCall("ConverseStream", "claude", {"messages": []})


def last_error(stream: ScriptedStream, trouble: Exception | None = None) -> errors.TenantryError:
    async def walk() -> errors.TenantryError | None:
        worker = core(stream)
        worker.admission.settle_trouble = [] if trouble is None else [trouble]
        answer = await worker.inference.stream(context(principal("acme")), CHAT)
        found = [error_of(frame) async for frame in answer.frames]
        await worker.tasks.drain(600_000)
        return found[-1]

    error = run(walk())
    assert error is not None
    return error


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        ("serviceUnavailableException", "upstream_unavailable"),
        ("internalServerException", "upstream_unavailable"),
        ("throttlingException", "upstream_throttled"),
        ("modelTimeoutException", "upstream_timeout"),
    ],
)
def test_bedrocks_own_failure_is_never_told_as_an_outage_of_ours(kind: str, code: str) -> None:
    end = StreamEnd(StreamEndKind.EXCEPTION, error_type=kind)
    assert last_error(ScriptedStream([delta("x"), exception(kind)], end)).code == code


def test_an_outage_of_ours_is_told_as_that() -> None:
    whole = [delta("x"), metadata()]
    assert last_error(ScriptedStream(whole), errors.Unavailable()).code == "unavailable"
    assert last_error(ScriptedStream(whole), RuntimeError("ours")).code == "internal"


def test_a_stream_that_breaks_off_is_the_models() -> None:
    cut = ScriptedStream([delta("x")], StreamEnd(StreamEndKind.CUT))
    assert last_error(cut).code == "upstream_rubbish"
