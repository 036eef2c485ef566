"""`tenantry batch`: batch inference for the tenant of an API key, and what became of it."""

from __future__ import annotations

import codecs
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
import orjson

from tenantry.application.authenticate import BearerKey, require
from tenantry.application.batches import Submitted
from tenantry.application.calls import ChatCall
from tenantry.application.context import RequestContext
from tenantry.bootstrap.commands.control import run_with_batches
from tenantry.bootstrap.commands.gateway import run_with_gateway
from tenantry.bootstrap.deployment import settings
from tenantry.bootstrap.gateway import Gateway
from tenantry.domain.batch import RECORDS_MAX
from tenantry.domain.errors import BadRequest
from tenantry.domain.ids import uuid7
from tenantry.domain.tenant import Scope
from tenantry.entrypoints.cli.cut import say_cut
from tenantry.entrypoints.cli.output import as_json, print_json, print_table, say
from tenantry.entrypoints.cli.values import FILE, NAMED
from tenantry.entrypoints.http.bedrock.requests import to_converse_call, to_invoke_call
from tenantry.entrypoints.http.json_body import parse_object
from tenantry.ports.batch import BatchBook, BatchJob
from tenantry.ports.control import ControlPlane

NAME_TOLD_MAX = 40  # characters of a member's name in a message


@click.group()
def batch() -> None:
    """Run many records as one Bedrock batch job, at half the price.

    Example: `TENANTRY_API_KEY=tk_… tenantry batch submit records.jsonl --model nova-micro`
    """


@batch.command()
@click.argument("file", type=FILE)
@click.option("--model", required=True, help="Alias, id or ARN of the catalogue's model.")
@click.option(
    "--operation",
    type=click.Choice(["Converse", "InvokeModel"]),
    default="Converse",
    show_default=True,
    help="Of what shape the records are.",
)
@as_json
def submit(file: Path, model: str, operation: str, json_output: bool) -> None:
    """Submit a file of JSON lines `{"modelInput": {…}}` (TENANTRY_API_KEY says whose).

    Answers are told apart by the record's number, R0000000000 for the first; a `recordId` of the
    line's own is not sent.

    Example: `tenantry batch submit records.jsonl --model nova-micro`
    """
    chats = _read(file, model, operation)
    api_key = settings().api_key
    if not api_key:
        raise click.ClickException("TENANTRY_API_KEY names no API key")

    async def work(gateway: Gateway) -> Submitted:
        now = gateway.clock.now()
        principal = await gateway.authenticator.authenticate(
            BearerKey(api_key), now=now, fresh=True
        )
        require(principal, Scope.INFER)
        request_id = uuid7(int(now.timestamp() * 1_000), gateway.clock.random(10))
        return await gateway.batches.submit(RequestContext(request_id, principal), chats)

    done = run_with_gateway(work)
    if json_output:
        print_json({"id": str(done.request_id), "records": done.records, "job_arn": done.job_arn})
    else:
        say(f"{done.request_id}  {done.records} records  {done.job_arn or 'submitting'}")


@batch.command(name="list")
@click.argument("tenant", type=NAMED)
@click.option(
    "--limit",
    type=click.IntRange(1, 10_000),
    default=100,
    show_default=True,
    help="At most so many, the newest.",
)
@as_json
def list_(tenant: str, limit: int, json_output: bool) -> None:
    """List a tenant's batch jobs, newest first, with an operator's rights.

    Example: `tenantry batch list acme`
    """

    async def work(control: ControlPlane, book: BatchBook) -> Sequence[BatchJob]:
        found = await control.get_tenant(tenant)
        return await book.listed(found.id, limit + 1)

    jobs = run_with_batches(work)
    rows = [_shown(job) for job in jobs[:limit]]
    if json_output:
        print_json(rows)
    else:
        columns = ("id", "state", "model", "records", "message")
        print_table(columns, ([row[name] or None for name in columns] for row in rows))
    if len(jobs) > limit:
        say_cut(limit, "see --limit")


def _shown(job: BatchJob) -> dict[str, Any]:
    return {
        "id": str(job.request_id),
        "state": job.state,
        "model": job.model,
        "operation": job.operation,
        "records": job.records,
        "job_arn": job.job_arn,
        "output": job.output_uri,
        "message": job.message,
        "created_at": job.created_at.isoformat() if job.created_at else None,
    }


def _read(file: Path, model: str, operation: str) -> list[ChatCall]:
    chats: list[ChatCall] = []
    named: dict[str, int] = {}
    with file.open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            if number == 1:
                line = line.removeprefix(codecs.BOM_UTF8)
            if not line.strip():
                continue
            if len(chats) >= RECORDS_MAX:
                raise click.ClickException(f"{file} has more than {RECORDS_MAX:,} records")
            try:
                record = _record(line)
                _check_name(record.get("recordId"), number, named)
                chats.append(_chat(record, model, operation))
            except BadRequest as problem:
                told = _of_a_line(str(problem))
                raise click.ClickException(f"{file}, line {number}: {told}") from None
    return chats


def _of_a_line(told: str) -> str:
    """The words of the reader of both, which speaks of the body of a request and of its lines."""
    return told.replace("The request body", "the record").replace("at line 1, column", "at column")


def _record(line: bytes) -> dict[str, Any]:
    """As the body of a request is read; and no member twice, which others may read otherwise."""
    record = parse_object(line)
    json.loads(line, object_pairs_hook=_check_members, parse_int=str)
    return record


def _check_members(members: list[tuple[str, Any]]) -> None:
    seen: set[str] = set()
    for name, _ in members:
        if name in seen:
            raise BadRequest(f"the member {name[:NAME_TOLD_MAX]!r} stands twice in one object")
        seen.add(name)


def _check_name(name: object, number: int, named: dict[str, int]) -> None:
    """A record need not have a name; of two with one, nobody could tell whose an answer is."""
    if name is None:
        return
    if not isinstance(name, str):
        raise BadRequest("`recordId` must be a string")
    if named.setdefault(name, number) != number:
        raise BadRequest(f"its `recordId` is that of line {named[name]}")


def _chat(record: dict[str, Any], model: str, operation: str) -> ChatCall:
    body = record.get("modelInput")
    if not isinstance(body, dict):
        raise BadRequest("not an object with an object `modelInput`")
    if operation == "Converse":
        return to_converse_call(model, body, "Converse")
    return to_invoke_call(model, orjson.dumps(body), {}, "InvokeModel")
