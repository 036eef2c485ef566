"""Which files of a named place are read as a log, and what is said of those that cannot be."""

from __future__ import annotations

import asyncio
import gzip
import json
import os
import random
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tenantry.adapters.invocation_log import lines
from tenantry.adapters.invocation_log.folder import FolderLog
from tenantry.adapters.invocation_log.names import may_be_log
from tenantry.adapters.invocation_log.stored import StoredLog
from tenantry.adapters.record_files.local import LocalFiles

EPOCH = datetime.fromtimestamp(0, UTC)
HOUR = "AWSLogs/111111111111/BedrockModelInvocationLogs/us-east-1/2026/11/23/00"
LINE = json.dumps({"requestId": "r", "modelId": "m"}).encode()
MANY = 200
_noise = random.Random(7)
# Each with something that does not pack, so that half of the file holds whole lines.
PACKED = gzip.compress(
    b"\n".join(
        json.dumps({"requestId": "r", "b": _noise.randbytes(99).hex()}).encode()
        for _ in range(MANY)
    )
)


def put(root: Path, name: str, content: bytes = PACKED) -> None:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def names(log: FolderLog | StoredLog) -> set[str]:
    return set(asyncio.run(log.files(EPOCH, set())))


def has_files(log: FolderLog | StoredLog) -> bool:
    return asyncio.run(log.has_files())


OF_A_LOG = [
    "november.json.gz",
    "anna/november.json.gz",
    f"{HOUR}/a.json.gz",
    f"deep/er/{HOUR}/a.json.gz",
    "us-east-1/2026/11/23/00/a.json.gz",
    "backup/data/2026/a.json.gz",
    f"data/{HOUR}/a.json.gz",
]
OF_NONE = [
    f"{HOUR}/data/x_input.json.gz",
    f"{HOUR}/data/deeper/x_input.json.gz",
    "2026/11/23/00/data/x_output.json.gz",
    "data/x_output.json.gz",
    "AWSLogs/111111111111/CloudTrail/us-east-1/2026/11/23/a.json.gz",
    "AWSLogs/o-abcdef/111111111111/CloudTrail/us-east-1/2026/11/23/a.json.gz",
    "AWSLogs/111111111111/a.json.gz",
    "package.json",
    "notes.txt",
]


@pytest.mark.parametrize("name", OF_A_LOG)
def test_a_named_folder_is_read_however_a_log_lies_in_it(tmp_path: Path, name: str) -> None:
    put(tmp_path, name)
    for log in (
        FolderLog(tmp_path, anywhere=True),
        StoredLog(LocalFiles(tmp_path), anywhere=True),
    ):
        assert has_files(log)
        assert names(log) == {name}
        assert asyncio.run(log.records(name)).records[0]["requestId"] == "r"


@pytest.mark.parametrize("name", OF_NONE)
def test_bodies_and_files_of_others_are_not_read_as_a_log(tmp_path: Path, name: str) -> None:
    put(tmp_path, name)
    assert not may_be_log(name)
    log = FolderLog(tmp_path, anywhere=True)
    assert (names(log), has_files(log)) == (set(), False)


def test_bodies_are_not_read_beside_their_log(tmp_path: Path) -> None:
    """Where the folder of an hour is named, nothing above it says that it is Bedrock's."""
    put(tmp_path, f"{HOUR}/a.json.gz")
    put(tmp_path, f"{HOUR}/data/x_input.json.gz", gzip.compress(b'{"messages": []}'))
    assert names(FolderLog(tmp_path / HOUR, anywhere=True)) == {"a.json.gz"}
    assert names(FolderLog(tmp_path)) == {f"{HOUR}/a.json.gz"}


def test_what_the_worker_reads_is_laid_out_as_bedrock_does(tmp_path: Path) -> None:
    put(tmp_path, "november.json.gz")
    assert names(FolderLog(tmp_path)) == set()
    assert names(StoredLog(LocalFiles(tmp_path))) == {"november.json.gz"}, "right under it"
    put(tmp_path, "anna/november.json.gz")
    assert names(StoredLog(LocalFiles(tmp_path))) == {"november.json.gz"}


def test_links_are_followed_and_a_ring_of_them_ends(tmp_path: Path) -> None:
    put(tmp_path / "elsewhere", "a.json.gz")
    named = tmp_path / "named"
    put(named, "b.json.gz")
    (named / "link").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere" / "back").symlink_to(named)
    assert names(FolderLog(named, anywhere=True)) == {"b.json.gz", "link/a.json.gz"}


def test_a_folder_that_cannot_be_listed_is_told(tmp_path: Path) -> None:
    put(tmp_path, "logs/a.json.gz")
    log = FolderLog(tmp_path / "logs", anywhere=True)
    assert names(log) == {"a.json.gz"}
    (tmp_path / "logs" / "a.json.gz").unlink()
    (tmp_path / "logs").rmdir()
    with pytest.raises(FileNotFoundError):
        names(log)


