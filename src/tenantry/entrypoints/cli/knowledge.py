"""`tenantry documents|search|ask`: with a tenant's API key, over HTTP, like any client.

An operator's rights alone do not open a tenant's content, so there is no other way in.
"""

from __future__ import annotations

import json
import mimetypes
import re
from pathlib import Path
from typing import Any
from urllib.parse import quote

import click

from tenantry.domain.ids import is_id
from tenantry.entrypoints.api_client import Api
from tenantry.entrypoints.cli.following import follow
from tenantry.entrypoints.cli.output import as_json, print_json, print_table, say, say_lines
from tenantry.entrypoints.cli.reindex import reindex
from tenantry.entrypoints.cli.tenant_api import done, tenant_api
from tenantry.entrypoints.cli.values import FILE, NAMED
from tenantry.entrypoints.http.charge import CHARGE_HEADER

_CHARSET = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:+-]{0,63}")
_TYPES = {".md": "text/markdown", ".markdown": "text/markdown", ".txt": "text/plain"}


@click.group()
def documents() -> None:
    """Add, list and remove a tenant's documents (TENANTRY_API_KEY says whose).

    Example: `TENANTRY_API_KEY=tk_… tenantry documents add handbook.pdf`
    """


@documents.command()
@click.argument("files", nargs=-1, required=True, type=FILE)
@click.option("--title", type=NAMED, help="Default: the file's name.")
@click.option(
    "--replace", "replaced", type=NAMED, metavar="ID", help="Put the one file in this one's place."
)
@click.option(
    "--metadata",
    "pairs",
    type=NAMED,
    multiple=True,
    metavar="KEY=VALUE",
    help="What filters look at, as text; repeatable.",
)
@click.option(
    "--access",
    "tags",
    type=NAMED,
    multiple=True,
    metavar="TAG",
    help="Only a request with this group sees it, so it is not waited for; repeatable.",
)
@click.option(
    "--charset",
    type=NAMED,
    callback=lambda _context, _option, value: _checked_charset(value),
    metavar="NAME",
    help="What text, Markdown and HTML are in, such as iso-8859-1. Default: what they state, or "
    "UTF-8.",
)
@click.option("--no-wait", is_flag=True, help="Do not wait until large documents are indexed.")
def add(
    files: tuple[Path, ...],
    title: str | None,
    replaced: str | None,
    pairs: tuple[str, ...],
    tags: tuple[str, ...],
    charset: str | None,
    no_wait: bool,
) -> None:
    """Upload documents: text, Markdown, HTML, PDF or DOCX.

    With --replace searches find the old version until the new one is ready.

    Example: `tenantry documents add handbook.pdf prices.md --metadata lang=en`
    """
    if replaced and len(files) > 1:
        raise click.UsageError("--replace takes one file")
    metadata, api = _metadata(pairs), tenant_api()
    for file in files:
        fields = [("title", title or file.name), *metadata, *(("access", tag) for tag in tags)]
        upload = (file.name, file.read_bytes(), _type(file, charset), fields)
        if replaced:
            path = f"/v1/documents/{quote(replaced, safe='')}"
            document = done(api.upload(path, *upload, method="PUT")).body
        else:
            document = done(api.upload("/v1/documents", *upload)).body
        if not no_wait and not tags:  # whom a tag shuts out is not told how far it is
            document = _followed(api, document, file.name)
        say(f"{document['id']}  {_status(document)}  {file.name}")


def _metadata(pairs: tuple[str, ...]) -> list[tuple[str, str]]:
    """The form's field, where there is any."""
    found: dict[str, str] = {}
    for pair in pairs:
        key, sign, value = pair.partition("=")
        if not key or not sign or key in found:
            raise click.BadParameter("must be KEY=VALUE, each key once", param_hint="--metadata")
        found[key] = value
    return [("metadata", json.dumps(found))] if found else []


