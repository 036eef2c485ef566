"""Exports on disk: whole or not there, taken up again, and every change found."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tenantry.entrypoints.export_check import ExportBroken, check_export
from tenantry.entrypoints.export_sinks import TargetTaken, TargetUnknown
from tenantry.entrypoints.export_target import ExportWriter

ABOUT = {"of": "tenant", "tenant": {"id": "tnt_x"}}
WHOSE = {"of": "tenant", "tenant": "tnt_x"}
ANN = {"of": "end user", "tenant": "tnt_x", "user_hash": "usr_ann"}
NAMES = [f"originals/doc_{n:026d}" for n in range(3)]


def written(target: Path, names: list[str] = NAMES) -> Path:
    with ExportWriter(target, WHOSE) as writer:
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


def outside(folder: Path) -> Path:
    """An equal copy of an export's first original, beside it."""
    copy = folder.parent / "outside"
    copy.write_bytes((folder / NAMES[0]).read_bytes())
    return copy


def linked(folder: Path) -> None:
    copy = outside(folder)
    (folder / NAMES[0]).unlink()
    (folder / NAMES[0]).symlink_to(copy)


def folder_linked(folder: Path) -> None:
    (folder / "originals").rename(folder.parent / "moved")
    (folder / "originals").symlink_to(folder.parent / "moved")


@pytest.mark.parametrize(
    ("change", "name"),
    [
        (lambda f: (f / "more").symlink_to("/etc"), "more"),
        (lambda f: (f / "originals" / "more").symlink_to(f.parent), "originals/more"),
        (lambda f: (f / "more").symlink_to(f / NAMES[0]), "more"),
        (lambda f: (f / "more").symlink_to("/no/such/place"), "more"),
        (lambda f: (f / "more").mkdir(), "more"),
        (lambda f: (f / "originals" / "more").mkdir(), "originals/more"),
        (lambda f: os.mkfifo(f / "more"), "more"),
        (linked, NAMES[0]),
        (folder_linked, "originals"),
    ],
)
def test_what_is_no_file_of_the_export_is_refused(  # type: ignore[no-untyped-def]
    tmp_path: Path, change, name: str
) -> None:
    folder = written(tmp_path / "folder")
    (folder / "outputs").mkdir()  # an earlier try wrote there
    assert check_export(folder)
    change(folder)
    with pytest.raises(ExportBroken, match=f"^{name} is no file"):
        check_export(folder)


def _tar_with(folder: Path, member: tarfile.TarInfo) -> Path:
    target = folder.parent / "changed.tar"
    with tarfile.open(target, "w") as tar:
        for path in sorted(folder.rglob("*")):
            if path.is_file() and path.relative_to(folder).as_posix() != member.name:
                tar.add(path, path.relative_to(folder).as_posix())
        tar.addfile(member)
    return target


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE])
@pytest.mark.parametrize("name", [NAMES[0], "more"])
def test_a_member_of_a_tar_that_is_no_file_is_refused(
    tmp_path: Path, kind: bytes, name: str
) -> None:
    """Also a link to an equal file that is in the archive."""
    member = tarfile.TarInfo(name)
    member.type, member.linkname = kind, NAMES[1]
    with pytest.raises(ExportBroken, match=f"^{name} is no file"):
        check_export(_tar_with(written(tmp_path / "folder"), member))


@pytest.mark.parametrize(
    ("name", "mode"), [("more/", 0), ("originals/", 0), ("x", stat.S_IFLNK), ("x", stat.S_IFIFO)]
)
def test_a_member_of_a_zip_that_is_no_file_is_refused(tmp_path: Path, name: str, mode: int) -> None:
    with zipfile.ZipFile(written(tmp_path / "a.zip"), "a") as zipped:
        info = zipfile.ZipInfo(name)
        info.external_attr = mode << 16
        zipped.writestr(info, b"")
    with pytest.raises(ExportBroken, match=f"^{name} is no file"):
        check_export(tmp_path / "a.zip")


def test_a_second_manifest_is_refused(tmp_path: Path) -> None:
    with tarfile.open(written(tmp_path / "a.tar"), "a") as tar:
        tar.addfile(tarfile.TarInfo("manifest.json"))
    with pytest.raises(ExportBroken, match=r"manifest\.json is there twice"):
        check_export(tmp_path / "a.tar")


@pytest.mark.parametrize(
    ("said", "problem"),
    [
        ({"size_bytes": 5}, None),
        ({"size_bytes": 6}, "does not have the size"),
        ({"sha256": "0" * 64}, "is not the file"),
        ({"file": NAMES[1]}, "names"),
    ],
)
@pytest.mark.parametrize("name", ["folder", "export.tar", "export.zip"])
def test_a_document_whose_file_is_another_ones_is_found(
    tmp_path: Path, name: str, said: dict[str, object], problem: str | None
) -> None:
    """Every hash is right, and still a line of one version and a file of another do not match."""
    with ExportWriter(tmp_path / name, WHOSE) as writer:
        sha256 = writer.add(NAMES[0], [b"first"], "1")
        row = {"id": "1", "file": NAMES[0], "sha256": sha256, "size_bytes": 5, "title": "\u2028"}
        writer.add_lines("documents", [{"id": "0"}, {**row, **said}])
        writer.finish(ABOUT)
    if problem is None:
        assert check_export(tmp_path / name)
        return
    with pytest.raises(ExportBroken, match=problem):
        check_export(tmp_path / name)


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
    with ExportWriter(folder, WHOSE) as writer, pytest.raises(OSError, match="went away"):
        writer.add(NAMES[0], [b"first"], "1")
        writer.add(NAMES[1], [b"second"], "1")
        writer.add(NAMES[2], breaks(), "1")
    with pytest.raises(ExportBroken, match="did not end"):
        check_export(folder)
    (folder / NAMES[1]).write_bytes(b"bitten")
    with (folder / ".journal").open("a") as journal:
        journal.write('["originals/cut')
    with ExportWriter(folder, WHOSE) as again:
        assert again.kept(NAMES[0], "2") is None, "it was changed since"
        assert again.kept(NAMES[0], "1") is not None
        assert again.kept(NAMES[1], "1") is None, "it is not what was written"
        again.add(NAMES[2], [b"third"], "1")
        again.add_lines("documents", [])
        again.finish(ABOUT)
    check_export(folder)
    assert not (folder / NAMES[1]).exists(), "no document of that id is left"