@pytest.mark.parametrize(
    ("content", "records"),
    [
        (b"no log at all", 0),
        (b"\x00\xff\x00\n" * 5, 0),
        (PACKED[:-10], 1),
        (PACKED[: len(PACKED) // 2], 1),
        (PACKED[:12], 0),
        (PACKED[:1], 0),
        (b"", 0),
        (PACKED + b"and then something else", 1),
        (LINE + b"\n" + LINE[:-5], 1),
        (gzip.compress(b"[]\n[]\n"), 0),
    ],
    ids=[
        "text",
        "bytes",
        "its end",
        "its half",
        "its head",
        "a byte",
        "nothing",
        "more",
        "line",
        "lists",
    ],
)
def test_a_file_that_is_no_log_or_not_the_whole_of_one_is_named(
    tmp_path: Path, content: bytes, records: int
) -> None:
    put(tmp_path, "good.json.gz")
    put(tmp_path, "bad.json.gz", content)
    for log in (FolderLog(tmp_path, anywhere=True), StoredLog(LocalFiles(tmp_path))):
        assert len(asyncio.run(log.records("good.json.gz")).records) == MANY
        assert log.unreadable_files == []
        assert bool(asyncio.run(log.records("bad.json.gz")).records) == bool(records), (
            "what is whole"
        )
        assert (log.unreadable_files, log.skipped_lines) == (["bad.json.gz"], 0)


@pytest.mark.parametrize(
    ("content", "records", "skipped"),
    [
        (gzip.compress(b""), 0, 0),
        (LINE, 1, 0),
        (b"\n".join([LINE, b"not json", LINE, b"[]"]), 2, 2),
        (PACKED, MANY, 0),
        (gzip.compress(LINE + b"\n") + gzip.compress(LINE), 2, 0),
    ],
    ids=["empty", "not packed", "with lines that are none", "whole", "of two parts"],
)
def test_a_file_that_can_be_read_is_not_named(
    tmp_path: Path, content: bytes, records: int, skipped: int
) -> None:
    put(tmp_path, "a.json.gz", content)
    log = FolderLog(tmp_path, anywhere=True)
    read = asyncio.run(log.records("a.json.gz"))
    assert (len(read.records), read.skipped_lines, read.unread) == (records, skipped, "")
    assert (log.unreadable_files, log.skipped_lines) == ([], skipped)


def test_what_is_longer_than_is_read_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(tmp_path, "a.json.gz", gzip.compress(b"\n".join([LINE] * 3)))
    whole = 3 * len(LINE) + 2
    for limit, named in ((whole, []), (whole - 1, ["a.json.gz"]), (len(LINE) + 1, ["a.json.gz"])):
        monkeypatch.setattr(lines, "FILE_BYTES_MAX", limit)
        log = FolderLog(tmp_path, anywhere=True)
        asyncio.run(log.records("a.json.gz"))
        assert log.unreadable_files == named


def test_a_file_that_is_whole_by_now_is_named_no_more(tmp_path: Path) -> None:
    log = FolderLog(tmp_path, anywhere=True)
    put(tmp_path, "a.json.gz", PACKED[:-10])
    for _ in range(2):
        assert asyncio.run(log.records("a.json.gz")).unread
    assert log.unreadable_files == ["a.json.gz"], "once"
    put(tmp_path, "a.json.gz")
    assert not asyncio.run(log.records("a.json.gz")).unread
    assert log.unreadable_files == []


@pytest.mark.parametrize("anywhere", [False, True])
def test_what_is_no_regular_file_is_told_once_and_the_rest_is_read(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, anywhere: bool
) -> None:
    put(tmp_path, f"{HOUR}/a.json.gz")
    put(tmp_path, f"{HOUR}/folder.json.gz/b.txt")
    hour = tmp_path / HOUR
    os.mkfifo(hour / "pipe.json.gz")
    (hour / "nowhere.json.gz").symlink_to(tmp_path / "gone")
    (hour / "ring.json.gz").symlink_to(hour / "ring.json.gz")
    (hour / "device.json.gz").symlink_to("/dev/null")
    log = FolderLog(tmp_path, anywhere=anywhere)
    others = {"pipe", "nowhere", "ring", "device"} | (set() if anywhere else {"folder"})
    for _ in range(2):
        assert names(log) == {f"{HOUR}/a.json.gz"}
        assert has_files(log)
        assert set(log.unreadable_files) == {f"{HOUR}/{name}.json.gz" for name in others}
    assert len(caplog.records) == len(others)
    (hour / "a.json.gz").unlink()
    assert not has_files(log)


def test_a_pipe_that_took_a_files_place_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.json.gz")
    log = FolderLog(tmp_path, anywhere=True)
    assert asyncio.run(log.records("a.json.gz")).unread == "it is no regular file"


def test_a_file_that_the_system_does_not_let_us_read_is_named() -> None:
    """One of another user, and whatever lies in a folder of which only the names are told."""
    with (
        tempfile.TemporaryDirectory() as made,
        _as_nobody(root := Path(made)),
    ):
        put(root, "whole.json.gz")
        put(root, "secret.json.gz")
        (root / "secret.json.gz").chmod(0)
        log = FolderLog(root, anywhere=True)
        assert names(log) == {"whole.json.gz", "secret.json.gz"}
        assert asyncio.run(log.records("secret.json.gz")).unread == "Permission denied"
        assert asyncio.run(log.records("gone.json.gz")).unread == "No such file or directory"
        assert not asyncio.run(log.records("whole.json.gz")).unread
        root.chmod(0o400)
        assert names(log) == {"whole.json.gz", "secret.json.gz"}
        assert asyncio.run(log.records("whole.json.gz")).unread == "Permission denied"
        root.chmod(0o700)


def test_a_file_that_its_disk_does_not_give_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.json.gz").symlink_to("/proc/self/mem")  # of which the first page is nowhere
    log = FolderLog(tmp_path, anywhere=True)
    assert names(log) == {"a.json.gz"}
    assert asyncio.run(log.records("a.json.gz")).unread == "Input/output error"
    assert log.unreadable_files == ["a.json.gz"]


@contextmanager
def _as_nobody(root: Path) -> Iterator[None]:
    """Who runs tests as root may read everything."""
    if os.geteuid() != 0:
        yield
        return
    os.chown(root, 65_534, 65_534)
    os.seteuid(65_534)
    try:
        yield
    finally:
        os.seteuid(0)
