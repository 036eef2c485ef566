"""Frames, one by one, out of bytes as they come, each bounded before it is waited for or read."""

from __future__ import annotations

from typing import Final, NamedTuple

from h2.errors import ErrorCodes
from h2.settings import SettingCodes

DATA: Final = 0x0
HEADERS: Final = 0x1
PRIORITY: Final = 0x2
SETTINGS: Final = 0x4
PUSH_PROMISE: Final = 0x5
GOAWAY: Final = 0x7
CONTINUATION: Final = 0x9
FRAME_BYTES: Final = 16_384  # SETTINGS_MAX_FRAME_SIZE as long as nobody says otherwise
_HEAD_BYTES: Final = 9
_ACK: Final = 0x1
_END_HEADERS: Final = 0x4
_SETTING_BYTES: Final = 6
_KNOWN_SETTINGS: Final = frozenset(int(code) for code in SettingCodes)


class Violation(Exception):
    """The connection ends, with this code."""

    def __init__(self, code: ErrorCodes) -> None:
        super().__init__(code)
        self.code = code


class Frame(NamedTuple):
    kind: int
    length: int  # of its payload
    whole: bytes


def known_settings(whole: bytes) -> bytes:
    """A frame of settings without those that are unknown, which h2 would keep: 65,536 names, 50 MB
    of a connection, looked at with each frame. One that is malformed is left for h2 to judge."""
    body = whole[_HEAD_BYTES:]
    if whole[4] & _ACK or len(body) % _SETTING_BYTES:
        return whole
    each = (body[at : at + _SETTING_BYTES] for at in range(0, len(body), _SETTING_BYTES))
    kept = b"".join(one for one in each if int.from_bytes(one[:2], "big") in _KNOWN_SETTINGS)
    return len(kept).to_bytes(3, "big") + whole[3:_HEAD_BYTES] + kept


class Frames:
    """The frames of a connection after its preface. Raises `Violation`."""

    __slots__ = ("_at", "_begun", "_block_bytes", "_block_bytes_max", "_data", "_in_block")

    def __init__(self, block_bytes_max: int) -> None:
        self._block_bytes_max = block_bytes_max  # of one head or trailer, packed
        self._block_bytes = 0
        self._in_block = False  # nothing may come between its frames
        self._begun = False  # with SETTINGS, as it must be
        self._data = b""
        self._at = 0

    def add(self, data: bytes) -> None:
        self._data = self._data[self._at :] + data if self._at < len(self._data) else data
        self._at = 0

    @property
    def waiting_bytes(self) -> int:
        return len(self._data) - self._at

    @property
    def in_head(self) -> bool:
        """Of what there is, the last frame is none of a body and not whole yet, or its head is
        not. Asked once `next` finds no more."""
        if self._in_block:
            return True
        waiting = self.waiting_bytes
        return waiting > 0 and not (waiting > 3 and self._data[self._at + 3] == DATA)

    def next(self) -> Frame | None:
        """The next that is whole."""
        data, at = self._data, self._at
        if len(data) - at < _HEAD_BYTES:
            return None
        length = int.from_bytes(data[at : at + 3], "big")
        if length > FRAME_BYTES:
            raise Violation(ErrorCodes.FRAME_SIZE_ERROR)
        end = at + _HEAD_BYTES + length
        if end > len(data):
            return None
        self._at = end
        kind, flags = data[at + 3], data[at + 4]
        self._follow(kind, flags, length)
        return Frame(kind, length, data[at:end])

    def _follow(self, kind: int, flags: int, length: int) -> None:
        if not self._begun:
            if kind != SETTINGS or flags & _ACK:
                raise Violation(ErrorCodes.PROTOCOL_ERROR)
            self._begun = True
        if self._in_block != (kind == CONTINUATION) or kind == PUSH_PROMISE:
            raise Violation(ErrorCodes.PROTOCOL_ERROR)
        if kind not in (HEADERS, CONTINUATION):
            return
        self._block_bytes += length
        if self._block_bytes > self._block_bytes_max:
            raise Violation(ErrorCodes.ENHANCE_YOUR_CALM)
        self._in_block = not flags & _END_HEADERS
        if not self._in_block:
            self._block_bytes = 0
