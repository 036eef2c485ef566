"""Exports on disk: whole or not there, taken up again, and every change found."""

from __future__ import annotations

import os
import subprocess
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tenantry.entrypoints.export_check import ExportBroken, check_export
from tenantry.entrypoints.export_target import ExportWriter, TargetTaken, TargetUnknown

ABOUT = {"of": "tenant", "tenant": {"id": "tnt_x"}}
NAMES = [f"originals/doc_{n:026d}" for n in range(3)]


def written(target: Path, names: list[str] = NAMES) -> Path:
    with ExportWriter(target) as writer:
        for name in names:
            writer.add(name, [b"some ", name.encode()], "stamp")
        writer.add_lines("documents", ({"id": name, "title": "../\0\n"} for name in names))
        writer.finish(ABOUT)
    return target


@pytest.mark.parametrize("name", ["folder", "export.tar", "export.zip"])
def test_an_export_is_checked_to_the_last_byte(tmp_path: Path, name: str) -> None:
    manifest = check_export(written(tmp_path / name))
    assert manifest["counts"] == {"documents": 3}
    assert manifest["tenant"] == {"id": "tnt_x"}
    assert not list(tmp_path.glob("*.part"))
    with pytest.raises(TargetTaken):
        written(tmp_path / name)


@pytest.mark.parametrize(
    "name",
    ["x.tar.gz", "x.TGZ", "x.gz", "x.tar.bz2", "x.tar.xz", "x.7z", "x.rar", "x.tar.zst", "x.txz"],
)
def test_an_archive_that_is_not_written_is_no_folder(tmp_path: Path, name: str) -> None:
    with pytest.raises(TargetUnknown, match=r"an export is a folder, a \.tar or a \.zip, and no"):
        written(tmp_path / name)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["x.TAR", "x.Zip", "acme-2026.11"])
def test_a_name_says_what_is_written_in_any_case(tmp_path: Path, name: str) -> None:
    assert check_export(written(tmp_path / name))
    assert (tmp_path / name).is_dir() == (name == "acme-2026.11")


def test_anybody_can_check_it_without_tenantry(tmp_path: Path) -> None:
    folder = written(tmp_path / "folder")
    command = ["sha256sum", "--check", "--strict", "SHA256SUMS"]
    done = subprocess.run(command, cwd=folder, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda f: (f / NAMES[0]).write_bytes(b"other"), "is not what was exported"),
        (lambda f: (f / NAMES[1]).unlink(), "is missing"),
        (lambda f: (f / "originals" / "more").write_bytes(b""), "was not exported"),
        (lambda f: (f / "SHA256SUMS").write_bytes(b""), "not the one that the manifest names"),
        (lambda f: (f / "manifest.json").unlink(), "did not end"),
        (lambda f: (f / "manifest.json").write_text('{"format": 9}'), "no format"),
        (lambda f: (f / "documents.jsonl").open("a").close(), None),
    ],
)
def test_every_change_is_found(tmp_path: Path, change, problem) -> None:  # type: ignore[no-untyped-def]
    folder = written(tmp_path / "folder")
    change(folder)
    if problem is None:
        assert check_export(folder)
        return
    with pytest.raises(ExportBroken, match=problem):
        check_export(folder)


def test_a_changed_archive_is_found_too(tmp_path: Path) -> None:
    folder = written(tmp_path / "folder")
    (folder / NAMES[0]).write_bytes(b"other")
    with (
        tarfile.open(tmp_path / "a.tar", "w") as tar,
        zipfile.ZipFile(tmp_path / "a.zip", "w") as z,
    ):
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                tar.add(path, path.relative_to(folder).as_posix())
                z.write(path, path.relative_to(folder).as_posix())
    for name in ("a.tar", "a.zip"):
        with pytest.raises(ExportBroken, match="is not what was exported"):
            check_export(tmp_path / name)


def test_cut_off_it_goes_on_with_what_is_not_there_yet(tmp_path: Path) -> None:
    def breaks() -> Iterator[bytes]:
        yield b"half"
        raise OSError("the network went away")

    folder = tmp_path / "folder"
    with ExportWriter(folder) as writer, pytest.raises(OSError, match="went away"):
        writer.add(NAMES[0], [b"first"], "1")
        writer.add(NAMES[1], [b"second"], "1")
        writer.add(NAMES[2], breaks(), "1")
    with pytest.raises(ExportBroken, match="did not end"):
        check_export(folder)
    (folder / NAMES[1]).write_bytes(b"bitten")
    with (folder / ".journal").open("a") as journal:
        journal.write('["originals/cut')
    with ExportWriter(folder) as again:
        assert again.kept(NAMES[0], "2") is None, "it was changed since"
        assert again.kept(NAMES[0], "1") is not None
        assert again.kept(NAMES[1], "1") is None, "it is not what was written"
        again.add(NAMES[2], [b"third"], "1")
        again.add_lines("documents", [])
        again.finish(ABOUT)
    check_export(folder)
    assert not (folder / NAMES[1]).exists(), "no document of that id is left"


def test_a_journal_cannot_lead_out_of_the_folder(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("mine")
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / ".journal").write_text('["../victim", "1", "0"]\n')
    written(folder)
    assert victim.read_text() == "mine"


@pytest.mark.parametrize("name", ["a.tar", "a.zip"])
def test_an_archive_that_was_cut_off_leaves_nothing(tmp_path: Path, name: str) -> None:
    with pytest.raises(OSError, match="gone"), ExportWriter(tmp_path / name) as writer:
        writer.add(NAMES[0], [b"first"], "1")
        raise OSError("gone")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["folder/documents.jsonl", "a.tar", "a.zip"])
def test_nobody_else_can_read_an_export(tmp_path: Path, name: str) -> None:
    target = tmp_path / name.partition("/")[0]
    if target.suffix:
        target.with_name(target.name + ".part").touch(mode=0o644)  # an earlier try was killed
    else:
        target.mkdir()
    before = os.umask(0o022)
    try:
        written(target)
    finally:
        os.umask(before)
    assert (tmp_path / name).stat().st_mode & 0o777 == 0o600
    assert check_export(target)
