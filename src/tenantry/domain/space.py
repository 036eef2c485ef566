"""Where vectors can be compared: one model's, of one length."""

from __future__ import annotations

import re
from dataclasses import dataclass

# An engine's own name before the model's id, where it is not the one that needs none. No id of a
# model begins so: they hold dots or colons first.
_ENGINE = re.compile(r"^[a-z]+/")


@dataclass(frozen=True, slots=True)
class Space:
    """Vectors of two spaces say nothing of each other, also where their lengths agree."""

    model: str  # by its id, never by an alias, which may come to mean another
    dimensions: int


def space_of_pin(pin: str, dimensions: int) -> Space:
    """Where vectors lie that the manifest pins: in the same space, whichever engine holds them."""
    return Space(_ENGINE.sub("", pin), dimensions)
