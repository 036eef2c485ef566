"""`tenantry objects …`: the sealed objects, and the database that they belong to."""

from __future__ import annotations

from dataclasses import asdict, astuple

import click

from tenantry.bootstrap.commands.objects import recover_all, run_with_belonging
from tenantry.entrypoints.cli.confirming import confirm
from tenantry.entrypoints.cli.output import as_json, print_json, print_table, say


@click.group()
def objects() -> None:
    """Sealed objects of documents, beside the database that names them.

    Example: `tenantry objects adopt`
    """


@objects.command()
@click.option("--yes", is_flag=True, help="Do not ask.")
def adopt(yes: bool) -> None:
    """Say that the objects of this home belong to its database as it is now.

    Asked for after a restore or a fail-over, and where a database that was used finds a folder of
    objects without a mark, such as an empty one: until then nothing is deleted that no row names.
    Then what was stored after the restored point in time, and is named no more, is swept. A
    database that had the objects before is refused in its turn.

    Example: `tenantry objects adopt`
    """
    reason = run_with_belonging(lambda belonging: belonging.strange())
    if reason is None:
        say("the objects belong to this database")
        return
    if not yes:
        say(f"The sealed objects are not this database's: {reason}.", err=True)
        confirm("Is this the database that they belong to now?")
    run_with_belonging(lambda belonging: belonging.adopt())
    say("the objects belong to this database from now on")


@objects.command()
@as_json
def recover(json_output: bool) -> None:
    """Put back what the database names and the trash has, of every tenant, as after a restore.

    Prints the tenants of whom anything was put back or is missing still; exit 1 where something is.
    It may be repeated.

    Example: `tenantry objects recover`
    """
    found = recover_all()
    if json_output:
        print_json([asdict(each) for each in found])
    elif found:
        heads = ("tenant", "put back", "originals missing", "segments missing")
        print_table(heads, (astuple(each) for each in found))
    else:
        say("every object that the database names is there")
    if any(each.originals_missing or each.segments_missing for each in found):
        raise click.ClickException("not all objects that the database names are there")
