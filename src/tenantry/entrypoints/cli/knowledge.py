"""`tenantry documents|search|ask`: with a tenant's API key, over HTTP, like any client.

An operator's rights alone do not open a tenant's content, so there is no other way in.
"""

from __future__ import annotations

import mimetypes
from pathlib import Path
from typing import Any
from urllib.parse import quote

import click

from tenantry import bootstrap
from tenantry.entrypoints.api_client import Api, Reply
from tenantry.entrypoints.cli.output import as_json, print_json, print_table

_TYPES = {".md": "text/markdown", ".markdown": "text/markdown", ".txt": "text/plain"}


@click.group()
def documents() -> None:
    """Add, list and remove a tenant's documents (TENANTRY_API_KEY says whose).

    Example: `TENANTRY_API_KEY=tk_… tenantry documents add handbook.pdf`
    """


@documents.command()
@click.argument(
    "files", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path)
)
@click.option("--title", help="Default: the file's name.")
def add(files: tuple[Path, ...], title: str | None) -> None:
    """Upload documents: text, Markdown, HTML, PDF or DOCX.

    Example: `tenantry documents add handbook.pdf prices.md`
    """
    api = _api()
    for file in files:
        reply = _done(
            api.upload(
                "/v1/documents", file.name, file.read_bytes(), _type(file), title or file.name
            )
        )
        click.echo(f"{reply.body['id']}  {reply.body['status']}  {file.name}")


@documents.command(name="list")
@as_json
def list_(json_output: bool) -> None:
    """List the documents that this API key may see.

    Example: `tenantry documents list`
    """
    api, rows, cursor = _api(), [], ""
    while True:
        path = "/v1/documents?limit=100" + (f"&cursor={cursor}" if cursor else "")
        page = _done(api.get(path)).body
        rows += page["data"]
        cursor = page.get("next_cursor") or ""
        if not cursor:
            break
    if json_output:
        print_json(rows)
    else:
        print_table(("id", "title", "status"), ((r["id"], r["title"], r["status"]) for r in rows))


@documents.command()
@click.argument("document_id")
def remove(document_id: str) -> None:
    """Delete a document; the next search does not find it.

    Example: `tenantry documents remove doc_01h…`
    """
    _done(_api().delete(f"/v1/documents/{quote(document_id, safe='')}"))
    click.echo(f"{document_id} is removed")


@click.command()
@click.argument("query")
@click.option("--top-k", type=click.IntRange(1, 50), default=5, show_default=True)
@as_json
def search(query: str, top_k: int, json_output: bool) -> None:
    """Find passages in a tenant's documents.

    Example: `tenantry search "how do I restore a backup?"`
    """
    passages = _done(_api().post("/v1/search", {"query": query, "top_k": top_k})).body["passages"]
    if json_output:
        print_json(passages)
        return
    for number, passage in enumerate(passages, start=1):
        click.echo(f"[{number}] {passage['title']}  ({passage['score']:.3f})")
        click.echo(f"    {' '.join(passage['text'].split())[:300]}")


@click.command()
@click.argument("question")
@click.option("--model", help="Default: the plan's.")
@as_json
def ask(question: str, model: str | None, json_output: bool) -> None:
    """Answer a question from a tenant's documents, with citations.

    Example: `tenantry ask "What is our refund policy?"`
    """
    body = {"question": question} | ({"model": model} if model else {})
    answer = _done(_api().post("/v1/answers", body)).body
    if json_output:
        print_json(answer)
        return
    click.echo(answer["answer"])
    for citation in answer["citations"]:
        click.echo(f"  [{citation['number']}] {citation['title']}")
    click.echo(f"  charged {answer['charge']}", err=True)


def _api() -> Api:
    config = bootstrap.settings()
    if not config.api_key:
        raise click.ClickException(
            "set TENANTRY_API_KEY to a tenant's API key: an operator's rights do not open content"
        )
    return Api(config.url or f"http://127.0.0.1:{config.http_port}", config.api_key)


def _done(reply: Reply) -> Reply:
    if reply.status >= 400:
        body: Any = reply.body
        detail = body.get("detail") or body.get("title") if isinstance(body, dict) else body
        raise click.ClickException(f"{detail} ({reply.status})")
    return reply


def _type(file: Path) -> str:
    known = _TYPES.get(file.suffix.lower()) or mimetypes.guess_type(file.name)[0]
    return known or "application/octet-stream"
