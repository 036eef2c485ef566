"""`tenantry documents reindex`: all documents of a tenant to another embedding model, or again."""

from __future__ import annotations

from typing import Any

import click

from tenantry.entrypoints.cli.following import follow
from tenantry.entrypoints.cli.output import as_json, print_json, say
from tenantry.entrypoints.cli.tenant_api import done, tenant_api
from tenantry.entrypoints.cli.values import NAMED

_PATH = "/v1/documents/reindex"


@click.command()
@click.option(
    "--model",
    type=NAMED,
    help="The embedding model to index with. Without it and --again: how far it is.",
)
@click.option(
    "--dimensions",
    type=click.IntRange(1),
    help="Numbers in a vector. Default: the plan's, or the next that the model makes.",
)
@click.option(
    "--again",
    is_flag=True,
    help="Also where the documents are indexed so already; without --model as they are.",
)
@click.option("--no-wait", is_flag=True, help="Do not wait until it has ended.")
@click.option("--cancel", is_flag=True, help="End the one that is open; the old index stays.")
@as_json
def reindex(
    model: str | None,
    dimensions: int | None,
    again: bool,
    no_wait: bool,
    cancel: bool,
    json_output: bool,
) -> None:
    """Index all documents anew with another embedding model, while they are searched.

    With --again also with the one that they have, as after an upgrade that says so.

    Searches use the old index until all documents are in the new one; then it is switched at once.
    The API key that asks pays for the embeddings: it must be a tenant admin's. What stops it,
    such as a spent budget, pauses it: the same command goes on where it was.

    Example: `tenantry documents reindex --model amazon.titan-embed-text-v2:0 --dimensions 1024`
    """
    if (cancel and (model or dimensions or again)) or (dimensions and not model):
        raise click.UsageError("--cancel stands alone, and --dimensions needs --model")
    api = tenant_api()
    if cancel:
        found = done(api.delete(_PATH)).body
    elif model or again:
        asked = {"model": model, "dimensions": dimensions, "again": again}
        given = {name: value for name, value in asked.items() if value}
        found = done(api.post(_PATH, given)).body
        if not no_wait:
            found = follow("reindexing", lambda: done(api.get(_PATH)).body, _how_far)
    else:
        found = done(api.get(_PATH)).body
    if json_output:
        print_json(found)
    else:
        say(_line(found))
    if (model or again) and found["status"] in ("paused", "cancelled"):
        raise click.ClickException(f"the reindex is {found['status']}; the old index is in use")


def _how_far(found: dict[str, Any]) -> dict[str, int] | None:
    return found["passages"] if found["status"] == "running" else None


def _line(found: dict[str, Any]) -> str:
    documents, passages = found["documents"], found["passages"]
    line = (
        f"{found['id']}  {found['status']}  {found['model']} at {found['dimensions']} dimensions  "
        f"{documents['done']:,} of {documents['total']:,} documents, "
        f"{passages['done']:,} of {passages['total']:,} passages"
    )
    if found["failure"]:
        line += f"  ({found['failure']}"
        line += f" at {found['failed_document_id']})" if found["failed_document_id"] else ")"
    return line
