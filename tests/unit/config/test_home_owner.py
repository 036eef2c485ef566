"""Root is told whose the data folder is before it leaves anything in it."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from click.testing import CliRunner

from tenantry.bootstrap.deployment import env_told, examined_settings, settings
from tenantry.config import SettingsError
from tenantry.entrypoints.cli.doctor import doctor
from tenantry.entrypoints.cli.migrate import migrate

NOBODY = 54_321  # no user of any machine

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give folders away")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    made = tmp_path / "home"
    made.mkdir(mode=0o700)
    monkeypatch.setenv("TENANTRY_HOME", str(made))
    monkeypatch.delenv("TENANTRY_DATABASE_URL", raising=False)
    return made


def test_root_leaves_nothing_in_the_folder_of_another_user(home: Path) -> None:
    os.chown(home, NOBODY, NOBODY)
    refused = CliRunner().invoke(migrate)
    assert isinstance(refused.exception, SettingsError)
    assert str(refused.exception) == (
        f"{home} (TENANTRY_HOME) belongs to the user id {NOBODY}, who could not read what root"
        f" leaves in it: run this as that user (sudo -u '#{NOBODY}' …, with the same settings)"
    )
    assert list(home.iterdir()) == []
    told = CliRunner().invoke(doctor)
    assert told.exit_code == 1
    assert "sudo -u" in told.output


def test_an_owner_that_has_a_name_is_named(home: Path) -> None:
    os.chown(home, 1, 1)
    _, (problem,) = examined_settings()
    assert "belongs to the user daemon, " in problem
    assert "(sudo -u daemon …" in problem


def test_what_root_has_made_stays_roots(home: Path) -> None:
    settings()
    os.chown(home, NOBODY, NOBODY)
    (home / "control").mkdir()
    settings()
    os.chown(home / "control", NOBODY, NOBODY)
    with pytest.raises(SettingsError):
        settings()


def test_a_folder_that_is_not_there_is_nobodys(home: Path) -> None:
    home.rmdir()
    settings()


def test_a_user_without_a_name_and_a_home_is_told_what_to_set() -> None:
    """In a process of its own, which gives its rights up for good."""
    script = (
        "import os, sys; from tenantry.bootstrap.deployment import settings; os.setuid(54321)\n"
        "try: settings()\n"
        "except Exception as refused: sys.exit(f'{type(refused).__name__}: {refused}')"
    )
    bare = {name: value for name, value in os.environ.items() if name.startswith("PYTHON")}
    done = subprocess.run(
        [sys.executable, "-c", script], env=bare, capture_output=True, text=True, check=False
    )
    assert done.stderr == "SettingsError: TENANTRY_HOME must be set: this user has no home\n"


_ASKS = """
import os, sys
from click.testing import CliRunner
from tenantry.bootstrap.deployment import settings
from tenantry.entrypoints.cli.doctor import doctor
os.setuid(54321)
for os.environ["TENANTRY_HOME"] in sys.argv[1:]:
    try: settings()
    except Exception as refused: print(f"{type(refused).__name__}: {refused}")
    print(CliRunner().invoke(doctor).output, end="\\0")
"""


def test_who_may_not_look_into_the_folder_is_told_of_it_and_of_its_owner() -> None:
    """Not of a file in it, which need not be there."""
    with tempfile.TemporaryDirectory() as outer:
        home, closed = Path(outer, "home"), Path(outer, "closed")
        for made in (home, closed, closed / "home"):
            made.mkdir(mode=0o700)
        Path(outer).chmod(0o755)
        os.chown(home, 1, 1)
        os.chown(closed / "home", 1, 1)
        of_home, of_closed = _as_nobody(home, closed / "home")
    assert of_home.splitlines()[0] == (
        f"SettingsError: {home} (TENANTRY_HOME) belongs to the user daemon and is closed to"
        " this user: run this as that user (sudo -u daemon …, with the same settings)"
    )
    assert "(TENANTRY_HOME) lies in a folder that this user may not enter" in of_closed
    assert "tenantry.toml" not in of_home + of_closed


def _as_nobody(*homes: Path) -> list[str]:
    """What another user is told of each."""
    kept = {name: value for name, value in os.environ.items() if name.startswith("PYTHON")}
    done = subprocess.run(
        [sys.executable, "-c", _ASKS, *map(str, homes)],
        env=kept,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split("\0")[:-1]


def test_the_log_has_the_label_of_a_deployment_that_was_given_one(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TENANTRY_ENV", raising=False)
    assert env_told(settings()) == ""
    monkeypatch.setenv("TENANTRY_ENV", "staging")
    assert env_told(settings()) == "staging"
