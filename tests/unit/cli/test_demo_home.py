"""What the demo keeps in its home, so that its batches and its tenants are found again."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import tomllib
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from tests.support.ports import free_port
from tests.support.settings import load_settings

from bedrock_emulator.config import load
from tenantry.adapters import shipped
from tenantry.config import Settings
from tenantry.domain.errors import NotFound
from tenantry.domain.placement import Placement
from tenantry.entrypoints.demo import stage, walk
from tenantry.entrypoints.demo.cast import ROLES, Player, assign
from tenantry.entrypoints.demo.ground import claim, emulator_port, keep_mark, read_mark
from tenantry.entrypoints.demo.show import Failed
from tenantry.entrypoints.demo.stage import account_credentials, buckets_of, emulator, gateway


def settings_of(home: Path, **more: str) -> Settings:
    """As a shell that knows the home, and these, has them."""
    return load_settings({"TENANTRY_HOME": str(home), **more})


def test_every_process_of_the_home_finds_the_demos_buckets(tmp_path: Path) -> None:
    home = claim(settings_of(tmp_path / 'a "demo" ümläut'))
    for _ in range(2):
        assert settings_of(home).s3_folder == buckets_of(home)
        assert claim(settings_of(home)) == home, "by the line that it wrote"
    text = (home / "tenantry.toml").read_text()
    (home / "tenantry.toml").write_text(f"http_port = 8081\n{text}")
    moved = home.rename(tmp_path / "moved")
    claim(settings_of(moved))
    assert settings_of(moved).s3_folder == buckets_of(moved)
    assert settings_of(moved).http_port == 8081
    assert len(tomllib.loads((moved / "tenantry.toml").read_text())) == 2


def test_the_demos_buckets_are_its_own_by_any_path_and_others_are_refused(tmp_path: Path) -> None:
    (real := tmp_path / "real").mkdir()
    (linked := tmp_path / "linked").symlink_to(real)
    for home, other in ((linked, real), (real, linked)):
        assert claim(settings_of(home, TENANTRY_S3_FOLDER=str(buckets_of(other)))) == home
    with pytest.raises(Failed, match="unset TENANTRY_S3_FOLDER;"):
        claim(settings_of(real, TENANTRY_S3_FOLDER=str(tmp_path / "s3")))
    fresh = tmp_path / "fresh"
    fresh.mkdir()
    (file := fresh / "tenantry.toml").write_text(line := f's3_folder = "{tmp_path / "s3"}"\n')
    with pytest.raises(Failed, match=f"unset s3_folder in file {file};"):
        claim(settings_of(fresh))
    assert [path.read_text() for path in fresh.iterdir()] == [line]
    file.write_text(own := f's3_folder = "{buckets_of(fresh)}"\n')
    claim(settings_of(fresh))
    assert file.read_text() == own


def test_the_emulator_reads_and_writes_batches_in_those_buckets(tmp_path: Path) -> None:
    file = tmp_path / "emulator.toml"
    file.write_text(stage._emulator_config(tmp_path, account_credentials(tmp_path)))
    assert load(file).s3_dir == buckets_of(tmp_path)


@pytest.fixture
def echo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In place of Python: a program that is ready at once, and tells how it was started."""
    program = tmp_path / "echo"
    program.write_text(
        '#!/bin/sh\nprintf \'{"words": "%s", "s3": "%s"}\\n\' "$*" "$TENANTRY_S3_FOLDER"\n'
    )
    program.chmod(0o700)
    monkeypatch.setattr(stage.sys, "executable", str(program))


@pytest.mark.usefixtures("echo")
def test_the_gateway_has_them_whatever_file_of_settings_it_reads(tmp_path: Path) -> None:
    with gateway(tmp_path, ("--http-port", "0")) as ready:
        assert ready["s3"] == str(buckets_of(tmp_path))
        assert ready["words"].endswith(
            f"serve --parent {os.getpid()} --exit-with-parent --ready-json --http-port 0"
        )


@pytest.mark.usefixtures("echo")
def test_the_emulator_listens_where_it_is_told(tmp_path: Path) -> None:
    with emulator(tmp_path, 4577) as ready:
        assert "--http-port 4577 " in ready["words"]
    assert buckets_of(tmp_path).is_dir()


@pytest.fixture
def port() -> int:
    return free_port()


def test_the_emulator_is_where_it_was_so_that_its_batch_jobs_are_found_again(
    tmp_path: Path, port: int
) -> None:
    home = claim(Settings(home=tmp_path))
    assert emulator_port(home) == 0, "it never was anywhere"
    keep_mark(home, {"tenants": [], "emulator_url": f"http://127.0.0.1:{port}"})
    with socket.create_server(("127.0.0.1", port)):
        assert emulator_port(home) == 0, "somebody else listens there"
    assert emulator_port(home) == port
    keep_mark(home, {"tenants": [], "emulator_url": "http://127.0.0.1:99999"})
    assert emulator_port(home) == 0


