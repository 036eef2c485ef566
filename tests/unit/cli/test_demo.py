"""The demo's exit status says whether every promise was kept."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shlex
import signal
from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any, cast
from uuid import UUID

import pytest
from tests.support.command_line import StatusOf
from tests.support.settings import load_settings

from tenantry.config import Settings, setting_names, variable_of
from tenantry.entrypoints.api_client import Api, Reply
from tenantry.entrypoints.demo import acts, oracle, walk
from tenantry.entrypoints.demo.cast import Player
from tenantry.entrypoints.demo.farewell import print_how_to_go_on
from tenantry.entrypoints.demo.ground import claim
from tenantry.entrypoints.demo.show import Failed, Show
from tenantry.ports.ledger import ProviderUsage

Refused = Callable[[Path, Mapping[str, str]], str]


@pytest.fixture(autouse=True)
def _handlers() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP)}
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_demo_that_is_told_to_end_takes_down_what_it_set_up(
    number: signal.Signals, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken_down: list[bool] = []

    def play(show: Show, stack: contextlib.ExitStack, check: bool) -> None:
        stack.callback(taken_down.append, True)
        signal.raise_signal(number)

    monkeypatch.setattr(walk, "_play", play)
    assert walk.run(check=False) == 0
    assert taken_down == [True]


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


@pytest.fixture
def refused(
    status_of: StatusOf, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Refused:
    """What `tenantry demo --check` says in a home with these settings, before it begins."""

    def begun(*_: object) -> None:
        raise AssertionError("the demo has begun")

    def run(home: Path, more: Mapping[str, str]) -> str:
        for name in os.environ.keys() & set(map(variable_of, setting_names())):
            monkeypatch.delenv(name)
        for name, value in {"TENANTRY_HOME": str(home), **more}.items():
            monkeypatch.setenv(name, value)
        assert status_of("demo", "--check") == 1
        return " ".join(capsys.readouterr().out.split())

    monkeypatch.setattr(walk, "emulator", begun)
    return run


@pytest.mark.parametrize(
    "outside",
    [
        {"TENANTRY_DATABASE_URL": "postgresql://master:secret@127.0.0.1:1/tenantry"},
        {"TENANTRY_KMS": "arn:aws:kms:eu-central-1:123456789012:alias/tenantry"},
        {"TENANTRY_KEY_STORE_URL": "s3://keys/tenantry"},
        {"TENANTRY_PGVECTOR_URL": "postgresql://master:secret@127.0.0.1:1/vectors"},
        {"TENANTRY_ARCHIVE_FOLDER": "/srv/archive"},
    ],
)
def test_the_demo_writes_nothing_where_settings_lead_out_of_its_folder(
    refused: Refused, tmp_path: Path, outside: dict[str, str]
) -> None:
    home = tmp_path / "home"
    said = refused(home, outside)
    assert next(iter(outside)) in said and "nothing was written" in said
    assert "secret@" not in said and not home.exists()


def test_the_demo_writes_nothing_into_a_deployment_that_it_did_not_make(
    refused: Refused, tmp_path: Path
) -> None:
    keys = tmp_path / "control" / "credentials.json"
    keys.parent.mkdir()
    keys.write_text("{}")
    assert "is a deployment that the demo did not make" in refused(tmp_path, {})
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [keys]


def test_a_data_folder_of_the_demo_is_taken_up_again_also_after_a_walk_that_broke_off(
    tmp_path: Path,
) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (home / "tenantry.toml").write_text("http_port = 8081\n")
    assert claim(Settings(home=home)) == home
    (home / "control").mkdir()
    (home / "accounts").mkdir()
    assert claim(Settings(home=home)) == home


def test_the_lines_to_go_on_with_are_settings_that_there_are_and_whole_keys(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    front = {
        "http_url": "http://127.0.0.1:8080",
        "https_url": "https://127.0.0.1:9443",
        "admin_url": "http://127.0.0.1:9191",
        "ca_bundle": "/ca.pem",
    }
    players = {name: player(name) for name in ("python", "sqlite")}
    print_how_to_go_on(Show(), tmp_path, front, players)
    lines = capsys.readouterr().out.splitlines()
    assert {each.key for each in players.values()} <= set(lines)
    assert {"http://127.0.0.1:8080/docs", "http://127.0.0.1:9191/docs"} <= set(lines)
    exported = dict(
        shlex.split(line.removeprefix("export "))[0].split("=", 1)
        for line in lines
        if line.startswith("export TENANTRY_")
    )
    config = load_settings(exported)
    assert (config.home, config.api_key) == (tmp_path, players["sqlite"].key)
    assert (config.https_port, config.admin_port) == (9443, 9191)
    assert "TENANTRY_HTTP_PORT" not in exported  # the default


@pytest.mark.parametrize("elsewhere", [True, False])
def test_one_that_ends_says_what_brings_it_back_and_how_to_be_rid_of_it(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    elsewhere: bool,
) -> None:
    home, cluster = tmp_path / "my demo", tmp_path / "cluster"
    folder = str(cluster) if elsewhere else "postgres"

    def play(show: Show, stack: contextlib.ExitStack, check: bool) -> None:
        claim(Settings(home=home))
        (home / "cluster").write_text(f'{{"uuid": "0", "path": "{folder}"}}')
        raise KeyboardInterrupt

    monkeypatch.setenv("TENANTRY_HOME", str(home))
    monkeypatch.setattr(walk, "_play", play)
    assert walk.run(check=False) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "make demo" in lines and any("`tenantry serve` alone" in line for line in lines)
    assert shlex.split(lines[-1])[2:] == [str(home), *([str(cluster)] if elsewhere else [])]
    assert walk.run(check=True) == 1
    assert capsys.readouterr().out == "  stopped\n"


def player(name: str) -> Player:
    key = f"tk_{name}_" + "0123456789abcdef" * 6
    return Player("tnt_01hzzzzzzzzzzzzzzzzzzzzzzz", name, "pro", "pool", key, "AKIA", "secret")


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
BATCH = UUID(int=79)


class Bill:
    """The emulator's, of one chat call and one rerank."""

    def get(self, path: str) -> Reply:
        usage = {"input": 7, "output": 2, "cache_read": 0, "cache_write_5m": 0, "cache_write_1h": 0}
        chat = {"request_metadata": {"rid": str(REQUEST), "att": "0:1"}, "operation": "Converse"}
        nothing = dict.fromkeys(usage, 0)
        rerank = {"request_metadata": {}, "operation": "Rerank", "search_units": 3}
        batched = {"request_metadata": {"rid": str(BATCH)}, "operation": "BatchInference"}
        batched |= {"record_id": "R0000000079", "usage": usage, "guardrail": {}}
        records = [
            batched,
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
            ProviderUsage(BATCH, 79, 1, {"uncached_in": 7, "out": 2}),
        ]

    async def violations(self, hold: timedelta) -> list[Any]:
        return []


