"""A streamed answer from documents: told as it comes, and as broken where it does not end."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from tests.support.answers import ACME, EMBEDDED, OUTAGE, WHAT, Shelf, answers, passage, rows
from tests.support.scripted import (
    Core,
    Script,
    ScriptedStream,
    context,
    delta,
    error_frame,
    event,
    message_stop,
    metadata,
)
from tests.support.skipping import run

from tenantry.application.answers import Answer
from tenantry.domain import errors
from tenantry.ports.model import StreamEnd, StreamEndKind


def streamed(shelf: Shelf, *script: Script) -> tuple[Core, list[str], Answer | None]:
    async def walk() -> tuple[Core, list[str], Answer | None]:
        worker, made = answers(shelf, *script)
        stream = await made.ask_stream(context(ACME), WHAT)
        texts = [text async for text in stream.texts]
        await worker.tasks.drain(60_000)
        return worker, texts, stream.result

    return run(walk())


def test_a_streamed_answer_cites_and_is_settled_before_its_end() -> None:
    stream = ScriptedStream([delta("It rents "), delta("[1]."), message_stop(), metadata()])
    worker, texts, result = streamed(Shelf({"tnt_acme": [passage("rents")]}), EMBEDDED, stream)
    assert texts == ["It rents ", "[1]."]
    assert result is not None
    assert (result.answer, [c.number for c in result.citations]) == ("It rents [1].", [1])
    assert result.charge > Decimal("0.0315")
    assert rows(worker) == [(0, 1, "settled"), (1, 1, "settled")]


@pytest.mark.parametrize(
    "payload", [{}, {"delta": None}, {"delta": {"text": 5}}, {"delta": "text"}]
)
def test_a_delta_that_cannot_be_read_is_rubbish(payload: dict[str, Any]) -> None:
    stream = ScriptedStream([event("contentBlockDelta", payload), metadata()])
    with pytest.raises(errors.UpstreamRubbish):
        streamed(Shelf({"tnt_acme": []}), EMBEDDED, stream)


@pytest.mark.parametrize(
    ("stream", "told"),
    [
        (
            ScriptedStream(
                [delta("It "), error_frame("somethingNew")],
                StreamEnd(StreamEndKind.EXCEPTION, error_type="somethingNew"),
            ),
            errors.UpstreamFailed,
        ),
        (ScriptedStream([delta("It "), metadata()]), errors.UpstreamRubbish),
    ],
)
def test_an_answer_that_did_not_come_to_its_end_is_none(
    stream: ScriptedStream, told: type[Exception]
) -> None:
    """An error frame, or usage without a word that the model had ended."""

    async def walk() -> None:
        _, made = answers(Shelf({"tnt_acme": []}), EMBEDDED, stream)
        answering = await made.ask_stream(context(ACME), WHAT)
        with pytest.raises(told):
            _ = [text async for text in answering.texts]
        assert answering.result is None

    run(walk())


@pytest.mark.parametrize(
    ("shelf", "told", "left"),
    [
        (Shelf({"tnt_acme": []}, no_key=OUTAGE), errors.Unavailable, [(0, 1, "released")]),
        (
            Shelf({"tnt_acme": []}, no_key=RuntimeError("ours")),
            errors.TenantryError,
            [(0, 1, "released")],
        ),
        (Shelf({"tnt_acme": []}, OUTAGE), errors.Unavailable, [(0, 1, "settled")]),
    ],
)
def test_a_stream_that_never_begins_says_so_and_is_settled(
    shelf: Shelf, told: type[Exception], left: list[tuple[int, int, str]]
) -> None:
    async def walk() -> Core:
        worker, made = answers(shelf, EMBEDDED)
        with pytest.raises(told):
            await made.ask_stream(context(ACME), WHAT)
        await worker.tasks.drain(60_000)
        return worker

    assert rows(run(walk())) == left
