"""A chat of the client's own with passages: what leaves, what is reserved, what is cited."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import orjson
import pytest
from tests.support.answers import EMBEDDED, Shelf, grounded, passage, rows
from tests.support.core import CLAUDE, GPT, TITAN, plan, principal
from tests.support.read_passages import ReadPassage
from tests.support.scripted import (
    Core,
    ScriptedStream,
    context,
    converse_reply,
    delta,
    event,
    message_stop,
    metadata,
    reply,
)
from tests.support.skipping import run

from tenantry.application.asking import chat_question
from tenantry.application.calls import ChatCall
from tenantry.application.grounded import GroundedCompleted
from tenantry.domain import errors
from tenantry.domain.chunk import CHUNK_CHARS_MAX
from tenantry.domain.grounding import GROUNDING_RULES
from tenantry.domain.prompt import fenced

PLAN = plan(
    default_model="claude",
    embedding_model=TITAN.id,
    max_tokens_default=100,
    service_tiers_allowed=["priority"],
)
ACME = principal("acme", PLAN)
SILO = principal("acme", PLAN, id="silo", kind="silo")
GIVEN = [passage("A tenant rents."), passage("It pays.")]
POINT = {"cachePoint": {"type": "default"}}
BODY: dict[str, Any] = {
    "system": [{"text": "Be brief."}],
    "messages": [{"role": "user", "content": [{"text": "What is a tenant?"}]}],
}


def chat(body: Any = BODY, **more: Any) -> ChatCall:
    return ChatCall("Converse", "claude", body, **more)


def complete(
    asked: ChatCall, *script: Any, who: Any = ACME, shelf: Shelf | None = None, top_k: int = 3
) -> tuple[Core, GroundedCompleted]:
    worker, made = grounded(shelf or Shelf({"tnt_acme": GIVEN}), EMBEDDED, *script)
    return worker, run(made.complete(context(who), chat_question(asked, top_k)))


def sent(worker: Core) -> Any:
    return orjson.loads(worker.model.attempts[-1].body)


def test_a_chat_is_one_reservation_of_two_calls_and_leaves_with_its_passages() -> None:
    worker, found = complete(chat(), converse_reply("It rents [1]. It pays [2] [7]."))
    assert [citation.number for citation in found.citations] == [1, 2]
    assert list(found.passages) == GIVEN
    assert rows(worker) == [(0, 1, "settled"), (1, 1, "settled")]
    assert len(worker.admission.reservations) == 1
    assert found.done.charge == Decimal("0.0315") + Decimal("0.02") * 4 * 3 / 10**6
    body = sent(worker)
    assert body["system"] == [{"text": "Be brief."}, {"text": GROUNDING_RULES}]
    (message,) = body["messages"]
    assert message["content"] == [{"text": fenced(GIVEN)}, {"text": "What is a tenant?"}]


def test_the_embedding_is_of_the_question() -> None:
    worker, _ = complete(chat(), converse_reply())
    assert orjson.loads(worker.model.attempts[0].body)["inputText"] == "What is a tenant?"


def test_a_cache_of_the_pool_is_salted_and_a_silos_is_not() -> None:
    marked = {**BODY, "system": [{"text": "Be brief."}, POINT]}
    system = [{"text": "Be brief."}, POINT, {"text": GROUNDING_RULES}]
    worker, _ = complete(chat(marked), converse_reply())
    assert sent(worker)["system"] == [{"text": "[salt of tnt_acme]"}, *system]
    worker, _ = complete(chat(marked), converse_reply(), who=SILO)
    assert sent(worker)["system"] == system


def test_what_a_provider_caches_unasked_is_salted_too() -> None:
    worker, _ = complete(replace(chat(), model=GPT.id), converse_reply())
    assert sent(worker)["system"][0] == {"text": "[salt of tnt_acme]"}


def test_the_preamble_of_the_plan_is_there_as_ever() -> None:
    who = principal("acme", replace(PLAN, preamble="Say du."))
    worker, _ = complete(chat(), converse_reply(), who=who)
    assert [block["text"] for block in sent(worker)["system"]][:2] == ["Say du.", "Be brief."]


def test_tier_and_metadata_of_the_client_go_with_its_call_alone() -> None:
    asked = chat(service_tier="priority", request_metadata={"team": "a"})
    served = {**converse_reply().document, "serviceTier": {"type": "priority"}}
    worker, found = complete(asked, reply(served))
    assert "serviceTier" not in orjson.loads(worker.model.attempts[0].body)
    assert (sent(worker)["serviceTier"], sent(worker)["requestMetadata"]["team"]) == (
        {"type": "priority"},
        "a",
    )
    dearer = Decimal("0.0315") * Decimal("1.75")
    assert found.done.charge == dearer + Decimal("0.02") * 4 * 3 / 10**6
    with pytest.raises(errors.Forbidden, match="tier"):
        complete(chat(service_tier="flex"), converse_reply())


@pytest.mark.parametrize("shelf", [Shelf(), Shelf({"tnt_acme": []})])
def test_where_nothing_is_found_the_chat_leaves_as_it_came(shelf: Shelf) -> None:
    embeds = [EMBEDDED] if shelf.passages else []
    worker, made = grounded(shelf, *embeds, converse_reply("Nothing [1]."))
    found = run(made.complete(context(ACME), chat_question(chat(), 3)))
    assert (list(found.citations), list(found.passages)) == ([], [])
    leaves = {name: sent(worker)[name] for name in BODY}
    assert leaves == BODY
    assert rows(worker)[0] == (0, 1, "settled" if embeds else "released")


def test_another_tenants_passages_are_in_no_prompt() -> None:
    shelf = Shelf({"tnt_acme": [passage("acme's")], "tnt_bolt": [passage("bolt's")]})
    for name, other in (("acme", "bolt"), ("bolt", "acme")):
        worker, found = complete(
            chat(), converse_reply("So [1]."), who=principal(name, PLAN), shelf=shelf
        )
        assert f"{name}'s".encode() in worker.model.attempts[1].body
        assert f"{other}'s".encode() not in worker.model.attempts[1].body
        assert [citation.text for citation in found.citations] == [f"{name}'s"]


def test_passages_that_do_not_fit_are_left_out_from_the_worst_on() -> None:
    wide = "𝄞" * (CHUNK_CHARS_MAX - 5)  # four bytes a character; three are reserved
    given = [passage("best " + wide), passage("good " + wide), passage("last " + wide)]
    worker, found = complete(chat(), converse_reply("[1]"), shelf=Shelf({"tnt_acme": given}))
    told = sent(worker)["messages"][0]["content"][0]["text"]
    assert 0 < told.count("</passage>") == len(found.passages) < 3
    assert "best" in told and list(found.passages) == given[: len(found.passages)]


def test_a_passage_is_fenced_once_however_often_fewer_of_them_are_tried() -> None:
    wide = "<𝄞" * (CHUNK_CHARS_MAX // 2)
    given: list[Any] = [ReadPassage(wide + "𝄞" * 400) for _ in range(20)]
    _, found = complete(chat(), converse_reply(""), shelf=Shelf({"tnt_acme": given}), top_k=20)
    assert 0 < len(found.passages) < 20
    assert [one.times for one in given] == [1] * 20


def test_no_more_passages_go_out_than_the_models_window_holds() -> None:
    """Though nothing more is reserved for them: a reservation ends at the window."""
    small = replace(CLAUDE, id="small", alias=None, window=8_000, price_key=CLAUDE.price_key)
    given = [passage(f"{number} " + "x" * 990) for number in range(40)]
    worker, made = grounded(Shelf({"tnt_acme": given}), EMBEDDED, converse_reply("[1]"))
    worker.directory.found = type(worker.directory.found)([*worker.directory.found, small])
    asked = chat_question(replace(chat(), model="small"), 40)
    found = run(made.complete(context(ACME), asked))
    told = worker.model.attempts[1].body
    assert 3 < len(found.passages) < 16
    assert len(told) < 2 * small.window


USE = {"toolUse": {"toolUseId": "t1", "name": "look", "input": {"at": "[1]"}}}
THOUGHT = {"reasoningContent": {"reasoningText": {"text": "So [1]."}}}


@pytest.mark.parametrize(
    ("content", "reason", "cited"),
    [
        ([{"text": "Look."}, USE], "tool_use", []),
        ([THOUGHT, {"text": "It pays [2]."}], "end_turn", [2]),
        ([{"text": "Blocked [1]."}], "guardrail_intervened", []),
        ([{"text": "One [1]. "}, {"text": "Two [2]."}], "end_turn", [1, 2]),
        ([], "end_turn", []),
    ],
)
def test_texts_alone_cite_and_no_guardrails_do(content: Any, reason: str, cited: list[int]) -> None:
    document = {
        "output": {"message": {"role": "assistant", "content": content}},
        "stopReason": reason,
        "usage": {"inputTokens": 1, "outputTokens": 1, "totalTokens": 2},
    }
    _, found = complete(chat(), reply(document))
    assert [citation.number for citation in found.citations] == cited
    assert orjson.loads(found.done.body) == document
    assert len(found.passages) == 2


@pytest.mark.parametrize(("stop", "cited"), [("end_turn", [1]), ("guardrail_intervened", [])])
def test_a_stream_knows_what_it_cites_when_the_message_ends(stop: str, cited: list[int]) -> None:
    frames = [
        event("contentBlockDelta", {"delta": {"reasoningContent": {"text": "[2]"}}}),
        delta("It rents "),
        delta("[1]."),
        event("messageStop", {"stopReason": stop}),
        metadata(),
    ]

    async def walk() -> tuple[Core, list[int] | None, list[Any]]:
        worker, made = grounded(Shelf({"tnt_acme": GIVEN}), EMBEDDED, ScriptedStream(frames))
        stream = await made.stream(context(ACME), chat_question(chat(), 3))
        told, passed = None, []
        async for frame in stream.frames:
            passed.append(frame.raw)
            if frame.event_type == "messageStop":
                told = [citation.number for citation in stream.citations]
        assert stream.charge == Decimal("0.0315") + Decimal("0.02") * 4 * 3 / 10**6
        assert list(stream.passages) == GIVEN
        return worker, told, passed

    worker, told, passed = run(walk())
    assert told == cited
    assert passed == [frame.raw for frame in frames]
    assert rows(worker) == [(0, 1, "settled"), (1, 1, "settled")]


def test_a_client_that_leaves_is_billed_in_full() -> None:
    async def walk() -> Core:
        stream = ScriptedStream([delta("It "), delta("rents."), message_stop(), metadata()])
        worker, made = grounded(Shelf({"tnt_acme": GIVEN}), EMBEDDED, stream)
        begun = await made.stream(context(ACME), chat_question(chat(), 3))
        begun.leave()
        await worker.tasks.drain(60_000)
        return worker

    worker = run(walk())
    assert rows(worker) == [(0, 1, "settled"), (1, 1, "settled")]
    assert all(outcome.charged for outcome in worker.admission.outcomes)


def test_a_chat_that_asks_nothing_is_refused_before_anything_is_reserved() -> None:
    picture = {"image": {"format": "png", "source": {"bytes": "AAAA"}}}
    with pytest.raises(errors.BadRequest, match="no user message has any text"):
        chat_question(chat({"messages": [{"role": "user", "content": [picture]}]}), 3)
