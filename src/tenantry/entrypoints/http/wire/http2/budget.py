"""What a client may send beside requests and bodies before it is told to be calm."""

from __future__ import annotations

from typing import Final

from h2.errors import ErrorCodes

from tenantry.entrypoints.http.wire.http2.frames import Violation

FRAME: Final = 1  # 20 µs or so
PART_BYTES: Final = 64  # a part of a head, or of a body, is worth as much as a frame
ANSWERED: Final = 32  # a request that was answered, beside what its head cost
SENT: Final = 2  # a frame that was sent, which its client may tell the windows of
SECOND: Final = 64


class Budget:
    """Spent by whatever comes, earned by what it is good for. Raises `Violation` once overdrawn.

    Pings, settings, priorities, windows, empty or tiny pieces of bodies and requests that are reset
    (CVE-2023-44487) are all spent and not earned back. Requests that are refused are earned back as
    answered ones are: one caller of a proxy could end the streams of all its others by them."""

    __slots__ = ("_most", "left", "spent")

    def __init__(self, most: int) -> None:
        self._most = most
        self.left = most
        self.spent = 0  # ever

    def spend(self, cost: int) -> None:
        self.left -= cost
        self.spent += cost
        if self.left < 0:
            raise Violation(ErrorCodes.ENHANCE_YOUR_CALM)

    def earn(self, gain: int) -> None:
        self.left = min(self._most, self.left + gain)
