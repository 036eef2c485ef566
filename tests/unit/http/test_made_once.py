"""What is made when it is first asked for is made once, whoever asks meanwhile or goes away."""

from __future__ import annotations

import asyncio
import threading
from types import SimpleNamespace
from typing import Any

import pytest

from tenantry.entrypoints.http.dataplane import DATA_PLANE
from tenantry.entrypoints.http.made_once import MadeOnce
from tenantry.entrypoints.http.openapi import made, routes_for
from tenantry.entrypoints.http.response import Response

ROUTES = tuple(route for route in DATA_PLANE.routes if route.template.startswith("/v1/keys"))
CALL: Any = SimpleNamespace(request=SimpleNamespace(headers={}))


class Making:
    """Counts, and waits until it may go on."""

    def __init__(self) -> None:
        self.begun = threading.Event()
        self.may_go_on = threading.Event()
        self.times = 0
        self.faults = 0

    def __call__(self) -> bytes:
        self.times += 1
        self.begun.set()
        assert self.may_go_on.wait(60)
        if self.faults:
            self.faults -= 1
            raise OSError("full")
        return b"made"


def test_all_who_ask_meanwhile_get_the_same() -> None:
    making = Making()

    async def body() -> None:
        once = MadeOnce(making)
        asked = [asyncio.create_task(once()) for _ in range(20)]
        await asyncio.to_thread(making.begun.wait, 60)
        making.may_go_on.set()
        found = await asyncio.gather(*asked)
        assert all(one is found[0] for one in [*found, await once()])

    asyncio.run(body())
    assert making.times == 1


def test_who_goes_away_ends_nothing() -> None:
    making = Making()

    async def body() -> None:
        once = MadeOnce(making)
        first = asyncio.create_task(once())
        await asyncio.to_thread(making.begun.wait, 60)
        second = asyncio.create_task(once())
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        making.may_go_on.set()
        assert (await second, await once()) == (b"made", b"made")

    asyncio.run(body())
    assert making.times == 1


def test_what_failed_is_made_again_for_the_next() -> None:
    making = Making()
    making.may_go_on.set()
    making.faults = 1

    async def body() -> None:
        once = MadeOnce(making)
        for told in await asyncio.gather(once(), once(), return_exceptions=True):
            assert isinstance(told, OSError)
        assert await once() == b"made"

    asyncio.run(body())
    assert making.times == 2


def test_a_port_is_described_once_for_programs_and_people(monkeypatch: pytest.MonkeyPatch) -> None:
    described: list[str] = []
    really = made.document

    def document(title: str, *rest: Any) -> dict[str, Any]:
        described.append(title)
        return really(title, *rest)

    monkeypatch.setattr(made, "document", document)
    openapi, docs = (route.handler for route in routes_for("Some port", ROUTES))

    async def body() -> None:
        found = await asyncio.gather(*(ask(CALL) for ask in [docs, openapi] * 20))
        found += [await docs(CALL), await openapi(CALL)]
        assert len({id(one.body) for one in found if isinstance(one, Response)}) == 2

    asyncio.run(body())
    assert described == ["Some port"]
