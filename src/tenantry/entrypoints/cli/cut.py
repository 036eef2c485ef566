"""A list is printed to its end; where a `--limit` ends it before, that is said on stderr."""

from __future__ import annotations

from tenantry.entrypoints.cli.output import say


def say_cut(shown: int, how: str) -> None:
    say(f"These are {shown:,}, and there are more: {how}.", err=True)
