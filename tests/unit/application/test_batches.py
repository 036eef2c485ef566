"""A batch that cannot be planned says which of its records is at fault."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, cast

import pytest
from tests.support.core import CLAUDE, principal
from tests.support.scripted import context, core

from tenantry.application.batches import Batches
from tenantry.application.calls import ChatCall
from tenantry.domain.batch import RECORDS_MIN
from tenantry.domain.errors import BadRequest, LargerThanLimit

NOVA = SimpleNamespace(family="nova")
GOOD = ChatCall("Converse", "m", {"messages": []})


@dataclass
class Planned:
    """As much of a planned call as is looked at before it is noted."""

    resolved: Any = field(default_factory=lambda: SimpleNamespace(model=NOVA))
    operation: str = "Converse"
    guarded: bool = False
    output_least: int | None = None
    tiers: frozenset[str] = frozenset()
    pinned: dict[str, Any] = field(default_factory=dict)


@dataclass
class PlannedChat:
    planned: Planned


class Planning:
    """Knows what is wrong with a record, not which it is."""

    async def catalogue(self) -> None:
        return None

    async def salt(self, principal: object) -> None:
        return None

    def chat(self, principal: object, chat: ChatCall, *rest: object) -> Any:
        if chat.body.get("large"):
            raise LargerThanLimit("it is larger than the budget", limit="monthly_budget")
        return PlannedChat(Planned(guarded=bool(chat.body.get("guarded"))))


def refusal(*odd: tuple[int, ChatCall]) -> BadRequest:
    """Of a batch whose other records are good."""
    chats = [GOOD] * RECORDS_MIN
    for number, chat in odd:
        chats[number - 1] = chat
    none = cast("Any", None)
    planning = cast("Any", Planning())
    ctx = cast("Any", SimpleNamespace(principal=None))
    tasks = cast("Any", SimpleNamespace(start=lambda work, name: work))

    async def submitted() -> None:
        batches = Batches(none, planning, none, none, none, tasks, "local")
        await batches.submit(ctx, chats)

    with pytest.raises(BadRequest) as caught:
        asyncio.run(submitted())
    return caught.value


def test_a_record_at_fault_is_named_and_its_refusal_stays_what_it_is() -> None:
    found = refusal((42, ChatCall("Converse", "m", {"large": True})))
    assert isinstance(found, LargerThanLimit)
    assert found.message == "record 42: it is larger than the budget"
    assert found.details == {"limit": "monthly_budget"}
    tiered = ChatCall("Converse", "m", {}, service_tier="flex")
    assert refusal((7, tiered)).message.startswith("record 7: ")


def test_what_is_wrong_with_all_records_names_none() -> None:
    guarded = ChatCall("Converse", "m", {"guarded": True})
    assert refusal((42, guarded)).message == "batch inference takes no guardrail"


@pytest.mark.parametrize("name", ["acme", "bolt"])
def test_a_record_that_names_an_object_of_the_bucket_is_refused_as_any_bad_one(name: str) -> None:
    """The batch bucket holds the records of all tenants, and the role of a job may read it."""
    source = {"s3Location": {"uri": "s3://batches/jobs/records.jsonl.out"}}
    document = {"document": {"format": "txt", "name": "d", "source": source}}

    def chat(*blocks: Any) -> ChatCall:
        messages = [{"role": "user", "content": [{"text": "x"}, *blocks]}]
        return ChatCall("Converse", CLAUDE.id, {"messages": messages})

    worker, none = core(), cast("Any", None)
    chats = [chat()] * RECORDS_MIN
    chats[41] = chat(document)
    batches = Batches(worker.gate, worker.planning, none, none, none, worker.tasks, "local")
    with pytest.raises(BadRequest, match=r"record 42: `document\.source\.s3Location`"):
        asyncio.run(batches.submit(context(principal(name)), chats))
    assert worker.admission.reservations == []