@pytest.mark.parametrize(
    "other",
    [
        ANN,
        ANN | {"user_hash": "usr_bob"},
        ANN | {"tenant": "tnt_y"},
        WHOSE | {"tenant": "tnt_y"},
    ],
)
def test_a_folder_of_another_export_that_was_cut_off_is_not_gone_on_with(
    tmp_path: Path, other: dict[str, str]
) -> None:
    begun = ANN if other == ANN | {"user_hash": "usr_bob"} else WHOSE
    folder = tmp_path / "folder"
    with ExportWriter(folder, begun) as writer:
        writer.add(NAMES[0], [b"first"], "1")
    before = sorted(path.name for path in folder.rglob("*"))
    with pytest.raises(TargetTaken, match="is not this one"):
        ExportWriter(folder, other)
    assert sorted(path.name for path in folder.rglob("*")) == before
    with ExportWriter(folder, begun) as again:
        assert again.kept(NAMES[0], "1")


def test_what_an_earlier_try_left_is_not_in_the_export(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    with ExportWriter(folder, ANN) as writer:
        writer.add_lines("documents", [{"id": "1"}])
        writer.add(NAMES[0], [b"first"])
    (folder / "usage.jsonl.part").write_bytes(b"half")
    with ExportWriter(folder, ANN) as again:
        again.add_lines("usage", [])
        again.finish(ABOUT)
    assert check_export(folder)["counts"] == {"usage": 0}
    assert {path.name for path in folder.rglob("*")} == {
        "SHA256SUMS",
        "manifest.json",
        "originals",
        "usage.jsonl",
    }


def test_a_file_of_somebody_elses_is_neither_kept_nor_deleted(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    with ExportWriter(folder, WHOSE):
        (folder / "notes.txt").write_text("mine")
    with pytest.raises(TargetTaken, match=r"holds notes\.txt"):
        ExportWriter(folder, WHOSE)
    assert (folder / "notes.txt").read_text() == "mine"


def test_an_export_that_was_killed_before_its_first_word_is_begun_anew(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / ".journal.part").write_text("{")
    check_export(written(folder))


_FULL = """
import os, resource, sys
from pathlib import Path
from tenantry.entrypoints.export_target import ExportWriter

resource.setrlimit(resource.RLIMIT_FSIZE, (65_536, 65_536))
try:
    with ExportWriter(Path(sys.argv[1]), {}) as writer:
        for number in range(8):
            writer.add(f"originals/doc_{number:026d}", [os.urandom(int(sys.argv[2]))], "1")
except OSError as error:
    print(error)
"""


@pytest.mark.parametrize(
    ("name", "size", "full", "advice"),
    [
        ("a.tar", 25_600, "a.tar", "run the command again"),
        ("a.zip", 25_600, "a.zip", "run the command again"),
        ("folder", 100_000, "scratch", "another folder by TMPDIR"),
    ],
)
def test_a_disk_that_takes_no_more_is_named_and_nothing_readable_stays(
    tmp_path: Path, name: str, size: int, full: str, advice: str
) -> None:
    """The kernel's limit of a file stands for the disk: nothing is written past it."""
    scratch, place = tmp_path / "scratch", tmp_path / "place"
    scratch.mkdir()
    place.mkdir()
    command = [sys.executable, "-W", "error", "-c", _FULL, str(place / name), str(size)]
    environment = os.environ | {"TMPDIR": str(scratch)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    named, _, why = done.stdout.partition(": ")
    assert named.startswith(str(scratch if full == "scratch" else place / full))
    assert why.startswith("File too large; make room there") and advice in why
    assert list(scratch.iterdir()) == []
    assert [path.name for path in place.rglob("*")] == (
        ["folder", ".journal"] if name == "folder" else []
    )


def test_a_journal_cannot_lead_out_of_the_folder(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("mine")
    folder = tmp_path / "folder"
    folder.mkdir()
    head = json.dumps(WHOSE, sort_keys=True)
    (folder / ".journal").write_text(f'{head}\n["../victim", "1", "0"]\n')
    written(folder)
    assert victim.read_text() == "mine"


@pytest.mark.parametrize("name", ["a.tar", "a.zip"])
def test_an_archive_that_was_cut_off_leaves_nothing(tmp_path: Path, name: str) -> None:
    with pytest.raises(OSError, match="gone"), ExportWriter(tmp_path / name, WHOSE) as writer:
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
