"""How much output is left to a request that asks for more than a budget holds.

Pure. The worst case of a request never falls when its output bound grows, so the largest output
that fits is found by halving, over the same arithmetic that reserves: no second formula could
disagree with it.
"""

from __future__ import annotations

from collections.abc import Callable


def largest_output(fits: Callable[[int], bool], *, least: int, most: int) -> int | None:
    """The most output tokens from `least` to `most` whose worst case fits; None where none does.

    `fits` must be monotone: what fits, fits with fewer tokens too.
    """
    if least > most or not fits(least):
        return None
    while least < most:
        middle = (least + most + 1) // 2
        if fits(middle):
            least = middle
        else:
            most = middle - 1
    return least
