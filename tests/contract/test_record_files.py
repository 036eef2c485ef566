"""Files in a folder and in a bucket are listed and read alike; S3 over its real wire.

The bucket is `tests/support/s3_server.py`: HTTP on loopback that speaks what reading S3 needs.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.support.s3_server import S3Server, s3_server

from tenantry.adapters.record_files.local import LocalFiles
from tenantry.adapters.record_files.s3 import S3Files
from tenantry.ports.record_files import RecordFiles

NAMES = ["a/1.txt", "a/2.txt", "a/b/3.txt", "a/b/4 and=more.txt", "ab/5.txt", "c/6.txt", "top.txt"]


@dataclass
class Place:
    files: RecordFiles
    server: S3Server | None = None


@pytest.fixture(scope="module")
def bucket() -> Iterator[S3Server]:
    with s3_server() as server:
        yield server


@pytest.fixture(params=["folder", "bucket"])
def place(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    bucket: S3Server,
) -> Place:
    if request.param == "folder":
        for name in NAMES:
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(name)
        return Place(LocalFiles(tmp_path))
    for name, value in bucket.environment().items():
        monkeypatch.setenv(name, value)
    bucket.objects = {f"logs/of/us/{name}": name.encode() for name in NAMES}
    bucket.objects["logs/of/others.txt"] = b"not ours"
    return Place(S3Files("s3://logs/of/us/"), bucket)


def test_everything_is_listed_in_order(place: Place) -> None:
    entries = list(place.files.entries())
    assert [entry.name for entry in entries] == NAMES
    assert [entry.bytes for entry in entries] == [len(name.encode()) for name in NAMES]
    assert all(entry.delivered_at.tzinfo is not None for entry in entries)


def test_a_folder_is_not_its_namesake(place: Place) -> None:
    assert [e.name for e in place.files.entries("a")] == NAMES[:4]
    assert [e.name for e in place.files.entries("a", after="a/2.txt")] == NAMES[2:4]
    assert [e.name for e in place.files.entries("nothing")] == []
    assert place.files.folders() == ["a", "ab", "c"]
    assert place.files.folders("a") == ["b"]
    assert place.files.folders("nothing") == []


def test_a_file_is_brought_to_this_machine(place: Place) -> None:
    for name in NAMES:
        with place.files.local(name) as path:
            assert path.read_text() == name
    assert (place.server is None) or not path.exists(), "what was brought is gone"


def test_an_outage_is_no_empty_folder(bucket: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in bucket.environment().items():
        monkeypatch.setenv(name, value)
    files = S3Files("s3://logs")
    bucket.fails = True
    try:
        for ask in (lambda: list(files.entries()), files.folders, lambda: opened(files, "x")):
            with pytest.raises(OSError, match="s3://logs"):
                ask()
    finally:
        bucket.fails = False
    with pytest.raises(OSError, match="s3://logs"):
        opened(files, "missing")


def opened(files: RecordFiles, name: str) -> None:
    with files.local(name):
        pass


@pytest.mark.parametrize("url", ["s3:/logs", "https://x/y", "s3://", "s3://UPPER/x", "s3://a\n/x"])
def test_what_is_no_location_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="no S3 location"):
        S3Files(url)


def test_one_file_alone(tmp_path: Path) -> None:
    (tmp_path / "one.json").write_text("{}")
    (tmp_path / "other.json").write_text("{}")
    files = LocalFiles(tmp_path / "one.json")
    assert [entry.name for entry in files.entries()] == ["one.json"]
    assert files.folders() == []
    with pytest.raises(FileNotFoundError, match="no file or folder"):
        LocalFiles(tmp_path / "none")
