"""Where tests put what they throw away: in memory, where there is room for it.

A test's database is some three hundred files, made and removed again. On a disk that is most of
the suite's time (113 s against 33 s for the ledger's tests on ext4): not PostgreSQL's work but
the file system's. What a test proves of a killed process holds in memory too, because the memory
is the kernel's; what survives a loss of power no test here can show.
"""

import os
import shutil
import stat
import tempfile
from pathlib import Path

MEMORY = Path("/dev/shm")
ROOM_BYTES_MIN = 3 * 2**30  # the whole suite takes less than a gigabyte in two workers


def prefer_memory() -> None:
    """Let `tempfile`, and with it everything that tests start, work in memory.

    A `TMPDIR` that somebody has set stays. Some systems give little room there, or let nothing
    be run from there.
    """
    if "TMPDIR" in os.environ or not _usable(MEMORY):
        return
    os.environ["TMPDIR"] = str(MEMORY)
    tempfile.tempdir = None  # it is remembered once it was asked for


def _usable(folder: Path) -> bool:
    try:
        roomy = shutil.disk_usage(folder).free >= ROOM_BYTES_MIN
        shared = stat.S_IMODE(folder.stat().st_mode) & 0o1007 == 0o1007  # PostgreSQL's user too
        runs = not os.statvfs(folder).f_flag & os.ST_NOEXEC
    except OSError:
        return False
    return roomy and shared and runs and os.access(folder, os.W_OK)
