"""Strings that are nowhere else, and looking for them in files and in the memory of processes."""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_PIECE_BYTES: Final = 16 * 2**20
_DIGITS: Final = 24


class NoMemory(Exception):
    """The memory of a process cannot be read here, so nothing can be shown."""


@dataclass(frozen=True, slots=True)
class Canaries:
    """All begin with the same marker, so that one search finds every one of them."""

    marker: str
    all: Sequence[str]

    @classmethod
    def make(cls, count: int) -> Canaries:
        """Lower-case letters and digits, one word each: no index changes them."""
        marker = f"cnry{secrets.token_hex(6)}"
        return cls(marker, [f"{marker}{n:06d}{secrets.token_hex(9)}" for n in range(count)])

    def within(self, data: bytes) -> set[str]:
        """Those that stand in the data, as UTF-8 or as UTF-16 (both as Python keeps text)."""
        found: set[str] = set()
        for encoding, digit in (("utf-8", rb"[0-9a-f]"), ("utf-16-le", rb"[0-9a-f]\x00")):
            # `re` looks for the literal first: ten times as fast in zeros as `in` is for UTF-16.
            pattern = re.escape(self.marker.encode(encoding)) + rb"(?:%s){%d}" % (digit, _DIGITS)
            found |= {match.group().decode(encoding) for match in re.finditer(pattern, data)}
        return found & set(self.all)

    def in_files(self, folders: Iterable[Path]) -> set[str]:
        """Those that stand in any file below the folders, whatever its name."""
        found: set[str] = set()
        for folder in folders:
            for path in sorted(folder.rglob("*")):
                if self.marker in path.name:
                    found |= {each for each in self.all if each in path.name}
                if path.is_file() and not path.is_symlink():
                    with (
                        suppress(FileNotFoundError),
                        path.open("rb") as file,
                    ):  # it may go meanwhile
                        found |= self.in_pieces(iter(lambda f=file: f.read(_PIECE_BYTES), b""))
        return found

    def in_memory(self, pid: int, *, shared: bool = True) -> set[str]:
        """Those that stand in a process's memory, as its core dump would show it. `shared` False:
        but for what it shares with others, of which one is searched."""
        return self.in_pieces(memory(pid, shared=shared))

    def in_pieces(self, pieces: Iterable[bytes]) -> set[str]:
        """Also those that two pieces share."""
        found: set[str] = set()
        overlap = 2 * (len(self.marker) + _DIGITS)
        tail = b""
        for piece in pieces:
            data = tail + piece
            found |= self.within(data)
            tail = data[-overlap:]
        return found


def memory(pid: int, *, shared: bool = True) -> Iterator[bytes]:
    """Every page that a process can read, piece by piece. Raises `NoMemory`.

    proc(5): `/proc/<pid>/maps` and `/proc/<pid>/mem`. It takes the right to trace the process.
    """
    try:
        maps = Path(f"/proc/{pid}/maps").read_text("utf-8", errors="replace").splitlines()
        pages = Path(f"/proc/{pid}/mem").open("rb", buffering=0)  # noqa: SIM115 - closed below
    except OSError as refused:
        raise NoMemory(f"the memory of process {pid} cannot be read: {refused}") from None
    seen = 0
    with pages:
        for line in maps:
            where, rights = line.split(maxsplit=2)[:2]
            if not rights.startswith("r") or line.endswith(("[vvar]", "[vsyscall]")):
                continue
            if rights.endswith("s") and not shared:
                continue
            start, end = (int(word, 16) for word in where.split("-"))
            for at in range(start, end, _PIECE_BYTES):
                with suppress(OSError):  # a device's page, or one that has just gone
                    pages.seek(at)
                    piece = pages.read(min(_PIECE_BYTES, end - at))
                    seen += len(piece)
                    yield piece
    if not seen:
        raise NoMemory(f"the memory of process {pid} reads as nothing")