class UsedUp:
    """A gateway whose tenant has used up its minute a moment ago."""

    def __init__(self) -> None:
        self.asked = 0

    def post(self, path: str, body: Any) -> Reply:
        self.asked += 1
        if self.asked == 1:
            return Reply(429, {"retry-after": "7"}, {"code": "rate_limited"})
        cited = {"answer": "yes", "citations": [{"title": "T"}]}
        return Reply(200, {}, cited)


def test_a_walk_just_after_another_waits_until_the_plans_minute_has_room(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    gateway, waited = UsedUp(), list[float]()
    monkeypatch.setattr(acts.time, "sleep", waited.append)
    monkeypatch.setattr(acts.Walk, "api", lambda walk, role: gateway)
    acts.questions(acts.Walk(Show(), "", cast(Api, None), {"python": player("python")}))
    assert (waited, gateway.asked) == ([7], 1 + acts.QUESTIONS_SHOWN)


def test_a_rerank_which_names_no_attempt_is_compared_by_its_queries(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(oracle, "SETTLE_S", 0)

    def reconcile(ledger: Ledger) -> None:
        def keeper(use: Any) -> Any:
            return asyncio.run(use(ledger))

        oracle.reconcile(Show(), cast(Api, Bill()), keeper, timedelta(hours=72))

    reconcile(Ledger(rerank_units=3))
    assert "the difference is 0" in capsys.readouterr().out
    with pytest.raises(Failed, match="first reranks"):
        reconcile(Ledger(rerank_units=2))
