"""`tenantry tenants export` and `erase-user`: with a tenant admin's API key, over HTTP."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import click

from tenantry.domain.ids import is_id
from tenantry.entrypoints.api_client import Api
from tenantry.entrypoints.cli.confirming import confirm
from tenantry.entrypoints.cli.output import as_json, print_json, say
from tenantry.entrypoints.cli.tenant_api import done, tenant_api
from tenantry.entrypoints.cli.values import NAMED
from tenantry.entrypoints.export_check import ExportBroken, check_export
from tenantry.entrypoints.export_sinks import check_name
from tenantry.entrypoints.export_target import ExportWriter

PAGE: Final = 100
VERSIONS_MAX: Final = 5  # of a document that is replaced while it is read
_UPDATED_AT: Final = "x-tenantry-updated-at"  # of the row that an original goes with
USER_SECTIONS: Final = ("usage", "replies", "results", "sessions")
# What a file may be named by. Ids come from the gateway, and are not trusted to be ids.
_JOB_ID: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_SECTION: Final = re.compile(r"[a-z][a-z_]{0,39}")


@click.command()
@click.argument("target", type=click.Path(path_type=Path))
@click.option(
    "--user", type=NAMED, help="What is kept of this end user alone, as requests name them."
)
@click.option("--verify", is_flag=True, help="Check an export that lies there, and write nothing.")
@as_json
def export(target: Path, user: str | None, verify: bool, json_output: bool) -> None:
    """Take away everything that a tenant owns, into a folder, a .tar or a .zip.

    TENANTRY_API_KEY is an admin's of the tenant: an operator's rights alone open no content. Cut
    off, it is run again; into a folder it goes on with what is not there yet.

    Example: `TENANTRY_API_KEY=tk_… tenantry tenants export acme-2026/`
    """
    if verify:
        manifest = _verified(target)
    else:
        check_name(target)  # before anything is asked for it
        api = tenant_api()
        manifest = _of_tenant(api, target) if user is None else _of_user(api, target, user)
    if json_output:
        print_json(manifest)
        return
    for section, count in manifest["counts"].items():
        say(f"{count:>12,}  {section}")
    say(f"{'every hash is right' if verify else 'written'}: {target}", err=True)


@click.command(name="erase-user")
@click.argument("user")
@click.option("--yes", is_flag=True, help="Do not ask.")
@as_json
def erase_user(user: str, yes: bool, json_output: bool) -> None:
    """Erase what is kept of an end user, and part the name from the ledger's hash.

    TENANTRY_API_KEY is an admin's of the tenant.

    Example: `TENANTRY_API_KEY=tk_… tenantry tenants erase-user ann@example.com`
    """
    api = tenant_api()
    if not yes:
        confirm(f"Erase what is kept of {user!r}?")
    told = done(api.post("/v1/users/erase", {"user": user})).body
    if json_output:
        print_json(told)
        return
    for name, count in told["erased"].items():
        say(f"{count:>8,}  {name} erased")
    for remains in told["remains"]:
        say(f"remains: {remains}")


def _verified(target: Path) -> dict[str, Any]:
    if not target.exists():
        raise click.ClickException(f"{target}: there is no export here")
    try:
        return check_export(target)
    except ExportBroken as problem:
        raise click.ClickException(f"{target}: {problem}") from None


def _of_tenant(api: Api, target: Path) -> dict[str, Any]:
    about = done(api.get("/v1/export")).body
    with ExportWriter(target, {"of": "tenant", "tenant": about["tenant"]["id"]}) as writer:
        for section in about["sections"]:
            if not _SECTION.fullmatch(section):
                raise click.ClickException("the gateway names a section that is no name")
            rows = _rows(api, f"/v1/export/{section}")
            if section == "documents":
                rows = with_originals(api, writer, rows)
            elif section == "batch_jobs":
                rows = _with_outputs(api, writer, rows)
            count = writer.add_lines(section, rows)
            say(f"{section}: {count:,}", err=True)
        return writer.finish({"of": "tenant", "tenant": about["tenant"], "exported_at": _now()})


def _of_user(api: Api, target: Path, user: str) -> dict[str, Any]:
    about = done(api.get("/v1/export")).body

    def page_of(section: str, cursor: str | None, limit: int = PAGE) -> Any:
        asked = {"user": user, "section": section, "cursor": cursor, "limit": limit}
        return done(api.post("/v1/users/export", asked)).body

    hashes: set[str] = {page_of(USER_SECTIONS[0], None, limit=1)["user_hash"]}
    whose = {"of": "end user", "tenant": about["tenant"]["id"], "user_hash": min(hashes)}

    def rows(section: str) -> Iterator[Mapping[str, Any]]:
        cursor = None
        while True:
            page = page_of(section, cursor)
            hashes.add(page["user_hash"])
            yield from page["data"]
            cursor = page["next_cursor"]
            if cursor is None:
                return

    with ExportWriter(target, whose) as writer:
        for section in USER_SECTIONS:
            writer.add_lines(section, rows(section))
        told = {"of": "end user", "user": user, "user_hash": ", ".join(sorted(hashes))}
        return writer.finish({**told, "tenant": about["tenant"], "exported_at": _now()})


def _rows(api: Api, path: str, cursor: str | None = None) -> Iterator[Mapping[str, Any]]:
    while True:
        at = f"&cursor={quote(cursor, safe='')}" if cursor else ""
        page = done(api.get(f"{path}?limit={PAGE}{at}")).body
        yield from page["data"]
        cursor = page["next_cursor"]
        if cursor is None:
            return


def with_originals(
    api: Api, writer: ExportWriter, rows: Iterator[Mapping[str, Any]]
) -> Iterator[Mapping[str, Any]]:
    """Each row with the file of its original, both of one version. One that was deleted meanwhile
    is left out."""
    before: str | None = None
    for row in rows:
        document_id = str(row["id"])
        if not is_id("doc", document_id):
            raise click.ClickException("the gateway names a document by what is no id")
        whole = _of_one_version(api, writer, row, before)
        if whole is not None:
            yield whole
        before = document_id


def _of_one_version(
    api: Api, writer: ExportWriter, row: Mapping[str, Any], before: str | None
) -> Mapping[str, Any] | None:
    """`before`: the document whose row comes before, by which this one's can be read again."""
    document_id = str(row["id"])
    name, path = f"originals/{document_id}", f"/v1/export/documents/{document_id}/content"
    for _ in range(VERSIONS_MAX):
        at = row["updated_at"]
        stamp = f"{at} {row['size_bytes']}"
        sha256 = writer.kept(name, stamp) or _download(api, writer, path, name, stamp, at)
        if sha256 is not None:
            return {**row, "file": name, "sha256": sha256}
        again = _row_again(api, document_id, before)
        if again is None:
            return None
        row = again
    raise click.ClickException(
        f"{document_id} was replaced each time that it was read, or its original is gone: run the"
        " command again"
    )


