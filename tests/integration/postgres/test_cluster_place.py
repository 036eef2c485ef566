"""Whose cluster it is, where it lies, and who may run it: every mismatch is a clear refusal."""

import contextlib
import dataclasses
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.support.postgres import new_cluster, scratch_folder

from tenantry.adapters.postgres.embedded import cluster as cluster_module
from tenantry.adapters.postgres.embedded import initialise, place
from tenantry.adapters.postgres.embedded.account import Account, database_account
from tenantry.adapters.postgres.embedded.binaries import find_binaries
from tenantry.adapters.postgres.errors import (
    ClusterDiskFull,
    ClusterFailed,
    ClusterMismatch,
    ClusterUnsupported,
)
from tenantry.adapters.postgres.guardian.status import (
    LOG_TROUBLE,
    ClusterStatus,
    read_status,
    write_status,
)

ROOT = Path(__file__).parents[3]
AS_ROOT = os.geteuid() == 0
only_root = pytest.mark.skipif(not AS_ROOT, reason="only root runs PostgreSQL as another user")


@pytest.fixture
def folder() -> Iterator[Path]:
    with scratch_folder() as scratch:
        yield scratch


@pytest.fixture
def made(folder: Path) -> place.Place:
    """A cluster that has run once."""
    cluster = new_cluster(folder)
    cluster.start()
    cluster.stop()
    where = place.known_place(cluster.home)
    assert where is not None
    return where


