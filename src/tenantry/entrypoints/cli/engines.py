"""`tenantry engines …`: vector engines in which passages lie, whatever the settings say now."""

from __future__ import annotations

import click

from tenantry.bootstrap.checks.vectors import ENGINES
from tenantry.bootstrap.commands.control import run_with_engine_book
from tenantry.entrypoints.cli.confirming import confirm
from tenantry.entrypoints.cli.output import as_json, print_json, print_table, say


@click.group()
def engines() -> None:
    """Vector engines that hold passages of tenants, in clear.

    Example: `tenantry engines list`
    """


@engines.command(name="list")
@as_json
def list_engines(json_output: bool) -> None:
    """List engines in which rows of tenants may be, and of how many.

    Example: `tenantry engines list`
    """
    found = run_with_engine_book(lambda book: book.open_engines())
    if json_output:
        print_json([{"engine": engine, "tenants": count} for engine, count in found.items()])
        return
    print_table(("engine", "tenants"), found.items())


@engines.command()
@click.argument("engine", type=click.Choice(ENGINES))
@click.option("--yes", is_flag=True, help="Do not ask.")
def gone(engine: str, yes: bool) -> None:
    """Declare an engine gone for good, that nobody can reach to delete what it holds.

    Deletions and shreds then no longer wait for it, and certificates say that nobody has seen
    vectors deleted there. Ended by the next document that is put there.

    Example: `tenantry engines gone pinecone`
    """
    if not yes:
        say(f"Nobody will delete what {engine} may still hold of your tenants.", err=True)
        confirm(f"Is {engine} gone for good?")
    count = run_with_engine_book(lambda book: book.declare_gone(engine))
    say(f"{engine} is taken for gone; {count} tenants had vectors there")
