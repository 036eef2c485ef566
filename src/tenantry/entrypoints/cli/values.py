"""What words an option takes."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Final

import click

from tenantry.domain.ids import is_id

_MINUS: Final = re.compile(r"-[0-9.]")


class _Named(click.types.StringParamType):
    """Words that name something. Nothing is no name: a variable of a shell may not be set."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        words: str = super().convert(value, param, ctx)
        if not words.strip():
            self.fail("must not be empty", param, ctx)
        return words


class _NoOption(_Named):
    """Of a command that takes amounts with a minus, to which click takes every option that it does
    not know for an argument."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        words: str = super().convert(value, param, ctx)
        if words.startswith("-") and _MINUS.match(words) is None:
            raise click.NoSuchOption(words.partition("=")[0], ctx=ctx)
        return words


class _Id(_Named):
    """Where a list goes on: another word would look like its end."""

    def __init__(self, prefix: str, of: str) -> None:
        self._prefix, self._of = prefix, of

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        word: str = super().convert(value, param, ctx)
        if not is_id(self._prefix, word):
            self.fail(f"is no id of {self._of}", param, ctx)
        return word


NAMED = _Named()
NO_OPTION = _NoOption()
TENANT_ID = _Id("tnt", "a tenant")
ALERT_ID = _Id("alr", "an alert")
DAY = click.DateTime(["%Y-%m-%d"])
INSTANT = click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M:%SZ"])  # without a zone: it is UTC
FILE = click.Path(exists=True, dir_okay=False, path_type=Path)  # that is there
