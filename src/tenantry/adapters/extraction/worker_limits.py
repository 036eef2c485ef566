"""The bounds of one parse, shared by the worker, which sets them, and by who watches it."""

from __future__ import annotations

PAGES_MAX = 2_000
TEXT_CHARS_MAX = 10_000_000  # about 3,000 dense pages
OUTPUT_BYTES_MAX = 4 * TEXT_CHARS_MAX + 4_096
MEMORY_BYTES_MAX = 1024 * 1024 * 1024  # address space: interpreter, library and document
CPU_S_MAX = 30
FILES_MAX = 64  # open at once: its modules as it imports them
WALL_S_MAX = 60.0
WORKERS_AT_ONCE = 2
