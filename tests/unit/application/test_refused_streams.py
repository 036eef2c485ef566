"""A stream that was refused holds nothing of its request, once its caller has told the refusal."""

import pytest
from tests.support.core import principal
from tests.support.held import held_of
from tests.support.scripted import context, core
from tests.support.skipping import run

from tenantry.application.calls import ChatCall
from tenantry.application.streaming import StreamedAnswer
from tenantry.domain.errors import NotFound


@pytest.mark.parametrize("tenant", ["acme", "bolt"])
def test_it_is_let_go_without_the_collector(tenant: str) -> None:
    async def walk() -> None:
        worker = core()
        refused = ChatCall("ConverseStream", "nobody", {"messages": []})
        try:
            await worker.inference.stream(context(principal(tenant)), refused)
        except NotFound as refusal:
            refusal.__traceback__ = None  # as the edge does
        else:
            pytest.fail("it was not refused")

    with held_of(StreamedAnswer, ChatCall) as held:
        run(walk())
        assert not held()
