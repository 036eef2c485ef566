"""`tenantry`: one group, its commands loaded only when they are called."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Mapping

import click

from tenantry.domain.errors import TenantryError

# command → module of this package that defines it under the same name; heavy imports stay there
_COMMANDS: Mapping[str, str] = {
    "ask": "knowledge",
    "budgets": "budgets",
    "demo": "demo_command",
    "doctor": "doctor",
    "documents": "knowledge",
    "emulator": "emulator",
    "invoices": "invoices",
    "keys": "keys",
    "migrate": "migrate",
    "models": "models",
    "plans": "plans",
    "prices": "prices",
    "reconcile": "reconcile",
    "search": "knowledge",
    "serve": "serve",
    "tenants": "tenants",
    "usage": "usage",
    "worker": "worker",
}


class _Lazy(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(_COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        module = _COMMANDS.get(name)
        if module is None:
            return None
        loaded = importlib.import_module(f"tenantry.entrypoints.cli.{module}")
        command: click.Command = getattr(loaded, name)
        return command


@click.command(cls=_Lazy, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="tenantry")
def cli() -> None:
    """Run a multi-tenant GenAI product on Amazon Bedrock.

    Example: `tenantry tenants create acme --plan pro`
    """


def main() -> None:
    """The console script. Expected failures are one line on stderr, never a traceback."""
    try:
        cli.main(standalone_mode=False)
    except click.exceptions.Exit as end:
        sys.exit(end.exit_code)
    except click.UsageError as wrong:
        wrong.show()
        sys.exit(2)
    except click.Abort:
        sys.exit(1)
    except (click.ClickException, TenantryError, OSError, ValueError) as failure:
        message = getattr(failure, "message", None) or str(failure)
        click.echo(f"tenantry: {message}", err=True)
        sys.exit(1)


if __name__ == "__main__":
    main()
