"""The demo's exit status says whether every promise was kept."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Iterator
from typing import Any, cast
from uuid import UUID

import pytest

from tenantry.entrypoints.api_client import Api, Reply
from tenantry.entrypoints.demo import oracle, walk
from tenantry.entrypoints.demo.show import Failed, Show
from tenantry.ports.ledger import ProviderUsage


@pytest.fixture(autouse=True)
def _handlers() -> Iterator[None]:
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


@pytest.mark.parametrize(
    ("ending", "check", "status"),
    [
        (None, True, 0),
        (Failed("a promise"), True, 1),
        (Failed("a promise"), False, 1),
        (KeyboardInterrupt(), False, 0),  # how one that stays up is ended
        (KeyboardInterrupt(), True, 1),  # nothing was verified to its end
    ],
)
def test_only_a_walk_that_came_to_its_end_is_a_check_that_passed(
    ending: BaseException | None, check: bool, status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def play(show: Show, stack: contextlib.ExitStack, check: bool) -> None:
        if ending is not None:
            raise ending

    monkeypatch.setattr(walk, "_play", play)
    assert walk.run(check=check) == status


def test_what_is_piped_into_a_file_has_no_bar_and_no_empty_line(
    capsys: pytest.CaptureFixture[str],
) -> None:
    show = Show()
    with show.progress("uploading", 2) as bar:
        bar.advance(bar.task_ids[0])
    show.say("said")
    show.checked("checked")
    assert capsys.readouterr().out == "  said\n  ✓ checked\n"


REQUEST = UUID("01a22698-e57c-76ab-973e-3fa0a1359100")


class Bill:
    """The emulator's, of one chat call and one rerank."""

    def get(self, path: str) -> Reply:
        usage = {"input": 7, "output": 2, "cache_read": 0, "cache_write_5m": 0, "cache_write_1h": 0}
        chat = {"request_metadata": {"rid": str(REQUEST), "att": "0:1"}, "operation": "Converse"}
        nothing = dict.fromkeys(usage, 0)
        rerank = {"request_metadata": {}, "operation": "Rerank", "search_units": 3}
        records = [
            {**chat, "usage": usage, "guardrail": {}},
            {**rerank, "usage": nothing, "guardrail": {}},
        ]
        return Reply(200, {}, {"records": records, "more": False})


class Ledger:
    def __init__(self, rerank_units: int) -> None:
        self._rerank_units = rerank_units

    async def provider_usage(self) -> list[ProviderUsage]:
        return [
            ProviderUsage(REQUEST, 0, 1, {"uncached_in": 7, "out": 2}),
            ProviderUsage(UUID(int=1), 0, 1, {"rerank_units": self._rerank_units}),
        ]

    async def violations(self) -> list[Any]:
        return []


def test_a_rerank_which_names_no_attempt_is_compared_by_its_queries(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(oracle, "SETTLE_S", 0)

    def reconcile(ledger: Ledger) -> None:
        def keeper(use: Any) -> Any:
            return asyncio.run(use(ledger))

        oracle.reconcile(Show(), cast(Api, Bill()), keeper)

    reconcile(Ledger(rerank_units=3))
    assert "the difference is 0" in capsys.readouterr().out
    with pytest.raises(Failed, match="first reranks"):
        reconcile(Ledger(rerank_units=2))