def test_a_walk_starts_the_emulator_there(
    tmp_path: Path, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep_mark(tmp_path, {"tenants": [], "emulator_url": f"http://127.0.0.1:{port}"})
    asked: list[tuple[Path, int]] = []

    @contextlib.contextmanager
    def started(home: Path, at: int) -> Iterator[Any]:
        asked.append((home, at))
        raise Failed("no further")
        yield

    monkeypatch.setattr(walk, "settings", lambda: Settings(home=tmp_path))
    monkeypatch.setattr(walk, "emulator", started)
    monkeypatch.setattr(walk.signal, "signal", lambda *_: None)
    assert walk.run(check=True) == 1
    assert asked == [(tmp_path, port)]


class Control:
    """A control plane that keeps placements and tenants, and counts keys."""

    def __init__(self) -> None:
        self.placements: dict[str, Placement] = {}
        self.tenants: dict[str, Any] = {}
        self.keys = 0

    async def apply_placement(self, placement: Placement) -> None:
        self.placements[placement.id] = placement

    async def apply_models(self, models: object) -> None:
        pass

    async def current_prices(self) -> Any:
        return shipped.emulator_prices()

    async def get_tenant(self, name: str) -> Any:
        if name not in self.tenants:
            raise NotFound
        return self.tenants[name]

    async def create_tenant(self, name: str, *, plan: str, placement: str) -> Any:
        self.tenants[name] = SimpleNamespace(
            id=f"tnt_{name}",
            name=name,
            plan=SimpleNamespace(name=plan),
            placement=SimpleNamespace(kind=placement),
        )
        return self.tenants[name]

    async def create_key(self, tenant_id: str, **_: object) -> Any:
        self.keys += 1
        return SimpleNamespace(bearer=f"tk_{self.keys}", access_key_id="A", secret_access_key="s")


def assigned(control: Any, home: Path) -> dict[str, Player]:
    return asyncio.run(assign(control, home, "http://127.0.0.1:4566"))


def test_each_placement_has_a_bucket_of_its_own_and_tenants_keep_their_keys(tmp_path: Path) -> None:
    home, control = claim(Settings(home=tmp_path)), Control()
    players = assigned(control, home)
    assert {
        each.id: (each.endpoint_url, each.batch_s3_uri, each.batch_role_arn)
        for each in control.placements.values()
    } == {
        kind: (
            "http://127.0.0.1:4566",
            f"s3://demo-{kind}/batches",
            f"arn:aws:iam::{account}:role/batches",
        )
        for kind, account in (("pool", "111111111111"), ("silo", "222222222222"))
    }
    keep_mark(home, {"tenants": [asdict(player) for player in players.values()]})
    assert assigned(control, home) == players
    assert control.keys == len(ROLES)


@pytest.mark.parametrize("left", ["", "{", "[]", '{"tenants": [{"name": "old"}]}', "{}"])
def test_a_file_that_is_not_what_the_demo_wrote_is_named_with_what_to_do(
    left: str, tmp_path: Path
) -> None:
    home = claim(Settings(home=tmp_path))
    (home / "demo.json").write_text(left)
    assert claim(Settings(home=tmp_path)) == home
    with pytest.raises(Failed) as failed:
        emulator_port(home)
        assigned(Control(), home)
    said = str(failed.value)
    assert said.startswith(f"{home / 'demo.json'} cannot be read: ")
    (home / "demo.json").write_text(said.partition("; write ")[2].partition(" into it")[0])
    assert emulator_port(home) == 0
    assert assigned(Control(), home).keys() == ROLES.keys()


def test_an_unreadable_file_of_credentials_is_named(tmp_path: Path) -> None:
    made = account_credentials(tmp_path)
    assert account_credentials(tmp_path) == made
    file = tmp_path / "control" / "credentials.json"
    assert file.stat().st_mode & 0o777 == 0o600
    file.write_text("")
    with pytest.raises(Failed, match=f"{file} cannot be read: "):
        account_credentials(tmp_path)


def test_what_dies_while_it_writes_leaves_what_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = claim(Settings(home=tmp_path))
    kept = {"tenants": [], "emulator_url": "http://127.0.0.1:4566"}
    keep_mark(home, kept)
    assert (home / "demo.json").stat().st_mode & 0o777 == 0o600

    def dies(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "replace", dies)
    with pytest.raises(KeyboardInterrupt):
        keep_mark(home, {"tenants": ["other"]})
    assert read_mark(home) == kept