def _row_again(api: Api, document_id: str, before: str | None) -> Mapping[str, Any] | None:
    """None: it was deleted. Rows come newest first, by ids that begin with their time."""
    for row in _rows(api, "/v1/export/documents", before):
        if str(row["id"]) <= document_id:
            return row if row["id"] == document_id else None
    return None


def _with_outputs(
    api: Api, writer: ExportWriter, rows: Iterator[Mapping[str, Any]]
) -> Iterator[Mapping[str, Any]]:
    for row in rows:
        job_id = str(row["id"])
        if not _JOB_ID.fullmatch(job_id):
            raise click.ClickException("the gateway names a batch job by what is no id")
        if not row.get("has_output"):
            yield row
            continue
        name = f"outputs/{job_id}.jsonl"
        path = f"/v1/export/batch_jobs/{job_id}/output"
        sha256 = writer.kept(name, job_id) or _download(api, writer, path, name, job_id)
        yield row if sha256 is None else {**row, "file": name, "sha256": sha256}


def _download(
    api: Api, writer: ExportWriter, path: str, name: str, stamp: str, at: str | None = None
) -> str | None:
    """The hash of a file that was fetched and written; None: it is not there any more, or another
    version than that of `at`."""
    with api.download(path) as answer:
        if answer.status == 404:
            return None
        if answer.status != 200:
            raise click.ClickException(f"{path} was answered with {answer.status}")
        if at is not None and answer.headers.get(_UPDATED_AT) != at:
            return None
        return writer.add(name, answer.chunks, stamp)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