def _followed(api: Api, document: dict[str, Any], name: str) -> dict[str, Any]:
    """The document once it, or what replaces it, is ready."""
    if _how_far(document) is None:
        return document
    path = f"/v1/documents/{document['id']}"
    document = follow(name, lambda: done(api.get(path)).body, _how_far)
    failure = (document["replacement"] or document)["failure"]
    if failure:
        raise click.ClickException(f"{name} cannot be indexed: {failure}")
    return document


def _how_far(document: dict[str, Any]) -> dict[str, int] | None:
    on_its_way = document["replacement"] or document
    return on_its_way["progress"] if on_its_way["status"] == "indexing" else None


def _status(document: dict[str, Any]) -> str:
    """With what of it is not found, and how far it is, or what replaces it."""
    how_far, status = _how_far(document), document["status"]
    if document.get("pages_without_text"):
        status += (
            f", {document['pages_without_text']:,} of {document['pages']:,} pages without text"
        )
    if document["replacement"]:
        status += f", replacement {document['replacement']['status']}"
    return status if how_far is None else f"{status} {how_far['done']:,}/{how_far['total']:,}"


@documents.command(name="list")
@as_json
def list_(json_output: bool) -> None:
    """List the documents that this API key may see.

    Example: `tenantry documents list`
    """
    api, rows, cursor = tenant_api(), [], ""
    while True:
        path = "/v1/documents?limit=100" + (f"&cursor={cursor}" if cursor else "")
        page = done(api.get(path)).body
        rows += page["data"]
        cursor = page.get("next_cursor") or ""
        if not cursor:
            break
    if json_output:
        print_json(rows)
    else:
        print_table(("id", "title", "status"), ((r["id"], r["title"], _status(r)) for r in rows))


@documents.command()
@click.argument("document_id", type=NAMED)
def remove(document_id: str) -> None:
    """Delete a document; the next search does not find it.

    Example: `tenantry documents remove doc_01h…`
    """
    if not is_id("doc", document_id):  # `reindex`, in its place, would cancel one
        raise click.ClickException(f"there is no document {document_id}")
    done(tenant_api().delete(f"/v1/documents/{quote(document_id, safe='')}"))
    say(f"{document_id} is removed")


documents.add_command(reindex)


@click.command()
@click.argument("query")
@click.option(
    "--top-k",
    type=click.IntRange(1, 50),
    default=5,
    show_default=True,
    help="At most so many passages, best first.",
)
@as_json
def search(query: str, top_k: int, json_output: bool) -> None:
    """Find passages in a tenant's documents.

    Example: `tenantry search "how do I restore a backup?"`
    """
    passages = done(tenant_api().post("/v1/search", {"query": query, "top_k": top_k})).body[
        "passages"
    ]
    if json_output:
        print_json(passages)
        return
    for number, passage in enumerate(passages, start=1):
        say(f"[{number}] {passage['title']}  ({passage['score']:.3f})")
        say(f"    {' '.join(passage['text'].split())[:300]}")


@click.command()
@click.argument("question")
@click.option("--model", type=NAMED, help="Default: the plan's.")
@as_json
def ask(question: str, model: str | None, json_output: bool) -> None:
    """Answer a question from a tenant's documents, with citations.

    Example: `tenantry ask "What is our refund policy?"`
    """
    body = {"question": question} | ({"model": model} if model else {})
    reply = done(tenant_api().post("/v1/answers", body))
    answer = reply.body
    if json_output:
        print_json(answer)
        return
    say_lines(answer["answer"])
    for citation in answer["citations"]:
        say(f"  [{citation['number']}] {citation['title']}")
    charged = reply.headers.get(CHARGE_HEADER, answer["charge"])  # the header names the currency
    if charged is not None:
        say(f"  charged {charged}", err=True)


def _checked_charset(name: str | None) -> str | None:
    if name is not None and not _CHARSET.fullmatch(name):
        raise click.BadParameter("must be the name of a charset, such as iso-8859-1")
    return name


def _type(file: Path, charset: str | None) -> str:
    known = _TYPES.get(file.suffix.lower()) or mimetypes.guess_type(file.name)[0]
    stated = "" if charset is None else f'; charset="{charset}"'
    return (known or "application/octet-stream") + stated
