"""`tenantry doctor` on an embedded database that does not run says why, where that is known."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from tenantry.adapters.postgres.guardian.status import ClusterStatus, State, write_status
from tenantry.entrypoints.cli.doctor import doctor

WHY = "FATAL: out of luck"


@pytest.fixture
def home(home: Path) -> Path:
    """A home whose database was made and does not run."""
    (home / "cluster").write_text(json.dumps({"uuid": "0", "path": "postgres"}))
    return home


def say(home: Path, state: State, reason: str = "") -> None:
    write_status(home / "postgres.status", ClusterStatus(state, 0, 0, 1, "/run/x", reason=reason))


def problems() -> tuple[int, list[str]]:
    done = CliRunner().invoke(doctor, ["--json"])
    found: list[str] = json.JSONDecoder().raw_decode(done.stdout)[0]["problems"]
    return done.exit_code, found


def test_one_that_was_stopped_is_nothing_wrong(home: Path) -> None:
    say(home, "stopped")
    assert problems() == (0, [])


def test_a_start_that_failed_is_told(home: Path) -> None:
    say(home, "stopped")
    (home / "postgres.failure").write_text(WHY)
    assert problems() == (1, [f"the last start of the database failed: {WHY}"])


def test_one_that_was_given_up_is_told(home: Path) -> None:
    say(home, "failed", WHY)
    assert problems() == (1, [f"the database was given up: {WHY}"])


def test_the_folder_of_the_database_is_a_path(home: Path) -> None:
    done = CliRunner().invoke(doctor, ["--json"])
    facts = json.JSONDecoder().raw_decode(done.stdout)[0]["facts"]
    assert facts["cluster folder"] == str(home / "postgres")
    assert "cluster file" not in facts
