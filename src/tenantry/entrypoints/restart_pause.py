"""How long what keeps ending is left before it is started again."""

from __future__ import annotations

from typing import Final

FIRST_S: Final = 1.0


class RestartPause:
    """Twice as long each time, from `FIRST_S` to `longest_s`; from the first again after it was
    well for `well_s`. Of one process and its successors."""

    def __init__(self, longest_s: float, well_s: float) -> None:
        self._longest_s = longest_s
        self._well_s = well_s
        self._next_s = FIRST_S

    def after(self, well_s: float) -> float:
        """The pause in seconds after an end of what was well for so long: 0 where never."""
        pause_s = FIRST_S if well_s >= self._well_s else self._next_s
        self._next_s = min(2 * pause_s, self._longest_s)
        return pause_s
