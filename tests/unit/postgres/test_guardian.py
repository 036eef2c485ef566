"""The guardian is small: the standard library alone, and a log within its bounds."""

import subprocess
import sys
from pathlib import Path

import pytest

from tenantry.adapters.postgres.guardian import __main__ as guardian
from tenantry.adapters.postgres.guardian.status import ClusterStatus, read_status, write_status

_NAMES_OF_STRANGERS = """
import sys
import tenantry.adapters.postgres.guardian.__main__
names = {name.partition(".")[0] for name in sys.modules}
site = {"sitecustomize", "usercustomize", "tenantry"}
print(*(n for n in names - sys.stdlib_module_names - site if not n.startswith("_")))
"""


def test_it_imports_nothing_but_the_standard_library() -> None:
    command = [sys.executable, "-S", "-c", _NAMES_OF_STRANGERS]
    source_root = Path(guardian.__file__).parents[4]
    done = subprocess.run(
        command, env={"PYTHONPATH": str(source_root)}, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == []


def test_its_log_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guardian, "LOG_BYTES_MAX", 1_000)
    log = guardian.BoundedLog(tmp_path / "postgres.log")
    for number in range(1_000):
        log.write(f"line {number}\n".encode())
    sizes = {path.name: path.stat().st_size for path in tmp_path.iterdir()}
    assert sizes.keys() == {"postgres.log", "postgres.log.1"}
    assert sum(sizes.values()) < 2_100
    assert log.tail().splitlines() == [
        f"line {number}" for number in range(1_000 - guardian.TAIL_LINES_MAX, 1_000)
    ]


def test_a_log_that_cannot_be_written_does_not_stop_the_watch(tmp_path: Path) -> None:
    log = guardian.BoundedLog(tmp_path / "no such folder" / "postgres.log")
    log.write(b"FATAL: out of luck\n")
    assert log.tail().startswith("FATAL: out of luck\n(the log could not be written")


def test_the_status_is_read_as_written_and_rubbish_is_nothing(tmp_path: Path) -> None:
    path = tmp_path / "postgres.status"
    assert read_status(path) is None
    status = ClusterStatus("ready", 1, 2, 5432, "/run/x", restarts=3, reason="because")
    write_status(path, status)
    assert read_status(path) == status
    for rubbish in ("{", "[]", '{"state": "ready"}'):
        path.write_text(rubbish)
        assert read_status(path) is None
