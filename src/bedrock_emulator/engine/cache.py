"""The prompt cache: which prefix of a prompt is read, which part is written, and for how long.

Owns: prefixes of one engine, keyed by account, region and model, never by caller: as in Bedrock,
all who share an account share its cache.
Invariants: read + written + uncached = all prompt tokens; nothing under the model's minimum is
written; at most PREFIXES_MAX live at once, the least recently used go first.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from threading import Lock

from bedrock_emulator.engine.catalogue import Ttl
from bedrock_emulator.engine.prompt import Piece, Prompt
from bedrock_emulator.engine.types import TokenUsage

PREFIXES_MAX = 20_000
LOOKBACK_BLOCKS = 20  # blocks before a checkpoint that are searched for an older prefix
TTL_S = {"5m": 300.0, "1h": 3_600.0}


@dataclass(slots=True)
class _Entry:
    expires_at_s: float
    ttl_s: float


@dataclass(frozen=True, slots=True)
class _Prefix:
    digest: bytes
    tokens: int
    checkpoint: Ttl | None


class PromptCache:
    """Thread-safe. `clock` gives seconds that never go back."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._entries: OrderedDict[bytes, _Entry] = OrderedDict()
        self._lock = Lock()

    def use(self, prompt: Prompt, account: str, region: str) -> TokenUsage:
        """Reads and writes the prefixes of one prompt; the usage has its input side filled in.

        A read renews the life of what it reads, as Bedrock does.
        """
        total = prompt.input_tokens
        if not prompt.checkpoints:
            return TokenUsage(input=total)
        scope = f"{account}/{region}/{prompt.model.id}"
        prefixes = _prefixes(prompt.pieces, scope)
        marked = [
            index
            for index, prefix in enumerate(prefixes)
            if prefix.checkpoint and prefix.tokens >= prompt.model.cache_min
        ]
        if not marked:
            return TokenUsage(input=total)
        with self._lock:
            now_s = self._clock()
            read = self._read(prefixes, marked, now_s)
            written = self._write(prefixes, marked, read, now_s)
        cached = read + written["5m"] + written["1h"]
        return TokenUsage(
            input=total - cached,
            cache_read=read,
            cache_write_5m=written["5m"],
            cache_write_1h=written["1h"],
        )

    def _read(self, prefixes: list[_Prefix], marked: list[int], now_s: float) -> int:
        """Tokens of the longest living prefix that a checkpoint can see."""
        for index in reversed(marked):
            for back in range(index, max(-1, index - LOOKBACK_BLOCKS), -1):
                entry = self._living(prefixes[back].digest, now_s)
                if entry is not None:
                    entry.expires_at_s = now_s + entry.ttl_s
                    return prefixes[back].tokens
        return 0

    def _living(self, digest: bytes, now_s: float) -> _Entry | None:
        entry = self._entries.get(digest)
        if entry is None:
            return None
        if entry.expires_at_s <= now_s:
            del self._entries[digest]
            return None
        self._entries.move_to_end(digest)
        return entry

    def _write(
        self, prefixes: list[_Prefix], marked: list[int], read: int, now_s: float
    ) -> dict[Ttl, int]:
        """Stores every checkpoint past what was read; each part counts in its own class."""
        written: dict[Ttl, int] = {"5m": 0, "1h": 0}
        done = read
        for index in marked:
            prefix = prefixes[index]
            if prefix.tokens <= read or prefix.checkpoint is None:
                continue
            written[prefix.checkpoint] += prefix.tokens - done
            done = prefix.tokens
            ttl_s = TTL_S[prefix.checkpoint]
            self._entries[prefix.digest] = _Entry(now_s + ttl_s, ttl_s)
            self._entries.move_to_end(prefix.digest)
        while len(self._entries) > PREFIXES_MAX:
            self._entries.popitem(last=False)
        return written


def _prefixes(pieces: list[Piece], scope: str) -> list[_Prefix]:
    running = hashlib.sha256(scope.encode())
    tokens = 0
    prefixes = []
    for piece in pieces:
        data = piece.key.encode("utf-8", "surrogatepass")
        running.update(len(data).to_bytes(8, "big"))
        running.update(data)
        tokens += piece.tokens
        prefixes.append(_Prefix(running.digest(), tokens, piece.checkpoint))
    return prefixes
