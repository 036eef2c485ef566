"""SQL as text: the named statements of a `.sql` file beside this module, and what they answer."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from types import MappingProxyType

_NAME = re.compile(r"^-- name: ([a-z0-9_]+)$", re.M)


@cache
def statements(file_name: str) -> Mapping[str, str]:
    """The statements of a file by name: each begins after a line `-- name: <name>`."""
    text = (Path(__file__).parent / file_name).read_text("utf-8")
    pieces = _NAME.split(text)
    names, bodies = pieces[1::2], pieces[2::2]
    assert len(set(names)) == len(names), f"{file_name} names a statement twice"
    return MappingProxyType(
        {name: body.strip().rstrip(";") for name, body in zip(names, bodies, strict=True)}
    )


def rows_of(command_tag: str) -> int:
    """The number of rows in what a command answers: `UPDATE 3`, `INSERT 0 1`."""
    return int(command_tag.rpartition(" ")[2])
