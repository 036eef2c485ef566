"""`tenantry reconcile`: does the ledger hold what it promises?"""

from __future__ import annotations

import click

from tenantry.bootstrap import run_with_keeper
from tenantry.entrypoints.cli.output import as_json, print_json, print_table
from tenantry.ports.ledger import LedgerKeeper, Violation


@click.command()
@click.option("--invariants", is_flag=True, required=True, help="Check the ledger's invariants.")
@as_json
def reconcile(invariants: bool, json_output: bool) -> None:
    """Check that the ledger's invariants hold; exit 1 where one does not.

    Example: `tenantry reconcile --invariants`
    """

    async def work(keeper: LedgerKeeper) -> list[Violation]:
        return await keeper.violations()

    found = run_with_keeper(work)
    if json_output:
        print_json({"violations": found})
    elif found:
        print_table(("invariant", "detail"), ((v.invariant, v.detail) for v in found))
    if found:
        raise click.ClickException(f"{len(found)} invariants are violated")
    if not json_output:
        click.echo("all invariants hold")