@only_root
def test_root_in_a_closed_folder(folder: Path, tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    cluster = new_cluster(folder, str(closed / "home"))
    cluster.start()
    try:
        where = place.known_place(cluster.home)
        assert where is not None
        owner = where.folder.stat()
        assert owner.st_uid == database_account().uid != 0
        assert owner.st_mode & 0o777 == 0o700
        assert where.folder == folder / "data" / where.uuid
        assert json.loads((closed / "home" / "cluster").read_text())["path"] == str(where.folder)
    finally:
        cluster.stop()


@only_root
def test_a_user_id_without_a_name_is_refused_in_one_line() -> None:
    """In a process of its own, which gives its rights up for good."""
    script = (
        "import os, sys; from tenantry.adapters.postgres.embedded.account import database_account;"
        "os.setuid(54321)\n"
        "try: database_account()\n"
        "except Exception as refused: sys.exit(f'{type(refused).__name__}: {refused}')"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert (done.returncode, len(done.stderr.splitlines())) == (1, 1)
    assert done.stderr.startswith("ClusterUnsupported: PostgreSQL runs under no user id without")
    assert "useradd --uid 54321" in done.stderr
    assert "TENANTRY_DATABASE_URL" in done.stderr


@only_root
def test_the_copied_programs_are_verified_and_mended(folder: Path) -> None:
    account = database_account()
    first = find_binaries(account, cache_root=folder / "cache")
    postgres = first.folder / "postgres"
    good = postgres.read_bytes()
    assert find_binaries(account, cache_root=folder / "cache") == first
    postgres.write_bytes(good[:-1] + b"x")
    assert find_binaries(account, cache_root=folder / "cache") == first
    assert postgres.read_bytes() == good
    assert [path.name for path in (folder / "cache").iterdir()] == [first.folder.parents[2].name]


def _python_for_everyone() -> str | None:
    """An interpreter of our version that an ordinary user can run."""
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    for candidate in (sys.executable, shutil.which(version, path="/usr/local/bin:/usr/bin")):
        if candidate and _can(candidate, "-c", "import sys"):
            return candidate
    return None


def _can(*command: str) -> bool:
    try:
        return subprocess.run(command, user="nobody", cwd="/", check=False).returncode == 0
    except OSError:
        return False


@only_root
def test_an_ordinary_user(folder: Path) -> None:
    python = _python_for_everyone()
    packages = Path(pytest.__file__).parents[1]
    if python is None or not _can("ls", str(packages), str(ROOT / "src")):
        pytest.skip("an ordinary user can read neither this clone nor a Python of its version")
    own = folder / "own"
    own.mkdir(mode=0o700)
    shutil.chown(own, "nobody")
    done = subprocess.run(
        [python, "-m", "tests.support.cluster_process", str(own)],
        cwd=ROOT,
        env={"PYTHONPATH": f"{ROOT}:{ROOT / 'src'}:{packages}", "PYTHONDONTWRITEBYTECODE": "1"},
        user="nobody",
        group="nogroup",
        extra_groups=[],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "ready" in json.loads(done.stdout)
    assert json.loads((own / "home" / "cluster").read_text())["path"] == "postgres"
    with pytest.raises(ClusterMismatch):  # root does not take over a user's cluster
        new_cluster(own).start()


def test_a_home_that_names_another_cluster_is_refused(made: place.Place) -> None:
    record = json.loads((made.home / "cluster").read_text())
    (made.home / "cluster").write_text(json.dumps({**record, "uuid": "another"}))
    with pytest.raises(ClusterMismatch, match="another"):
        new_cluster(made.home.parent).start()


def test_a_lost_data_folder_is_not_silently_begun_anew(made: place.Place) -> None:
    shutil.rmtree(made.folder)
    with pytest.raises(ClusterMismatch, match="not there"):
        new_cluster(made.home.parent).start()


def test_lost_passwords_are_not_replaced_by_wrong_ones(made: place.Place) -> None:
    (made.home / "postgres.secrets").unlink()
    with pytest.raises(ClusterMismatch, match="passwords"):
        new_cluster(made.home.parent).start()
    assert not (made.home / "postgres.secrets").exists()


@pytest.mark.parametrize(
    "content", ["", '{"tenantry_superuser": "ab', "[]", '{"x": 1}', "\x00\x00"]
)
def test_damaged_passwords_are_named(made: place.Place, content: str) -> None:
    path = made.home / "postgres.secrets"
    path.write_text(content)
    with pytest.raises(ClusterMismatch, match=f"{path} is damaged; .*Restore it from a backup"):
        new_cluster(made.home.parent).start()
    assert path.read_text() == content


def test_half_a_cluster_of_a_killed_start_is_removed(made: place.Place) -> None:
    (made.folder / "data.0f0f").mkdir()
    (made.folder / "password.0f0f").write_text("secret")
    cluster = new_cluster(made.home.parent)
    cluster.start()
    cluster.stop()
    assert not list(made.folder.glob("*.0f0f"))


@only_root
def test_a_strict_umask_does_not_lock_the_database_user_out(folder: Path) -> None:
    umask = os.umask(0o077)
    try:
        cluster = new_cluster(folder, cache_root=folder / "deep" / "cache")
        cluster.start()
        cluster.stop()
    finally:
        os.umask(umask)


def test_a_garbled_record_is_refused(made: place.Place) -> None:
    (made.home / "cluster").write_text("{half")
    with pytest.raises(ClusterMismatch, match="JSON"):
        new_cluster(made.home.parent).start()


@pytest.mark.parametrize(("version", "advice"), [("99", "newer"), ("9", "pg_upgrade")])
def test_data_of_another_postgresql_is_refused(
    made: place.Place, version: str, advice: str
) -> None:
    (made.data / "PG_VERSION").write_text(f"{version}\n")
    with pytest.raises(ClusterMismatch, match=advice):
        new_cluster(made.home.parent).start()


def test_a_moved_home_keeps_its_cluster(made: place.Place) -> None:
    made.home.rename(made.home.with_name("moved"))
    cluster = new_cluster(made.home.parent, "moved")
    cluster.start()
    cluster.stop()


def test_a_deep_home_still_has_a_short_socket(folder: Path) -> None:
    deep = folder.joinpath(*["a-folder-with-a-rather-long-name"] * 4)
    where = place.Place(deep, "0f0f0f0f-0000-4000-8000-000000000000", deep / "postgres")
    where.folder.mkdir(parents=True)
    account = Account(os.geteuid(), os.getegid(), switched=False)
    found = place.socket_folder(where, account)
    try:
        assert len(os.fsencode(found / ".s.PGSQL.65535")) <= 107
        found.chmod(0o755)  # another user's trap would be open too
        with pytest.raises(ClusterMismatch, match="0700"):
            place.socket_folder(where, account)
    finally:
        found.rmdir()


def test_programs_that_are_none_are_refused(folder: Path) -> None:
    with pytest.raises(ClusterUnsupported, match="does not run"):
        new_cluster(folder, bin_dir=folder / "nowhere").start()


def test_programs_of_an_old_version_are_refused(folder: Path) -> None:
    old = folder / "postgres"
    old.write_text("#!/bin/sh\necho 'postgres (PostgreSQL) 15.9'\n")
    old.chmod(0o755)
    with pytest.raises(ClusterUnsupported, match="16 or newer"):
        new_cluster(folder, bin_dir=folder).start()


@only_root
def test_a_full_disk_is_named(folder: Path) -> None:
    disk = folder / "data"
    disk.mkdir(mode=0o711)
    command = ["mount", "-t", "tmpfs", "-o", "size=16m,mode=0711", "tmpfs", str(disk)]
    if subprocess.run(command, check=False, capture_output=True).returncode != 0:
        pytest.skip("this root may not mount")
    try:
        with pytest.raises(ClusterDiskFull, match=r"1\d MB left"):
            new_cluster(folder).start()
    finally:
        subprocess.run(["umount", str(disk)], check=True)


@contextlib.contextmanager
def small_home(folder: Path) -> Iterator[Callable[[], None]]:
    """The home on a disk of its own, which the yielded function fills."""
    home = folder / "home"
    home.mkdir(mode=0o700)
    command = ["mount", "-t", "tmpfs", "-o", "size=24m,mode=0700", "tmpfs", str(home)]
    if subprocess.run(command, check=False, capture_output=True).returncode != 0:
        pytest.skip("this root may not mount")

    def fill() -> None:
        with contextlib.suppress(OSError), (home / "filler").open("wb", buffering=0) as file:
            while True:
                file.write(b"\0" * 4_096)

    try:
        yield fill
    finally:
        subprocess.run(["umount", "--lazy", str(home)], check=True)


@only_root
def test_a_full_disk_takes_another_word_where_there_was_one(folder: Path) -> None:
    status = ClusterStatus("ready", 1, 2, 5432, "/run/x")
    full = dataclasses.replace(status, state="restarting", reason="No space left on device")
    path = folder / "home" / "postgres.status"
    with small_home(folder) as fill:
        write_status(path, dataclasses.replace(status, reason="a long one" * 20))
        fill()
        for word in (full, status):
            write_status(path, word)
            assert read_status(path) == word
        write_status(path, dataclasses.replace(status, reason="x" * 9_000 + "the end"))
        said = read_status(path)
        assert said is not None
        assert said.reason.endswith("the end")
        assert sorted(each.name for each in path.parent.iterdir()) == ["filler", path.name]
        (path.parent / "filler").unlink()
        write_status(path, status)
        assert read_status(path) == status


@only_root
def test_a_full_disk_takes_no_first_word(folder: Path) -> None:
    path = folder / "home" / "postgres.status"
    with small_home(folder) as fill:
        fill()
        with pytest.raises(OSError, match="No space left"):
            write_status(path, ClusterStatus("ready", 1, 2, 5432, "/run/x"))
        assert [each.name for each in path.parent.iterdir()] == ["filler"]


@only_root
def test_a_home_without_room_is_named_before_anything_is_started(folder: Path) -> None:
    with small_home(folder) as fill:
        fill()
        with pytest.raises(ClusterDiskFull, match=r"/home has 0 MB left.* 16 MB there to start"):
            new_cluster(folder).start()
        assert [each.name for each in (folder / "home").iterdir()] == ["filler"]


@only_root
def test_a_home_that_takes_no_word_of_the_server_is_named_at_once(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server runs, and its guardian cannot say so: nobody waits for it in vain."""
    monkeypatch.setattr(initialise, "HOME_FREE_BYTES_MIN", 0)
    monkeypatch.setattr(cluster_module, "WORD_DUE_S", 0.1)
    with small_home(folder) as fill:
        cluster = new_cluster(folder)
        cluster.start()
        cluster.stop()
        nowhere = property(lambda found: found.folder / "nowhere" / "postgres.status")
        monkeypatch.setattr(place.Place, "status_path", nowhere)
        fill()
        with pytest.raises(ClusterDiskFull, match=r"/home is full: .*/home cannot .*errno 28"):
            cluster.start()


def test_a_folder_that_cannot_be_written_is_named(folder: Path) -> None:
    initialise.check_writable(folder)
    before = list(folder.iterdir())
    missing = folder / "missing"
    with pytest.raises(ClusterFailed, match=r"/missing cannot be written: .*errno 2"):
        initialise.check_writable(missing)
    assert list(folder.iterdir()) == before


def test_the_disk_of_the_log_is_not_taken_for_the_servers(folder: Path) -> None:
    log = f"{LOG_TROUBLE}: [Errno 28] No space left on device: 'postgres.log')"
    said = initialise.ClusterFailed(f"PostgreSQL did not start: FATAL: no such setting\n{log}")
    assert initialise.disk_full_or(said, folder) is said


def test_a_disk_that_fills_up_under_initdb_is_named(folder: Path) -> None:
    said = initialise.ClusterFailed("could not extend file: No space left on device")
    assert isinstance(initialise.disk_full_or(said, folder), ClusterDiskFull)
    other = initialise.ClusterFailed("something else")
    assert initialise.disk_full_or(other, folder) is other
