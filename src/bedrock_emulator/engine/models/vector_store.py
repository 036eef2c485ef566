"""Vectors on disk by content hash: a cache that any number of processes may share and lose."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bedrock_emulator.engine.vectors import Vector

_MAX_ROWS = 500_000  # 1.5 KB each: 750 MB
_BUSY_TIMEOUT_S = 5.0


class VectorStore:
    """Thread-safe. A store that cannot be read or written is as good as empty: it is a cache."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._lock = Lock()
        self._connection = sqlite3.connect(
            path, timeout=_BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False
        )
        self._connection.execute("PRAGMA journal_mode = WAL")
        self._connection.execute("PRAGMA synchronous = OFF")
        self._connection.execute(
            "CREATE TABLE IF NOT EXISTS vectors (hash BLOB PRIMARY KEY, data BLOB) WITHOUT ROWID"
        )
        count = self._connection.execute("SELECT count(*) FROM vectors").fetchone()[0]
        self._room = max(0, _MAX_ROWS - count)

    def get(self, key: bytes) -> Vector | None:
        import numpy as np

        with self._lock:
            row = self._connection.execute(
                "SELECT data FROM vectors WHERE hash = ?", (key,)
            ).fetchone()
        return np.frombuffer(row[0], dtype="<f4").astype(np.float32) if row else None

    def put(self, key: bytes, vector: Vector) -> None:
        if not self._room:
            return
        with self._lock:
            try:
                self._connection.execute(
                    "INSERT OR IGNORE INTO vectors VALUES (?, ?)",
                    (key, vector.astype("<f4").tobytes()),
                )
            except sqlite3.OperationalError:
                self._room = 0  # full disk or a lock held too long: stop writing, go on reading
                return
            self._room -= 1

    def close(self) -> None:
        with self._lock:
            self._connection.close()
