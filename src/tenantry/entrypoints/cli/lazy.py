"""A group of commands of which each is loaded when it is called."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any

import click

from tenantry.entrypoints.loading import loading


class LazyGroup(click.Group):
    """`modules`: command → module of this package that defines it under the same name.

    What only some commands need is imported there, so that the others start without it.
    """

    def __init__(self, *given: Any, modules: Mapping[str, str], **named: Any) -> None:
        super().__init__(*given, **named)
        self._modules = modules

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted({*super().list_commands(ctx), *self._modules})

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        module = self._modules.get(name)
        if module is None:
            return super().get_command(ctx, name)
        with loading():
            loaded = importlib.import_module(f"tenantry.entrypoints.cli.{module}")
        command: click.Command = getattr(loaded, name.replace("-", "_"))
        return command
