"""What words an option takes."""

from __future__ import annotations

from typing import Any

import click


class _Named(click.types.StringParamType):
    """Words that name something. Nothing is no name: a variable of a shell may not be set."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        words: str = super().convert(value, param, ctx)
        if not words.strip():
            self.fail("must not be empty", param, ctx)
        return words


NAMED = _Named()
