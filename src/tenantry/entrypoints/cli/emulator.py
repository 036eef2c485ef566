"""`tenantry emulator`: the Bedrock emulator alone."""

from __future__ import annotations

import os
import sys

import click


@click.command(
    context_settings={"ignore_unknown_options": True, "help_option_names": []},
)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def emulator(arguments: tuple[str, ...]) -> None:
    """Run the Bedrock emulator alone; all options are its own (`tenantry emulator --help`).

    Example: `tenantry emulator --http-port 4566`
    """
    # In our place: whoever ends us, or waits for us, means the emulator.
    command = [sys.executable, "-P", "-m", "bedrock_emulator", *arguments]
    os.execv(sys.executable, command)  # noqa: S606 - our own package, no shell
