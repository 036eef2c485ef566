"""Vectors on disk by content hash: a cache that any number of processes may share and lose."""

from __future__ import annotations

import logging
import sqlite3
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bedrock_emulator.engine.vectors import Vector

_log = logging.getLogger(__name__)
_ROWS_MAX = 500_000  # 1.5 KB each: 750 MB
_BUSY_TIMEOUT_S = 5.0
_SCHEMA = "CREATE TABLE IF NOT EXISTS vectors (hash BLOB PRIMARY KEY, data BLOB) WITHOUT ROWID"


class VectorStore:
    """Thread-safe. Where the file cannot be used it says so once and is as good as empty."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = Lock()
        self._room = 0
        self._connection: sqlite3.Connection | None = None
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._connection = self._open()
        except (sqlite3.Error, OSError) as error:
            self._give_up(error)

    def _open(self) -> sqlite3.Connection:
        connection = sqlite3.connect(
            self._path, timeout=_BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False
        )
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = OFF")  # a lost vector is computed again
        connection.execute(_SCHEMA)
        count: int = connection.execute("SELECT count(*) FROM vectors").fetchone()[0]
        self._room = max(0, _ROWS_MAX - count)
        return connection

    def get(self, key: bytes) -> Vector | None:
        import numpy as np

        with self._lock:
            if self._connection is None:
                return None
            try:
                found = self._connection.execute(
                    "SELECT data FROM vectors WHERE hash = ?", (key,)
                ).fetchone()
            except sqlite3.Error as error:
                self._give_up(error)
                return None
        return np.frombuffer(found[0], dtype="<f4").astype(np.float32) if found else None

    def put(self, key: bytes, vector: Vector) -> None:
        data = vector.astype("<f4").tobytes()
        with self._lock:
            if self._connection is None or not self._room:
                return
            try:
                self._connection.execute("INSERT OR IGNORE INTO vectors VALUES (?, ?)", (key, data))
            except sqlite3.Error as error:
                self._give_up(error)
                return
            self._room -= 1

    def _give_up(self, error: Exception) -> None:
        _log.warning("embeddings are not kept in %s: %s", self._path, error)
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def close(self) -> None:
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None
